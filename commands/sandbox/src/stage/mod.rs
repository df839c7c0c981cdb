//! This program as a process of the sandbox: `enter` gives up what it holds and becomes bubblewrap, `keep` is the first
//! process inside, `confine` gives up the rest and becomes the code.

mod attempts;
mod confine;
mod enter;
mod keep;
mod outputs;
mod processes;
mod syscalls;

use std::convert::Infallible;
use std::ffi::OsString;
use std::process::ExitCode;

pub(crate) use attempts::{Attempt, Found};
pub(crate) use enter::{Entry, FOLDER};

/// The first argument of a process of the sandbox.
pub(crate) const NAME: &str = "sandbox-stage";

/// Becomes a process of the sandbox where the arguments say so: then it does not return, or with what went wrong.
pub fn stage(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let arguments: Vec<String> = arguments.into_iter().skip(1).map_while(|text| text.into_string().ok()).collect();
    let [name, stage, rest @ ..] = arguments.as_slice() else { return None };
    if name != NAME {
        return None;
    }
    let failed = match (stage.as_str(), rest) {
        ("enter", [entry]) => enter::enter(entry),
        ("keep", []) => match keep::keep() {
            Ok(()) => return Some(ExitCode::SUCCESS),
            Err(error) => Err(error),
        },
        ("confine", [limits, program @ ..]) => confine::confine(limits, program),
        _ => Err(format!("there is no stage `{stage}`")),
    };
    eprintln!("{}", failed.map_or_else(|error: String| error, |never: Infallible| match never {}));
    Some(ExitCode::FAILURE)
}
