//! Finding installed programs, running set-up commands, secrets.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::RngCore;

use crate::StackError;

/// What a server or a tool gets to see of our environment. The rest may hold secrets of ours, or settings such as
/// `PGHOSTADDR` that would send it elsewhere.
const PASSED_ON: [&str; 5] = ["PATH", "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH"];

/// A program on the PATH, in the places servers are installed to, or in `more`.
pub(crate) fn find(program: &'static str, more: &[PathBuf], package: &'static str) -> Result<PathBuf, StackError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"];
    let usual = usual.iter().chain(&["/home/linuxbrew/.linuxbrew/bin"]).map(PathBuf::from);
    let folders = more.iter().cloned().chain(std::env::split_paths(&path)).chain(usual);
    let mut candidates = folders.map(|folder| folder.join(program));
    candidates.find(|candidate| is_program(candidate)).ok_or(StackError::Missing { program, package })
}

/// Whether this file can be run.
pub(crate) fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Gives a command a small, known environment and a folder that every user can enter.
pub(crate) fn plain(command: &mut Command) {
    command.env_clear().current_dir("/").env("LC_ALL", "C");
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
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
    if let Some(secret) = remembered(file) {
        return Ok(secret);
    }
    let secret = random::<24>();
    write_private(file, &secret)?;
    Ok(secret)
}

/// What a file of ours says, where it says anything.
pub(crate) fn remembered(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// So many random bytes, in hexadecimal.
pub(crate) fn random<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(file: &Path, text: &str) -> Result<(), StackError> {
    use std::io::Write;
    let part = PathBuf::from(format!("{}.part", file.display()));
    let write = || {
        let mut open = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        open.set_permissions(fs::Permissions::from_mode(0o600))?;
        open.write_all(text.as_bytes())?;
        open.sync_all()?;
        fs::rename(&part, file)
    };
    write().map_err(|error| StackError::file(file, &error))
}

/// Whether this process is root, under which Postgres refuses to run.
pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}
