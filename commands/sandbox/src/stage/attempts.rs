//! Attempts to break out, made under the very restrictions code is run under, before any code is.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::unistd::{Pid, getpid, getuid};
use serde::{Deserialize, Serialize};

use super::FOLDER;

/// What there is outside for the attempts to reach.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// A file that exists, and everybody may read.
    pub file: String,
    /// A port of loopback that somebody listens on.
    pub port: u16,
    /// A process that lives.
    pub process: i32,
}

/// What the attempts found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Found {
    /// What succeeded and must not.
    pub escapes: Vec<String>,
    /// What failed and must not.
    pub missing: Vec<String>,
    /// How far Landlock is in force: `full`, `partial` or `none`.
    pub landlock: String,
}

/// Tries, prints what was found, and ends.
pub fn attempt(path: &str, landlock: &str) -> Result<Infallible, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let outside: Attempt = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let found = Found { escapes: escapes(&outside), missing: missing(), landlock: landlock.to_owned() };
    println!("{}", serde_json::to_string(&found).map_err(|error| error.to_string())?);
    std::process::exit(0)
}

fn escapes(outside: &Attempt) -> Vec<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], outside.port));
    let written = |path: &str| std::fs::write(path, "x").is_ok();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let says = |line: &str| status.lines().any(|found| found.split_whitespace().eq(line.split_whitespace()));
    let tried = [
        ("a file of the host could be read", std::fs::read(&outside.file).is_ok()),
        ("the host's loopback could be reached", TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()),
        ("a process of the host can be seen", outside.process > 100 && sees(outside.process)),
        ("the system can be written", written("/usr/xagent-probe") || written("/xagent-probe")),
        ("settings of the kernel can be written", written("/proc/sys/kernel/core_pattern")),
        ("the first process can be read", std::fs::read("/proc/1/environ").is_ok()),
        ("it is root", getuid().is_root()),
        ("it has capabilities", !says("CapEff: 0000000000000000") || !says("CapBnd: 0000000000000000")),
        ("it may gain privileges", !says("NoNewPrivs: 1")),
        ("its system calls are not filtered", !says("Seccomp: 2")),
    ];
    tried.into_iter().filter(|(_, succeeded)| *succeeded).map(|(what, _)| what.to_owned()).collect()
}

/// Only its own few processes have numbers here.
fn sees(process: i32) -> bool {
    getpid().as_raw() == process || nix::sys::signal::kill(Pid::from_raw(process), None).is_ok()
}

fn missing() -> Vec<String> {
    let written = |folder: &str| std::fs::write(format!("{folder}/probe"), "x").is_ok();
    let needed = [FOLDER, "/tmp", "/dev/shm"].into_iter().filter(|folder| !written(folder));
    needed.map(|folder| format!("{folder} cannot be written")).collect()
}
