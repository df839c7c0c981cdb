//! Why a private server does not run.

use std::path::{Path, PathBuf};

/// An error of the stack, with what to do next in its words.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A server is not installed.
    #[error("`{program}` is not installed: install {package}")]
    Missing {
        /// The program.
        program: &'static str,
        /// What to install, per system.
        package: &'static str,
    },
    /// A file or folder is in the way.
    #[error("{path}: {detail}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// A command of a server's set-up failed.
    #[error("{what} failed: {detail}")]
    SetUp {
        /// What.
        what: String,
        /// Its words.
        detail: String,
    },
    /// A server did not get ready.
    #[error("{server} did not get ready: {detail}\nthe end of its log ({log}):\n{tail}")]
    NotReady {
        /// Which.
        server: &'static str,
        /// Why.
        detail: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// The server is not private, so it is not ours to stop.
    #[error("{0} is not a private server of this instance")]
    NotPrivate(&'static str),
    /// Another process holds the folder.
    #[error("another xagent runs in {folder} (pid {}): stop it, or choose another folder with --home", number(*.pid))]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The process, where it has said so.
        pid: Option<u32>,
    },
}

impl StackError {
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::File { path: path.to_owned(), detail: error.to_string() }
    }
}

fn number(pid: Option<u32>) -> String {
    pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}
