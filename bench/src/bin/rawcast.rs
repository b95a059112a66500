//! The floor for `fanout`: a server that does nothing but send. One thread writes each
//! body that is posted to it to every viewer, one `send` a viewer, nothing else.
//!
//! `rawcast ADDRESS`: `GET /ready`, `GET /v1/ws` (a WebSocket), `POST /` (a body for all).

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
};

use base64::Engine;
use bench::Outcome;
use sha1::{Digest, Sha1};

/// Of RFC 6455, 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

fn main() -> Outcome {
    let address = std::env::args().nth(1).ok_or("usage: rawcast ADDRESS")?;
    let listener = TcpListener::bind(address)?;
    let mut viewers: Vec<TcpStream> = Vec::new();
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        // One connection at a time: the viewers come first, then the publisher stays.
        serve(stream, &mut viewers)?;
    }
    Ok(())
}

/// Serves a connection: until its end, or until it has become a viewer.
fn serve(stream: TcpStream, viewers: &mut Vec<TcpStream>) -> Outcome {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut first, mut length, mut key) = (String::new(), 0, String::new());
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? <= 2 {
                break;
            }
            match line.split_once(": ").map(|(n, v)| (n.to_ascii_lowercase(), v.trim())) {
                Some((name, value)) if name == "content-length" => length = value.parse()?,
                Some((name, value)) if name == "sec-websocket-key" => value.clone_into(&mut key),
                _ => {}
            }
        }
        if !key.is_empty() {
            let accept = base64::engine::general_purpose::STANDARD.encode(Sha1::digest(key + GUID));
            let mut stream = reader.into_inner();
            write!(
                stream,
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                 sec-websocket-accept: {accept}\r\nsec-websocket-protocol: tidewire.v1.json\r\n\r\n"
            )?;
            stream.set_nonblocking(true)?;
            viewers.push(stream);
            return Ok(());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if length > 0 {
            send(&frame(&body), viewers);
        }
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        if first.starts_with("GET") {
            return Ok(());
        }
    }
}

/// The body as a text frame.
fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match body.len() {
        n if n < 126 => frame.push(n as u8),
        n => {
            frame.push(126);
            frame.extend_from_slice(&(n as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(body);
    frame
}

/// One `send` a viewer. One that takes none is passed over: the floor keeps no queue.
fn send(frame: &[u8], viewers: &mut [TcpStream]) {
    for viewer in viewers {
        let _ = viewer.write(frame);
    }
}
