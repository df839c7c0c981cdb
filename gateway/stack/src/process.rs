//! A server's process: started apart from the terminal, ended with its starter, found again after a crash.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::ready::until;
use crate::{StackError, spawner, table, tools};

const POLITE: Duration = Duration::from_secs(10);
/// How long the system may take to carry out a signal that cannot be refused.
const CARRIED_OUT: Duration = Duration::from_secs(5);

/// A running server.
pub(crate) struct Process {
    child: Child,
    /// The signal that asks it to end.
    ask: Signal,
}

/// How a server is started.
pub(crate) struct Start<'a> {
    pub program: &'a Path,
    pub arguments: Vec<String>,
    /// The user to run as, where that is another one.
    pub user: Option<&'a str>,
    pub log: &'a Path,
    pub ask: Signal,
}

impl Process {
    pub(crate) fn start(start: &Start<'_>) -> Result<Self, StackError> {
        let failed = |error: std::io::Error| StackError::file(start.program, &error);
        let log = File::options().create(true).append(true).open(start.log);
        let log = log.map_err(|error| StackError::file(start.log, &error))?;
        let mut command = bound_to_us(start.program, start.user, start.ask);
        command.args(&start.arguments).stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        // Ctrl-C in the terminal is for us; we end the servers in order.
        command.process_group(0);
        Ok(Self { child: spawner::spawn(command).map_err(failed)?, ask: start.ask })
    }

    /// Whether it has ended, and how.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// Asks it to end, then ends it.
    pub(crate) fn stop(&mut self) {
        self.resume();
        if self.ended().is_none() {
            // It may have ended just now; until it is reaped its number is its own.
            let _gone = kill(self.pid(), self.ask);
        }
        if until(POLITE, || self.ended()).is_none() {
            self.kill();
        }
    }

    /// Ends it and its children at once.
    pub(crate) fn kill(&mut self) {
        if self.ended().is_some() {
            return;
        }
        // Looked up first: the children of a killed process are no longer its own.
        let family = table::family(self.pid());
        self.signal(Signal::SIGKILL, &family);
        // Reaps it; a process that was killed ends.
        let _status = self.child.wait();
        // A child that still ends holds on to the memory its successor needs.
        until(CARRIED_OUT, || table::alive(&family).is_empty().then_some(()));
    }

    /// Stops its clock, and that of its children.
    pub(crate) fn pause(&mut self) {
        if self.ended().is_some() {
            return;
        }
        // It first, so that it has no further children.
        self.signal(Signal::SIGSTOP, &[]);
        until(CARRIED_OUT, || table::still(&[self.pid()]).then_some(()));
        let family = table::family(self.pid());
        self.signal(Signal::SIGSTOP, &family);
        until(CARRIED_OUT, || table::still(&family).then_some(()));
    }

    /// Lets it and its children go on.
    pub(crate) fn resume(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::SIGCONT, &table::family(self.pid()));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }

    /// Postgres' children have process groups of their own, so each is signalled by itself.
    fn signal(&self, signal: Signal, family: &[Pid]) {
        let _gone = killpg(self.pid(), signal);
        signal_all(family, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.stop();
        }
    }
}

/// A command on Linux through setpriv(1), which makes it end when we do and, under root, changes its user first.
pub(crate) fn bound_to_us(program: &Path, user: Option<&str>, ask: Signal) -> Command {
    let mut command = match tools::find("setpriv", &["/usr/bin".into()], "util-linux") {
        Err(_) => Command::new(program),
        Ok(setpriv) => {
            let mut command = Command::new(&setpriv);
            if let Some(user) = user {
                command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups", "--"]);
                // A change of user clears the signal (prctl(2)), so that it is set by a second one.
                command.arg(&setpriv);
            }
            let signal = if ask == Signal::SIGINT { "INT" } else { "TERM" };
            command.args(["--pdeathsig", signal, "--"]).arg(program);
            command
        }
    };
    tools::plain(&mut command);
    command
}

/// Ends what a crashed instance left running: the servers whose command line names one of these paths.
pub(crate) fn end_leftovers(paths: &[&Path], ask: Signal) {
    let servers: Vec<Pid> = paths.iter().flat_map(|path| table::servers_of(path)).collect();
    if servers.is_empty() {
        return;
    }
    let family: Vec<Pid> = servers.iter().flat_map(|pid| table::family(*pid)).collect();
    signal_all(&family, Signal::SIGCONT);
    signal_all(&servers, ask);
    if until(POLITE, || table::alive(&family).is_empty().then_some(())).is_none() {
        signal_all(&table::alive(&family), Signal::SIGKILL);
        until(CARRIED_OUT, || table::alive(&family).is_empty().then_some(()));
    }
}

fn signal_all(pids: &[Pid], signal: Signal) {
    for pid in pids {
        // It may have ended just now.
        let _gone = kill(*pid, signal);
    }
}
