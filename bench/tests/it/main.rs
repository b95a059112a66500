//! The load generator against the bare loop: what is sent is what is counted.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    sync::atomic::Ordering,
};

use bench::{
    Outcome,
    server::{Server, free_address},
    viewers::{Viewers, Way},
};

#[test]
fn every_viewer_gets_every_body() -> Outcome {
    let address = free_address()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_rawcast"));
    command.arg(address.to_string());
    let server = Server::start(command, address, "/ready")?;
    let viewers = Viewers::open(address, 20, Way::Socket(&[r#"{"op":"subscribe","ref":1,"feed":"latest"}"#]))?;
    let mut publisher = TcpStream::connect(address)?;
    let bodies = ["x".repeat(100), "x".repeat(1000), "x".repeat(200)];
    for body in &bodies {
        write!(publisher, "POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
        // Answered after it was sent to all.
        let mut answer = [0; 64];
        let n = publisher.read(&mut answer)?;
        assert!(answer[..n].starts_with(b"HTTP/1.1 200"));
    }
    viewers.settle();
    assert_eq!(viewers.received.frames.load(Ordering::Relaxed), 60);
    assert_eq!(viewers.received.bytes.load(Ordering::Relaxed), 20 * (102 + 1004 + 204));
    assert!(server.cpu().is_ok());
    server.kill()
}
