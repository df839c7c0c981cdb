//! A stock OPA: where it is, and a server of it that can be killed and started again.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The version that the tests are held against.
const VERSION: &str = include_str!("../../policies/opa/VERSION");

/// The stock OPA that `./dev test` installs. Where a change is judged (`CI`) there must be one; elsewhere its absence is
/// said aloud, and the caller leaves its test.
pub fn opa(test: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let usual = root.join(".xagent/tools").join(format!("opa-{}", VERSION.trim()));
    let named = std::env::var_os("XAGENT_TEST_OPA").map(PathBuf::from);
    if let Some(found) = named.into_iter().chain([usual]).find(|file| file.is_file()) {
        return Some(found);
    }
    assert!(std::env::var_os("CI").is_none(), "{test}: there is no OPA {VERSION}; `./dev test` installs it");
    eprintln!("SKIPPED {test}: there is no OPA {VERSION}; `./dev test` installs it");
    None
}

/// A server of it.
pub struct OpaProcess {
    program: PathBuf,
    arguments: Vec<String>,
    log: Option<PathBuf>,
    port: u16,
    child: Option<Child>,
}

impl OpaProcess {
    /// Starts a server with these further arguments on a free loopback port and waits until it listens.
    pub fn start(program: &Path, arguments: &[String]) -> Self {
        Self::with(program, arguments, None)
    }

    /// The same, with its log in a file.
    pub fn start_logging(program: &Path, arguments: &[String], log: &Path) -> Self {
        Self::with(program, arguments, Some(log.to_owned()))
    }

    fn with(program: &Path, arguments: &[String], log: Option<PathBuf>) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut opa = Self { program: program.to_owned(), arguments: arguments.to_vec(), log, port, child: None };
        opa.restart();
        opa
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again at the same place.
    pub fn restart(&mut self) {
        self.kill();
        let address = format!("127.0.0.1:{}", self.port);
        let mut command = Command::new(&self.program);
        command.args(["run", "--server", "--disable-telemetry", "--log-level", "error", "--addr", &address]);
        let log = self
            .log
            .as_ref()
            .map_or_else(Stdio::null, |log| File::options().create(true).append(true).open(log).unwrap().into());
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let deadline = Instant::now() + crate::PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none() && Instant::now() < deadline, "OPA does not listen: {ended:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for OpaProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
