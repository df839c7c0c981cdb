//! An upstream as a child process: nothing of this process's environment, a process group of its own, killed with it.

use std::collections::BTreeMap;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rmcp::service::{RoleClient, ServiceExt};
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::process::Command;
use xagent_domain::upstream::Setting;

use super::secrets::resolved;
use super::slot::Connection;

/// A longer message of a child is dropped: its call comes to nothing when its time is up.
const LONGEST_MESSAGE: usize = 8 * 1024 * 1024;

/// A child process and all it started; they end when this is dropped.
pub(super) struct Child {
    group: Option<Pid>,
    /// Not waited for before it is dropped: until then the number of the group is nobody else's.
    _process: tokio::process::Child,
}

impl Child {
    /// Ends it and all it started.
    pub fn end(&self) {
        if let Some(group) = self.group {
            let _gone = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts the program and lets it introduce itself.
pub(super) async fn start(
    program: &str,
    arguments: &[String],
    environment: &BTreeMap<String, Setting>,
) -> Result<Connection, String> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(resolved(environment)?).current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut process = command.spawn().map_err(|error| format!("`{program}`: {error}"))?;
    let group = process.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let (stdin, stdout) = (process.stdin.take(), process.stdout.take());
    let child = Child { group, _process: process };
    let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
        return Err("it has no standard input and output".to_owned());
    };
    let transport = AsyncRwTransport::<RoleClient, _, _>::new(stdout, stdin).with_max_line_length(LONGEST_MESSAGE);
    let service = ().serve(transport).await.map_err(|error| format!("`{program}`: {error}"))?;
    Ok(Connection { service, child: Some(child) })
}
