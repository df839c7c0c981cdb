//! Waiting for a condition, with a deadline.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::StackError;
use crate::process::Process;

/// How long a server may take to get ready.
const READINESS: Duration = Duration::from_secs(30);
/// More than any answer that is waited for.
const ANSWER: usize = 16 * 1024;

/// Looks again and again until `condition` gives something, for at most `patience`.
pub(crate) fn until<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = condition() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a server answers as it should, or says why it does not.
pub(crate) fn ready(
    server: &'static str,
    log: &Path,
    process: &mut Process,
    answers: impl Fn() -> bool,
) -> Result<(), StackError> {
    let found = until(READINESS, || match process.ended() {
        Some(status) => Some(Err(format!("it ended with {status}"))),
        None => answers().then_some(Ok(())),
    });
    let not_ready = |detail: String| {
        let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        StackError::NotReady { server, detail, log: log.to_owned(), tail }
    };
    found.unwrap_or_else(|| Err(format!("no answer in {} s", READINESS.as_secs()))).map_err(not_ready)
}

/// Sends `greeting` to a loopback port and tells whether the answer comes to hold one of `expected`.
pub(crate) fn answers(port: u16, greeting: &[u8], expected: &[&[u8]]) -> bool {
    let patience = Duration::from_millis(500);
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(greeting)?;
        let (mut answer, mut part) = (Vec::new(), [0; 1024]);
        while answer.len() < ANSWER {
            let length = stream.read(&mut part)?;
            if length == 0 {
                break;
            }
            answer.extend_from_slice(&part[..length]);
            if expected.iter().any(|word| answer.windows(word.len()).any(|window| window == *word)) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    ask().unwrap_or(false)
}
