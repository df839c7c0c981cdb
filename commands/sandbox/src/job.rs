//! What is to be run, within which limits, and what came of it.

use serde::{Deserialize, Serialize};

/// What the code is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Python 3.
    Python,
    /// POSIX shell.
    Shell,
    /// The attempts to break out that are made before anything else is run.
    Probe,
}

impl Language {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Shell => "shell",
            Self::Probe => "probe",
        }
    }
}

/// Limits of a job. Each is kept; none is zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From its start to its end, in milliseconds.
    pub wall_ms: u64,
    /// Processor time of all its processes, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory of all its processes, and address space of each, in bytes.
    pub memory: u64,
    /// Processes and threads at once.
    pub processes: u64,
    /// What its files may hold: once in its folder, once in `/tmp`; in bytes.
    pub disk: u64,
    /// What is kept of each of its outputs, in bytes.
    pub output: u64,
    /// Files a process may have open.
    pub open_files: u64,
    /// Files and folders there may be at once, in each place that can be written.
    pub files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_ms: 30_000,
            cpu_ms: 30_000,
            memory: 512 << 20,
            processes: 32,
            disk: 64 << 20,
            output: 64 << 10,
            open_files: 128,
            files: 10_000,
        }
    }
}

/// A file on its way in or out. Its path is relative, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Code to be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What the code is written in.
    pub language: Language,
    /// The code.
    pub code: String,
    /// What it reads from its standard input.
    pub stdin: String,
    /// Its limits.
    pub limits: Limits,
    /// Paths whose files come back, and what lies under them.
    pub keep: Vec<String>,
    /// Copies it works on.
    #[serde(skip)]
    pub files: Vec<File>,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It was stopped: it took too long.
    WallTime,
    /// It was stopped: it used too much processor time.
    CpuTime,
    /// It was stopped: it used too much memory.
    Memory,
    /// It was stopped: it made too many files.
    Files,
}

/// The beginning of an output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Up to the limit; what is no UTF-8 is replaced.
    pub text: String,
    /// How long all of it was, in bytes.
    pub bytes: u64,
    /// Whether something was cut off.
    pub truncated: bool,
}

/// A file that was to be kept, and was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unkept {
    /// Where it was.
    pub path: String,
    /// Why it was left.
    pub reason: String,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub ended: Ended,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error.
    pub stderr: Output,
    /// How long it took, in milliseconds.
    pub wall_ms: u64,
    /// Processor time of all its processes, in milliseconds.
    pub cpu_ms: u64,
    /// Processes it left behind, which were ended.
    pub leftover: u64,
    /// What could not be kept.
    pub unkept: Vec<Unkept>,
    /// What is kept.
    #[serde(skip)]
    pub kept: Vec<File>,
}
