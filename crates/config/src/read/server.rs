//! Address, origins and limits.

use std::net::{IpAddr, SocketAddr};

use crate::{
    keys,
    place::Problem,
    reader::{Fields, Reader, clip},
    types::Limits,
    units::write_size,
    yaml::Node,
};

/// The address to listen on: the command line's, or else the file's.
pub(super) fn listen(reader: &mut Reader<'_>, root: &Fields<'_>, told: Option<&str>, insecure: bool) -> String {
    let listen = match told {
        Some(told) => told.to_owned(),
        None => reader.text(root, "listen").unwrap_or_default(),
    };
    if listen.is_empty() && told.is_none() {
        return listen;
    }
    if let Err((message, hint)) = check_listen(&listen, insecure || !reader.whole) {
        // What the command line says has no place in a file.
        let place = root.get("listen").filter(|_| told.is_none()).map(|node| reader.place(node.spot));
        let label = if told.is_some() { "--listen" } else { "`listen`" };
        reader.problems.push(Problem { place, message: format!("{label}: {message}"), hint: Some(hint) });
    }
    listen
}

/// An IP address or `localhost`, and a port; beyond this machine only with `insecure`.
fn check_listen(listen: &str, insecure: bool) -> Result<(), (String, String)> {
    let loopback = match listen.parse::<SocketAddr>() {
        Ok(address) => match address.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.to_canonical().is_loopback(),
        },
        Err(_) if listen.strip_prefix("localhost:").is_some_and(|port| port.parse::<u16>().is_ok()) => true,
        Err(_) => {
            let port = listen.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8080);
            let message = format!("expected an IP address and a port, found `{}`", clip(listen));
            let told = listen.rsplit(':').next().unwrap_or_default();
            let hint = if let Some((_, name)) = listen.split_once('$') {
                format!("a variable is written `${{{}}}`", clip(name))
            } else if told.len() > 4 && told.bytes().all(|b| b.is_ascii_digit()) {
                "a port is a number up to 65535".to_owned()
            } else {
                format!(
                    "write `127.0.0.1:{port}` for this machine alone, `0.0.0.0:{port}` for all addresses of this machine"
                )
            };
            return Err((message, hint));
        }
    };
    if loopback || insecure {
        return Ok(());
    }
    Err((
        format!("`{listen}` can be reached from other machines, and nothing here asks who calls"),
        "listen on 127.0.0.1, or write `insecure: true` where a proxy or a private network keeps strangers out"
            .to_owned(),
    ))
}

/// The origins of other sites, as browsers send them.
pub(super) fn cors(reader: &mut Reader<'_>, root: &Fields<'_>) -> Vec<String> {
    let Some(node) = root.get("cors") else { return Vec::new() };
    let items = reader.items(node, &root.key("cors").shape, "cors");
    items.iter().filter_map(|item| origin(reader, item)).collect()
}

fn origin(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text_of(node, "cors")?;
    let hint = match text.split_once("://") {
        _ if text.contains('*') => "name each origin in full; there is no wildcard",
        Some(("http" | "https", host)) if !host.is_empty() => {
            let port = if text.starts_with("https") { ":443" } else { ":80" };
            if host.contains(['/', '?', '#', '@']) || host.contains(char::is_whitespace) {
                "an origin ends with its host and port: no path, no `/` at the end"
            } else if host.contains(|c: char| c.is_ascii_uppercase()) {
                "browsers send origins in small letters"
            } else if host.ends_with(port) {
                "browsers leave out the port that is usual for the scheme"
            } else {
                return Some(text);
            }
        }
        _ => "write the scheme too: `https://example.org`",
    };
    reader.problem(
        node.spot,
        format!("`cors`: expected an origin such as `https://example.org`, found `{}`", clip(&text)),
        hint.to_owned(),
    );
    None
}

/// The limits, each within its own bounds and none against another.
pub(super) fn limits(reader: &mut Reader<'_>, root: &Fields<'_>) -> Limits {
    let nodes: Vec<&Node> = root.all("limits").collect();
    let fields = reader.merged(&nodes, &keys::LIMITS, "`limits`", &[]);
    let f = &fields;
    let problems = reader.problems.len();
    let limits = Limits {
        max_connections: count(reader, f, "max_connections"),
        max_connections_per_address: count(reader, f, "max_connections_per_address"),
        max_requests_per_second: count(reader, f, "max_requests_per_second"),
        max_requests_per_second_per_address: count(reader, f, "max_requests_per_second_per_address"),
        max_subscriptions: count(reader, f, "max_subscriptions"),
        max_message: size(reader, f, "max_message"),
        max_body: size(reader, f, "max_body"),
        max_unpacked_body: size(reader, f, "max_unpacked_body"),
        max_record: size(reader, f, "max_record"),
        max_header: size(reader, f, "max_header"),
        header_timeout: reader.duration(f, "header_timeout"),
        body_timeout: reader.duration(f, "body_timeout"),
        ping_interval: reader.duration(f, "ping_interval"),
        max_pending: size(reader, f, "max_pending"),
        send_buffer: size(reader, f, "send_buffer"),
        query_timeout: reader.duration(f, "query_timeout"),
        query_memory: size(reader, f, "query_memory"),
        query_rows: count(reader, f, "query_rows"),
    };
    if reader.problems.len() == problems {
        between(reader, f, &limits);
    }
    limits
}

/// Limits that would make each other useless.
fn between(reader: &mut Reader<'_>, fields: &Fields<'_>, limits: &Limits) {
    let pairs = [
        (
            "max_body",
            limits.max_body,
            "max_unpacked_body",
            limits.max_unpacked_body,
            "a plain body is its own unpacking",
        ),
        ("max_record", limits.max_record, "max_unpacked_body", limits.max_unpacked_body, "a record comes in a body"),
        (
            "max_unpacked_body",
            limits.max_unpacked_body,
            "max_pending",
            limits.max_pending,
            "a body that never fits among what is pending could never be accepted",
        ),
    ];
    for (less, small, more, large, why) in pairs {
        if small <= large {
            continue;
        }
        let spot = fields.get(less).or_else(|| fields.get(more)).map_or(fields.spot, |node| node.spot);
        let message =
            format!("`{less}` ({}) is more than `{more}` ({})", write_size(small as u64), write_size(large as u64));
        reader.problem(spot, message, why.to_owned());
    }
}

pub(super) fn count(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str) -> usize {
    usize::try_from(reader.count(fields, name).unwrap_or(0)).unwrap_or(usize::MAX)
}

pub(super) fn size(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str) -> usize {
    usize::try_from(reader.size(fields, name)).unwrap_or(usize::MAX)
}
