//! The server's address and the paths under it.

use reqwest::Url;

use crate::Error;

/// A server's base address, checked.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// `http`, a host, and perhaps a port and a path that a proxy adds.
    base: Url,
}

impl Address {
    /// Takes `http://host[:port][/prefix]`.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Address { url: url.to_owned(), why: why.to_owned() };
        let base = Url::parse(url).map_err(|e| wrong(&format!("{e}; expected http://HOST:PORT")))?;
        match base.scheme() {
            "http" => {}
            "https" => return Err(wrong("this client speaks plain http only")),
            _ => return Err(wrong("expected http://HOST:PORT")),
        }
        if base.host_str().is_none_or(str::is_empty) {
            return Err(wrong("it names no host; expected http://HOST:PORT"));
        }
        Ok(Self { base })
    }

    /// The address itself, for messages.
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// The address of a path, its segments encoded.
    pub fn path(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only a URL without a host refuses segments, and `parse` refuses such a URL.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The address of the WebSocket.
    pub fn socket(&self) -> String {
        self.path(&["v1", "ws"]).as_str().replacen("http", "ws", 1)
    }

    /// `host:port` for a TCP connection.
    pub fn host_and_port(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        format!("{host}:{}", self.base.port_or_known_default().unwrap_or(80))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_under_the_base_and_are_encoded() {
        let address = Address::parse("http://[::1]:8080/behind/").unwrap();
        assert_eq!(address.socket(), "ws://[::1]:8080/behind/v1/ws");
        assert_eq!(address.host_and_port(), "[::1]:8080");
        assert_eq!(address.path(&["v1", "streams", "a/b"]).path(), "/behind/v1/streams/a%2Fb");
        assert_eq!(Address::parse("http://host").unwrap().host_and_port(), "host:80");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_form_expected() {
        for url in ["", "localhost:8080", "ftp://host", "https://host"] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains("http"), "{error}");
        }
    }
}
