//! Inside: the first process. The code cannot signal it, trace it or outlive it.

use std::io::{Read, Write};
use std::os::fd::RawFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::outputs::{capture, gather, place};
use super::processes::{Processes, files};
use super::{FOLDER, NAME};
use crate::wire::{receive, receive_files, send, send_files};
use crate::{Ended, Job, Language, Limits, Report};

/// How often the limits on all processes together are looked at.
const SAMPLE: Duration = Duration::from_millis(10);

/// Does the job it reads, and tells what came of it.
pub fn keep() -> Result<(), String> {
    // What is in this process, its descriptors and memory, is not for the code to see.
    nix::sys::prctl::set_dumpable(false).map_err(|error| error.to_string())?;
    close_inherited()?;
    let told = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let job: Job = receive(std::io::stdin()).map_err(|error| told("no job", error))?;
    let files = receive_files(std::io::stdin(), job.limits.files, job.limits.disk);
    place(&files.map_err(|error| told("no files", error))?).map_err(|error| told("files do not fit", error))?;
    die_with_the_worker();
    let (mut report, kept) = perform(&job).map_err(|error| told("the code was not started", error))?;
    report.kept = kept;
    let mut out = std::io::stdout().lock();
    send(&mut out, &report)
        .and_then(|()| send_files(&mut out, &report.kept))
        .map_err(|error| told("no report", error))?;
    out.flush().map_err(|error| told("no report", error))
}

/// Whatever the worker's process had open and let slip is closed.
fn close_inherited() -> Result<(), String> {
    let open = std::fs::read_dir("/proc/self/fd").map_err(|error| format!("/proc/self/fd: {error}"))?;
    let open: Vec<RawFd> = open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one the list was read through is closed already.
        let _closed = nix::unistd::close(descriptor);
    }
    Ok(())
}

/// The worker keeps this end open as long as it wants an answer.
fn die_with_the_worker() {
    std::thread::spawn(|| {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(1)) {}
        std::process::exit(1);
    });
}

fn perform(job: &Job) -> std::io::Result<(Report, Vec<crate::File>)> {
    let begin = Instant::now();
    let mut code = spawn(job)?;
    let (out, err) = (code.stdout.take(), code.stderr.take());
    let most = job.limits.output;
    let out = std::thread::spawn(move || capture(out, most));
    let err = std::thread::spawn(move || capture(err, most));
    if let Some(mut stdin) = code.stdin.take() {
        let text = job.stdin.clone();
        // Code that does not read its input ends all the same.
        std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    }
    let mut processes = Processes::default();
    let ended = supervise(&code, &job.limits, begin, &mut processes);
    let wall_ms = millis(begin.elapsed());
    let leftover = end_all(&code);
    let report = |stdout, stderr, unkept| Report {
        ended,
        stdout,
        stderr,
        wall_ms,
        cpu_ms: processes.cpu_ms(),
        leftover,
        unkept,
        kept: Vec::new(),
    };
    let (stdout, stderr) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    let (kept, unkept) = gather(&job.keep, &job.limits);
    Ok((report(stdout, stderr, unkept), kept))
}

fn spawn(job: &Job) -> std::io::Result<Child> {
    let limits = serde_json::to_string(&job.limits)?;
    let program: [&str; 2] = match job.language {
        Language::Python => ["/usr/bin/python3", "/tmp/main.py"],
        Language::Shell => ["/bin/sh", "/tmp/main.sh"],
        Language::Probe => ["probe", "/tmp/probe.json"],
    };
    std::fs::write(program[1], &job.code)?;
    let mut command = Command::new("/proc/self/exe");
    command.args([NAME, "confine", &limits]).args(program).current_dir(FOLDER).env_clear();
    command.envs([("PATH", "/usr/bin:/bin"), ("HOME", FOLDER), ("USER", "sandbox"), ("LANG", "C.UTF-8")]);
    command.envs([("TMPDIR", "/tmp"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Waits for the code, and for nothing longer than a limit allows.
fn supervise(code: &Child, limits: &Limits, begin: Instant, processes: &mut Processes) -> Ended {
    let code = Pid::from_raw(i32::try_from(code.id()).unwrap_or(i32::MAX));
    loop {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            match status {
                WaitStatus::Exited(pid, status) if pid == code => {
                    return over(limits, processes, Ended::Exited(status));
                }
                WaitStatus::Signaled(pid, signal, _) if pid == code => {
                    return over(limits, processes, Ended::Signalled(signal as i32));
                }
                WaitStatus::StillAlive => break,
                _ => {}
            }
        }
        processes.look();
        if processes.hold_more_than(limits.memory) {
            return Ended::Memory;
        }
        if processes.cpu_ms() > limits.cpu_ms {
            return Ended::CpuTime;
        }
        if files() > limits.files {
            return Ended::Files;
        }
        if begin.elapsed() > Duration::from_millis(limits.wall_ms) {
            return Ended::WallTime;
        }
        std::thread::sleep(SAMPLE);
    }
}

/// The system's own limit on processor time ends a process by a signal.
fn over(limits: &Limits, processes: &mut Processes, ended: Ended) -> Ended {
    processes.look();
    let spent = matches!(ended, Ended::Signalled(signal) if signal == Signal::SIGXCPU as i32 || signal == Signal::SIGKILL as i32);
    if spent && processes.cpu_ms() + 1000 >= limits.cpu_ms { Ended::CpuTime } else { ended }
}

/// Ends every other process of the sandbox, and counts those that the code left behind.
fn end_all(code: &Child) -> u64 {
    let (code, mut ended) = (i32::try_from(code.id()).unwrap_or(i32::MAX), 0);
    loop {
        let _none_left = kill(Pid::from_raw(-1), Signal::SIGKILL);
        match waitpid(None, None) {
            Ok(WaitStatus::Signaled(pid, Signal::SIGKILL, _)) if pid.as_raw() != code => ended += 1,
            Ok(_) => {}
            Err(Errno::EINTR) => {}
            Err(_) => return ended,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
