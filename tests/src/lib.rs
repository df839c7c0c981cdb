//! What the targets of this room share: waiting for conditions, folders, the clock, examples of events, the lines appenders
//! speak in. No code of the product: see `e2e/`, `faults/`, `bench/` and `tidy/`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod chat;
mod command;
mod console;
mod examples;
mod history;
mod jaeger;
mod loki;
mod mcp;
mod opa;
mod ran;
mod said;
mod schemathesis;
mod stack_tools;
mod tool;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use xagent_ledger::Clock;
use xagent_stack::StackError;

pub use chat::{ChatRequest, ChatServer, Script};
pub use command::Command;
pub use console::Browser;
pub use examples::{Examples, Parts, names};
pub use history::{Asks, HARMLESS, History};
pub use jaeger::JaegerProcess;
pub use loki::{LokiProcess, loki};
pub use mcp::McpTools;
pub use opa::{OpaProcess, opa};
pub use ran::{Ran, cpu_ticks, peak_mib, ran, release_binary, xagent_on};
pub use said::{Acknowledged, Said};
pub use schemathesis::schemathesis;
pub use stack_tools::{StackTools, installed, root, succeeded};
pub use tool::{registered, registration};

/// The longest a condition is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The machine's clock.
pub struct Now;

impl Clock for Now {
    #[expect(clippy::disallowed_methods, reason = "tests read the machine's clock")]
    fn now_us(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_micros()).unwrap()
    }
}

/// Waits for a condition; panics where it does not come true in time.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(20));
    loop {
        look.tick().await;
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain until {what}", PATIENCE.as_secs());
    }
}

/// Does what blocks on a thread for it.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StackError> + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap().unwrap()
}

/// A folder that the user `postgres` can pass through.
pub fn folder(prefix: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let root = std::env::var_os("XAGENT_TEST_ROOT").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(root).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    folder
}
