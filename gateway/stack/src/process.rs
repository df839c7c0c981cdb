//! A server's process: started apart from the terminal, ended with its starter, found again after a crash.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::ready::until;
use crate::{StackError, spawner};

const POLITE: Duration = Duration::from_secs(10);

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
        let log = File::options().create(true).append(true).open(start.log).map_err(failed)?;
        let mut command = bound_to_us(start);
        command.args(&start.arguments).stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        // Ctrl-C in the terminal is for us; we end the servers in order.
        command.process_group(0).current_dir("/").env("LC_ALL", "C.UTF-8");
        Ok(Self { child: spawner::spawn(command).map_err(failed)?, ask: start.ask })
    }

    /// Whether it has ended, and how.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// Asks it to end, then ends it.
    pub(crate) fn stop(&mut self) {
        self.signal(self.ask);
        if until(POLITE, || self.ended()).is_none() {
            self.kill();
        }
    }

    /// Ends it and its children at once.
    pub(crate) fn kill(&mut self) {
        self.signal_group(Signal::SIGKILL);
        // Reaps it; a process that was killed ends.
        let _status = self.child.wait();
    }

    /// Stops its clock, and that of its children.
    pub(crate) fn pause(&self) {
        self.signal_group(Signal::SIGSTOP);
    }

    pub(crate) fn resume(&self) {
        self.signal_group(Signal::SIGCONT);
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }

    fn signal(&self, signal: Signal) {
        // It may have ended just now.
        let _gone = kill(self.pid(), signal);
    }

    /// Postgres' children have process groups of their own, so each is signalled by itself.
    fn signal_group(&self, signal: Signal) {
        // Looked up first: the children of a killed process are no longer its own.
        let children = children_of(self.pid());
        let _gone = killpg(self.pid(), signal);
        for child in children {
            let _gone = kill(child, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.resume();
            self.stop();
        }
    }
}

/// On Linux through setpriv(1), which makes the server end when we do and, under root, changes its user first.
fn bound_to_us(start: &Start<'_>) -> Command {
    let setpriv = crate::tools::find("setpriv", &["/usr/bin".into()], "util-linux");
    let Ok(setpriv) = setpriv.map_err(drop) else { return Command::new(start.program) };
    let mut command = Command::new(&setpriv);
    if let Some(user) = start.user {
        command.args([
            format!("--reuid={user}"),
            format!("--regid={user}"),
            "--init-groups".to_owned(),
            "--".to_owned(),
        ]);
        command.arg(&setpriv);
    }
    let signal = if start.ask == Signal::SIGINT { "INT" } else { "TERM" };
    command.args(["--pdeathsig", signal, "--"]).arg(start.program);
    command
}

fn children_of(parent: Pid) -> Vec<Pid> {
    let parent = parent.to_string();
    let is_child = |pid: &Pid| stat_field(*pid, 1).as_deref() == Some(parent.as_str());
    processes().into_iter().filter(is_child).collect()
}

/// A field of `/proc/PID/stat` after the name (proc(5)): 0 is the state, 1 the parent.
fn stat_field(pid: Pid, index: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(index).map(str::to_owned)
}

fn processes() -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
    entries.filter_map(number).map(Pid::from_raw).collect()
}

/// Ends what a crashed instance left running: every process whose command line names the folder.
pub(crate) fn end_leftovers(folder: &Path) {
    let name = PathBuf::from(folder).display().to_string();
    let leftovers = || {
        let ours = |pid: &Pid| {
            *pid != Pid::this()
                && command_line(*pid).is_some_and(|(program, line)| is_server(&program) && line.contains(&name))
        };
        processes().into_iter().filter(ours).collect::<Vec<_>>()
    };
    for pid in leftovers() {
        let _gone = kill(pid, Signal::SIGCONT);
        let _gone = kill(pid, Signal::SIGTERM);
    }
    if until(Duration::from_secs(3), || leftovers().is_empty().then_some(())).is_none() {
        for pid in leftovers() {
            let _gone = kill(pid, Signal::SIGKILL);
        }
        until(Duration::from_secs(3), || leftovers().is_empty().then_some(()));
    }
}

fn is_server(program: &str) -> bool {
    ["postgres", "nats-server", "redis-server"].iter().any(|server| program.ends_with(server))
}

fn command_line(pid: Pid) -> Option<(String, String)> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut parts = line.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned());
    let program = parts.next()?;
    Some((program, parts.collect::<Vec<_>>().join(" ")))
}
