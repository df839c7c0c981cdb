//! Whether this host isolates code: found by trying to break out, not by asking for versions.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;

use crate::stage::{Attempt, Found};
use crate::{Ended, Isolation, Job, Language, Limits, Report, SandboxError};

/// Makes the attempts through `run` and says what isolates; a single success means that nothing is run here.
pub fn probe(version: &str, run: impl FnOnce(Job) -> Result<Report, SandboxError>) -> Result<Isolation, SandboxError> {
    let unavailable = |what: &str, error: String| SandboxError::Unavailable(format!("{what}: {error}"));
    let mut file =
        tempfile::NamedTempFile::new().map_err(|error| unavailable("no temporary file", error.to_string()))?;
    let written = file.write_all(b"outside").and_then(|()| readable(file.path()));
    written.map_err(|error| unavailable("no temporary file", error.to_string()))?;
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| unavailable("no loopback", error.to_string()))?;
    let port = listener.local_addr().map_err(|error| unavailable("no loopback", error.to_string()))?.port();
    let process = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    let attempt = Attempt { file: file.path().to_string_lossy().into_owned(), port, process };
    let code = serde_json::to_string(&attempt).map_err(|error| unavailable("the probe", error.to_string()))?;
    let limits = Limits { wall_ms: 5000, ..Limits::default() };
    let job =
        Job { language: Language::Probe, code, stdin: String::new(), limits, keep: Vec::new(), files: Vec::new() };
    judge(version, &run(job)?)
}

fn readable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

fn judge(version: &str, report: &Report) -> Result<Isolation, SandboxError> {
    let found: Option<Found> = serde_json::from_str(&report.stdout.text).ok();
    let (Ended::Exited(0), Some(found)) = (report.ended, found) else {
        let said = format!("the probe ended as {:?}: {}", report.ended, report.stderr.text.trim());
        return Err(SandboxError::Unavailable(said));
    };
    let wrong: Vec<String> = found.escapes.into_iter().chain(found.missing).collect();
    if !wrong.is_empty() {
        return Err(SandboxError::Unavailable(format!("the probe found: {}", wrong.join("; "))));
    }
    let mut layers: Vec<String> =
        ["user, pid, mount, net, ipc, uts namespaces", "seccomp", "no new privileges", "limits"]
            .map(str::to_owned)
            .into();
    if found.landlock != "none" {
        layers.push(format!("landlock ({})", found.landlock));
    }
    Ok(Isolation { by: version.to_owned(), layers, languages: languages() })
}

fn languages() -> BTreeMap<&'static str, String> {
    let interpreters = [("python", "/usr/bin/python3"), ("shell", "/bin/sh")];
    let present = interpreters.into_iter().filter(|(_, path)| Path::new(path).exists());
    present.map(|(language, path)| (language, path.to_owned())).collect()
}
