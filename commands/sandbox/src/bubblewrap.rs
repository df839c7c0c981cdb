//! Isolation by bubblewrap: namespaces, and inside them Landlock, seccomp and limits.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::stage::{Entry, NAME};
use crate::wire::{receive, receive_files, send, send_files};
use crate::{Isolation, Job, Language, Report, Sandbox, SandboxError, Stop, probe};

/// What is kept of what bubblewrap says when it fails, in bytes.
const SAID: u64 = 2048;
/// Where bubblewrap is looked for; the path of whoever started us is not.
const PLACES: [&str; 3] = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"];

/// A sandbox by bubblewrap.
#[derive(Debug)]
pub struct Bubblewrap {
    program: PathBuf,
    bubblewrap: PathBuf,
    isolation: Isolation,
}

impl Bubblewrap {
    /// The sandbox of this host, once nothing could break out of it.
    pub fn probed(program: &Path) -> Result<Self, SandboxError> {
        let missing =
            || SandboxError::Unavailable("bubblewrap is not installed (Debian: apt-get install bubblewrap)".into());
        let bubblewrap = PLACES.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(missing)?;
        let version = version(&bubblewrap)?;
        let isolation = probe::probe(&version, |job| run(program, &bubblewrap, &job, &Stop::default()));
        let isolation = isolation.map_err(|error| match error {
            SandboxError::Broken(why) => SandboxError::Unavailable(why),
            other => other,
        })?;
        Ok(Self { program: program.to_owned(), bubblewrap, isolation })
    }
}

impl Sandbox for Bubblewrap {
    fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    fn run(&self, job: Job, stop: &Stop) -> Result<Report, SandboxError> {
        let language = job.language.name();
        if job.language == Language::Probe || !self.isolation.languages.contains_key(language) {
            return Err(SandboxError::Language { language, reason: "its interpreter is not installed".to_owned() });
        }
        run(&self.program, &self.bubblewrap, &job, stop)
    }
}

fn version(bubblewrap: &Path) -> Result<String, SandboxError> {
    let said = Command::new(bubblewrap).arg("--version").env_clear().output();
    let said = said.map_err(|error| SandboxError::Unavailable(format!("{}: {error}", bubblewrap.display())))?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// The thread that starts a sandbox must outlive it: bubblewrap ends with it (`--die-with-parent`).
fn run(program: &Path, bubblewrap: &Path, job: &Job, stop: &Stop) -> Result<Report, SandboxError> {
    let broken = |error: std::io::Error| SandboxError::Broken(error.to_string());
    let entry = Entry { bubblewrap: bubblewrap.to_owned(), disk: job.limits.disk };
    let entry = serde_json::to_string(&entry).map_err(|error| SandboxError::Broken(error.to_string()))?;
    let mut command = Command::new(program);
    command.args([NAME, "enter", &entry]).env_clear().current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(broken)?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    stop.guard(child);
    let (Some(stdin), Some(stdout), Some(mut stderr)) = pipes else {
        stop.finished();
        return Err(SandboxError::Broken("it has no pipes".to_owned()));
    };
    // Its end of the input stays open as long as the answer is waited for: the sandbox ends when it closes.
    let told = tell(&stdin, job).and_then(|()| listen(stdout, job));
    stop.finished();
    drop(stdin);
    let (mut said, stopped) = (Vec::new(), stop.is_stopped());
    let _as_far_as_it_came = Read::by_ref(&mut stderr).take(SAID).read_to_end(&mut said);
    told.map_err(|error| {
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        if stopped {
            SandboxError::Stopped
        } else {
            SandboxError::Broken(if said.is_empty() { error.to_string() } else { said })
        }
    })
}

fn tell(mut stdin: impl Write, job: &Job) -> std::io::Result<()> {
    send(&mut stdin, job)?;
    send_files(&mut stdin, &job.files)?;
    stdin.flush()
}

fn listen(mut stdout: impl Read, job: &Job) -> std::io::Result<Report> {
    let mut report: Report = receive(&mut stdout)?;
    report.kept = receive_files(&mut stdout, job.limits.files, job.limits.disk)?;
    Ok(report)
}
