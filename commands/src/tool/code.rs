//! Running code: on copies of the files the law let in, in the sandbox of this host, or not at all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};
use xagent_domain::run::PathUse;
use xagent_policies::normalise::WorkspacePath;
use xagent_sandbox::{Ended, File, Job, Language, Limits, Output, Report, Sandbox, SandboxError, Stop, Unkept};

use super::ToolResult;
use super::files::{holds_secrets, read_bytes, walk, write};
use super::settings::CodeLimits;
use crate::ToolCall;

/// Calls at once unless told otherwise.
const CONCURRENCY: usize = 2;
/// What a sandbox may take beside the code itself.
const AROUND: Duration = Duration::from_secs(5);

/// Where code is run.
pub(super) struct CodeRoom {
    sandbox: Result<Arc<dyn Sandbox>, SandboxError>,
    limits: Limits,
    slots: Semaphore,
}

/// Whoever no longer waits for a job ends it.
struct EndOnDrop(Stop);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl CodeRoom {
    pub fn new(sandbox: Result<Arc<dyn Sandbox>, SandboxError>, limits: &CodeLimits) -> Self {
        let slots = Semaphore::new(limits.concurrency.unwrap_or(CONCURRENCY));
        Self { sandbox, limits: limits.limits(), slots }
    }

    /// The sandbox, or why there is none.
    pub fn sandbox(&self) -> Result<&Arc<dyn Sandbox>, String> {
        self.sandbox.as_ref().map_err(ToString::to_string)
    }

    /// The limits of a call.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Runs the code of a call; whoever asks waits no longer than `patience`.
    pub async fn run(&self, call: ToolCall, arguments: Value, patience: Duration) -> ToolResult {
        self.perform(call, arguments, patience).await.unwrap_or_else(|error| ToolResult::of(Err(error)))
    }

    async fn perform(&self, call: ToolCall, arguments: Value, patience: Duration) -> Result<ToolResult, String> {
        let sandbox = self.sandbox().map_err(|reason| format!("no code is run here: {reason}"))?.clone();
        let limits = self.limits_of(&arguments);
        let most = Duration::from_millis(limits.wall_ms) + AROUND;
        // What is not begun in time to be ended in time is not begun.
        let slot = tokio::time::timeout(patience.saturating_sub(most), self.slots.acquire()).await;
        let slot = slot.map_err(|_| "the sandbox is busy, and the code was not run: try again".to_owned())?;
        let _slot = slot.map_err(|error| error.to_string())?;
        let stop = Stop::default();
        let _end = EndOnDrop(stop.clone());
        let (answer, answered) = oneshot::channel();
        // A thread of its own: what it starts ends with it, and a thread of a pool may end before.
        let work = move || answer.send(at_work(&*sandbox, &call, &arguments, limits, &stop));
        let thread = std::thread::Builder::new().name("sandbox".to_owned()).spawn(work);
        thread.map_err(|error| format!("no code can be run now: {error}"))?;
        let answered = tokio::time::timeout(most, answered).await;
        answered.map_err(|_| "the sandbox gave no answer in time".to_owned())?.map_err(|_| "it broke off".to_owned())?
    }

    fn limits_of(&self, arguments: &Value) -> Limits {
        let wanted = arguments["timeout_s"].as_u64().map_or(u64::MAX, |s| s.saturating_mul(1000));
        Limits { wall_ms: self.limits.wall_ms.min(wanted), ..self.limits.clone() }
    }
}

fn at_work(
    sandbox: &dyn Sandbox,
    call: &ToolCall,
    arguments: &Value,
    limits: Limits,
    stop: &Stop,
) -> Result<ToolResult, String> {
    let text = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
    let language = match arguments["language"].as_str() {
        Some("python") => Language::Python,
        Some("shell") => Language::Shell,
        _ => return Err("`language` is neither python nor shell".to_owned()),
    };
    let (take, keep) = (named(&call.resources.paths, "files"), named(&call.resources.paths, "keep"));
    let workspace = match &call.workspace {
        Some(folder) => Some(open(folder)?),
        None if take.is_empty() && keep.is_empty() => None,
        None => {
            return Err("this run has no workspace to take files from or keep them in: start it with one".to_owned());
        }
    };
    let files = workspace.as_ref().map(|workspace| copies(workspace, &take, &limits)).transpose()?.unwrap_or_default();
    let job =
        Job { language, code: text("code"), stdin: text("stdin"), limits, keep: keep.clone(), files: files.clone() };
    let mut report = sandbox.run(job, stop).map_err(|error| error.to_string())?;
    let kept = workspace.map(|workspace| take_back(&workspace, &keep, &files, &mut report));
    Ok(told(&report, &kept.unwrap_or_default()))
}

