//! Starts and stops the program that is measured.

use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{Outcome, process};

/// A program that was started, and is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start to the first answer that it is ready.
    pub ready_after: Duration,
}

/// The program: `TIDEWIRE_BIN`, or that of the release build.
pub fn program() -> Outcome<PathBuf> {
    if let Some(path) = env::var_os("TIDEWIRE_BIN") {
        return Ok(path.into());
    }
    let beside = sibling("tidewire")?;
    if beside.exists() {
        return Ok(beside);
    }
    Err(format!("{} is missing: run `make bench`, or set TIDEWIRE_BIN", beside.display()).into())
}

/// A program that cargo built into the same folder as this one.
pub fn sibling(name: &str) -> Outcome<PathBuf> {
    let own = env::current_exe()?;
    Ok(own.parent().ok_or("a program without a folder")?.join(name))
}

/// A port that nothing listens on now.
pub fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Server {
    /// Writes a configuration into `dir`, where the data goes too, and serves it.
    pub fn tidewire(dir: &Path, configuration: &str) -> Outcome<Self> {
        let file = dir.join("tidewire.yaml");
        let address = free_address()?;
        let data = dir.join("data");
        let head = format!("listen: {address}\ndata_dir: {}\n", data.display());
        fs::write(&file, head + configuration)?;
        let mut command = Command::new(program()?);
        // Its first line would stand among the figures.
        command.args(["serve", "--log", "warn", "-c"]).arg(&file);
        Self::start(command, address, "/readyz")
    }

    /// Starts a program and waits until `path` is answered with 200.
    pub fn start(mut command: Command, address: SocketAddr, path: &str) -> Outcome<Self> {
        let began = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut server = Self { child, address, ready_after: Duration::ZERO };
        // A poll every 2 ms: the resolution of `ready_after`.
        while !get(address, path).is_ok_and(|(status, _)| status == 200) {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("the server ended before it was ready: {status}").into());
            }
            if began.elapsed() > Duration::from_mins(2) {
                return Err("the server was not ready within 120 s".into());
            }
            sleep(Duration::from_millis(2));
        }
        server.ready_after = began.elapsed();
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its CPU time so far.
    pub fn cpu(&self) -> Outcome<Duration> {
        process::cpu(self.pid())
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `SIGKILL`, and waits until it is gone.
    pub fn kill(mut self) -> Outcome {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already; there is nothing to do about an error here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One GET on a connection of its own: the status and the whole answer.
pub fn get(address: SocketAddr, path: &str) -> Outcome<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("an answer that is not HTTP")?;
    Ok((status, text))
}
