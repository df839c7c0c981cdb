//! Running code that nobody vouches for: on a copy of the files it was given, without a network, within limits.
//!
//! The tools call it with what a permit allows. [`Bubblewrap`] is the isolation of a Linux host; another one (a container,
//! a WASM engine) is another [`Sandbox`]. Where none can be had there is none: nothing is ever run bare.

#[cfg(target_os = "linux")]
mod bubblewrap;
mod job;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod stage;
mod stop;
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "spoken between the processes of a Linux sandbox"))]
mod wire;

#[cfg(target_os = "linux")]
pub use bubblewrap::Bubblewrap;
pub use job::{Ended, File, Job, Language, Limits, Output, Report, Unkept};
#[cfg(target_os = "linux")]
pub use stage::stage;
pub use stop::Stop;

/// Why code was not run, or its outcome is not known.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// This host cannot isolate it.
    #[error("this host cannot isolate code: {0}")]
    Unavailable(String),
    /// The language has no interpreter here.
    #[error("`{language}` cannot be run here: {reason}")]
    Language {
        /// As it was asked for.
        language: &'static str,
        /// What is missing.
        reason: String,
    },
    /// The sandbox ended without a report.
    #[error("the sandbox broke off: {0}")]
    Broken(String),
    /// It was stopped before its end.
    #[error("it was stopped")]
    Stopped,
}

/// What a sandbox is, found by trying to break out of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Isolation {
    /// What isolates, with its version.
    pub by: String,
    /// Layers in force, for people.
    pub layers: Vec<String>,
    /// Languages with an interpreter, and where it is.
    pub languages: std::collections::BTreeMap<&'static str, String>,
}

/// Somewhere to run code.
pub trait Sandbox: Send + Sync {
    /// What isolates here.
    fn isolation(&self) -> &Isolation;

    /// Runs a job to its end or to one of its limits; blocks meanwhile. `stop` ends it from another thread, and nothing of
    /// it is left.
    fn run(&self, job: Job, stop: &Stop) -> Result<Report, SandboxError>;
}

/// The sandbox of this host, or why there is none. `program` is this very program, which runs itself inside.
#[cfg(target_os = "linux")]
pub fn detect(program: &std::path::Path) -> Result<std::sync::Arc<dyn Sandbox>, SandboxError> {
    Ok(std::sync::Arc::new(Bubblewrap::probed(program)?))
}

/// The sandbox of this host, or why there is none.
#[cfg(not(target_os = "linux"))]
pub fn detect(_: &std::path::Path) -> Result<std::sync::Arc<dyn Sandbox>, SandboxError> {
    Err(SandboxError::Unavailable("isolation by namespaces needs Linux".to_owned()))
}

/// Becomes a process of the sandbox where the arguments say so.
#[cfg(not(target_os = "linux"))]
pub fn stage(_: impl IntoIterator<Item = std::ffi::OsString>) -> Option<std::process::ExitCode> {
    None
}
