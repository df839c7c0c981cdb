//! Finding installed programs, running set-up commands, secrets.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::RngCore;

use crate::StackError;

/// A program on the PATH, in the places servers are installed to, or in `more`.
pub(crate) fn find(program: &'static str, more: &[PathBuf], package: &'static str) -> Result<PathBuf, StackError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from);
    let folders = more.iter().cloned().chain(std::env::split_paths(&path)).chain(usual);
    let mut candidates = folders.map(|folder| folder.join(program));
    candidates.find(|candidate| candidate.is_file()).ok_or(StackError::Missing { program, package })
}

/// Runs a set-up command to its end.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<(), StackError> {
    let failed = |detail: String| StackError::SetUp { what: what.to_owned(), detail };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr, output.stdout].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    Err(failed(format!("{}: {}", output.status, said.join("\n"))))
}

/// The secret in `file`, drawn where there is none yet; readable by its owner only.
pub(crate) fn secret(file: &Path) -> Result<String, StackError> {
    if let Ok(secret) = std::fs::read_to_string(file) {
        return Ok(secret);
    }
    let mut bytes = [0; 24];
    rand::rng().fill_bytes(&mut bytes);
    let secret = hex::encode(bytes);
    write_private(file, &secret)?;
    Ok(secret)
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(file: &Path, text: &str) -> Result<(), StackError> {
    use std::io::Write;
    let open = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
    open.and_then(|mut open| open.write_all(text.as_bytes())).map_err(|error| StackError::file(file, &error))
}

/// Whether this process is root, under which Postgres refuses to run.
pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}