fn open(folder: &str) -> Result<Dir, String> {
    Dir::open_ambient_dir(folder, ambient_authority())
        .map_err(|error| format!("the workspace cannot be opened: {error}"))
}

fn named(paths: &[PathUse], argument: &str) -> Vec<String> {
    paths.iter().filter(|path| path.argument == argument).map(|path| path.normal.clone()).collect()
}

/// Copies of the files at and under the paths, without hidden and build folders and what holds secrets by its name.
fn copies(workspace: &Dir, paths: &[String], limits: &Limits) -> Result<Vec<File>, String> {
    let most = usize::try_from(limits.files / 2).unwrap_or(usize::MAX);
    let mut names = BTreeSet::new();
    for path in paths {
        if workspace.metadata(path).is_ok_and(|found| found.is_dir()) {
            let (found, more) = walk(workspace, path, most)?;
            if more {
                return Err(format!("`{path}` holds more than {most} files: name fewer"));
            }
            names.extend(found.into_iter().filter(|name| !holds_secrets(name)));
        } else {
            names.insert(path.clone());
        }
    }
    // Half of the room is for what the code makes.
    let (mut files, mut left) = (Vec::new(), limits.disk / 2);
    for path in names {
        let (bytes, whole) = read_bytes(workspace, &path, left)?;
        if whole > bytes.len() as u64 {
            return Err(format!("`files` hold more than {} bytes: name fewer", limits.disk / 2));
        }
        left -= whole;
        files.push(File { path, bytes });
    }
    Ok(files)
}

/// Puts what has changed back where it was allowed to be kept. What comes out of a sandbox is believed in nothing.
fn take_back(workspace: &Dir, keep: &[String], before: &[File], report: &mut Report) -> Vec<Value> {
    let mut kept = Vec::new();
    for file in std::mem::take(&mut report.kept) {
        if before.contains(&file) {
            continue;
        }
        let refused = refusal(&file.path, keep).map(str::to_owned);
        let written = refused.map_or_else(|| write(workspace, &file.path, &file.bytes).map(drop), Err);
        match written {
            Ok(()) => kept.push(json!({"bytes": file.bytes.len(), "path": file.path})),
            Err(reason) => report.unkept.push(Unkept { path: file.path, reason }),
        }
    }
    kept
}

fn refusal(path: &str, keep: &[String]) -> Option<&'static str> {
    let normal = WorkspacePath::parse(path).is_ok_and(|normal| normal.as_str() == path);
    let under = |folder: &String| {
        folder == "." || path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let named = keep.iter().any(|folder| folder == path);
    if !normal || !keep.iter().any(under) {
        return Some("it is no path that was to be kept");
    }
    if !named && (holds_secrets(path) || path.split('/').any(|part| part.starts_with('.'))) {
        return Some("it is hidden or holds secrets by its name: name it in `keep`");
    }
    None
}

fn told(report: &Report, kept: &[Value]) -> ToolResult {
    let (exit_code, signal, stopped) = match report.ended {
        Ended::Exited(status) => (Some(status), None, None),
        Ended::Signalled(signal) => (None, Some(signal), None),
        Ended::WallTime => (None, None, Some("wall_time")),
        Ended::CpuTime => (None, None, Some("cpu_time")),
        Ended::Memory => (None, None, Some("memory")),
        Ended::Files => (None, None, Some("files")),
    };
    let Output { text: stdout, bytes: stdout_bytes, truncated: stdout_truncated } = &report.stdout;
    let Output { text: stderr, bytes: stderr_bytes, truncated: stderr_truncated } = &report.stderr;
    let output = json!({
        "exit_code": exit_code, "signal": signal, "stopped": stopped,
        "stdout": stdout, "stdout_bytes": stdout_bytes, "stdout_truncated": stdout_truncated,
        "stderr": stderr, "stderr_bytes": stderr_bytes, "stderr_truncated": stderr_truncated,
        "wall_ms": report.wall_ms, "cpu_ms": report.cpu_ms, "leftover_processes": report.leftover,
        "kept": kept, "not_kept": report.unkept,
    });
    ToolResult { succeeded: report.ended == Ended::Exited(0), output }
}
