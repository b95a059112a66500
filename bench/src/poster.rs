//! A client that posts over one connection and does no more than it must: what it costs
//! is not the server's.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Outcome;

/// A connection that is kept open.
#[derive(Debug)]
pub struct Poster {
    stream: TcpStream,
    answer: Vec<u8>,
}

/// A request with its head.
pub fn request(address: SocketAddr, stream: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/streams/{stream} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-ndjson\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

impl Poster {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::new() })
    }

    /// Sends a request made by [`request`] and waits until it was answered with 200.
    pub async fn post(&mut self, request: &[u8]) -> Outcome {
        self.stream.write_all(request).await?;
        self.answer.clear();
        let head = loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if let Some(end) = self.answer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&self.answer[..head])?;
        if !text.starts_with("HTTP/1.1 200") {
            return Err(format!("the server answered {}", text.lines().next().unwrap_or_default()).into());
        }
        let length = text.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let length: usize = length.ok_or("an answer without a length")?;
        while self.answer.len() < head + length {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        Ok(())
    }
}
