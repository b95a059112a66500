//! The binary, started for a test.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a start may take before the test gives up; on a busy machine it is slow.
const START_WITHIN: Duration = Duration::from_mins(1);

/// Events as NDJSON.
pub fn lines(events: &[serde_json::Value]) -> String {
    events.iter().fold(String::new(), |text, event| text + &event.to_string() + "\n")
}

/// A running server. Killed when dropped.
pub struct Server {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub address: String,
    config: PathBuf,
    data: PathBuf,
    environment: Vec<(&'static str, PathBuf)>,
}

/// How a program ended that was not meant to go on.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Compiles what is loaded before the C library.
pub fn preload(dir: &Path, name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(name).with_extension("c");
    let library = dir.join(name).with_extension("so");
    let mut compiler = Command::new("cc");
    let compiled = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    assert!(compiled.expect("a C compiler").success());
    library
}

/// Runs the program to its end.
pub fn tidewire<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_tidewire"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the binary was built for this test");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Server {
    /// Writes the configuration into `dir` and starts it with its data there.
    pub fn start(dir: &Path, config: &str) -> Self {
        let path = dir.join("tidewire.yaml");
        std::fs::write(&path, config).expect("the test's directory can be written");
        Self::spawn(path, dir.join("data"), "127.0.0.1:0", Vec::new())
    }

    /// The same, with a disk that is full while the file exists that this gives back.
    pub fn start_on_a_disk_that_fills(dir: &Path, config: &str) -> (Self, PathBuf) {
        let (library, full) = (preload(dir, "full_disk"), dir.join("full"));
        let path = dir.join("tidewire.yaml");
        std::fs::write(&path, config).expect("the test's directory can be written");
        let data = dir.join("data");
        let environment =
            vec![("LD_PRELOAD", library), ("FULL_DISK_WHILE", full.clone()), ("FULL_DISK_DIR", data.clone())];
        (Self::spawn(path, data, "127.0.0.1:0", environment), full)
    }

    /// The same, with a wall clock that is ahead by the seconds in the file that this gives back.
    pub fn start_with_a_clock_that_jumps(dir: &Path, config: &str) -> (Self, PathBuf) {
        let (library, offset) = (preload(dir, "jumping_clock"), dir.join("offset"));
        let path = dir.join("tidewire.yaml");
        std::fs::write(&path, config).expect("the test's directory can be written");
        let environment = vec![("LD_PRELOAD", library), ("CLOCK_OFFSET", offset.clone())];
        (Self::spawn(path, dir.join("data"), "127.0.0.1:0", environment), offset)
    }

    /// A server whose log goes to a file, as JSON, with everything that is at least `info`;
    /// the file's path.
    pub fn start_logging(dir: &Path, config: &str) -> (Self, PathBuf) {
        let (path, log) = (dir.join("tidewire.yaml"), dir.join("log"));
        std::fs::write(&path, config).expect("the test's directory can be written");
        let environment = vec![("TEST_LOG", log.clone())];
        (Self::spawn(path, dir.join("data"), "127.0.0.1:0", environment), log)
    }

    fn spawn(config: PathBuf, data: PathBuf, listen: &str, environment: Vec<(&'static str, PathBuf)>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
        command.arg("serve").arg("-c").arg(&config).args(["--listen", listen]);
        command.arg("--data-dir").arg(&data);
        command.envs(environment.iter().map(|(name, value)| (name, value))).env("TIDEWIRE_LOG", "warn");
        if let Some((_, log)) = environment.iter().find(|(name, _)| *name == "TEST_LOG") {
            let log = std::fs::File::options().create(true).append(true).open(log).expect("a file");
            command.env("TIDEWIRE_LOG", "info").stderr(log);
        }
        let (child, address) = launch(command);
        Self { child, address, config, data, environment }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// SIGKILL, at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM; the exit code and how long it took.
    pub fn terminate(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        // SAFETY: kill(2) with the number of a child that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let status = self.child.wait().expect("the child is ours to wait for");
        (status.code(), began.elapsed())
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        // SAFETY: kill(2) with the number of a child that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGHUP) };
    }

    /// Starts it again on the same port and data, after [`Server::kill`] or [`Server::terminate`].
    pub fn restart(&mut self) {
        let (config, data, environment) = (self.config.clone(), self.data.clone(), self.environment.clone());
        let again = Self::spawn(config, data, &self.address.clone(), environment);
        *self = again;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a server's command and waits for its address.
pub fn launch(mut command: Command) -> (Child, String) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the binary was built for this test");
    let stdout = child.stdout.take().expect("it was piped");
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let line = loop {
        let line = lines.recv_timeout(START_WITHIN).expect("the server says where it listens");
        if line.contains("listens on") {
            break line;
        }
    };
    let after = line.split("http://").nth(1).expect("the line names the address");
    let address = after.split(['/', ' ']).next().expect("split yields at least one").to_owned();
    (child, address)
}
