//! Inside: gives up what the code need not have, for good, and becomes the code.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::Command;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    path_beneath_rules,
};
use nix::sys::resource::{Resource, setrlimit};

use super::{FOLDER, attempts, syscalls};
use crate::Limits;

/// Processes and threads of the first process, which count too.
const KEEPERS: u64 = 8;
/// The newest Landlock whose every right was looked at; an older kernel keeps to those it knows.
const LANDLOCK: ABI = ABI::V6;

/// Becomes the program, within `limits`. Returns only with what went wrong.
pub fn confine(limits: &str, program: &[String]) -> Result<Infallible, String> {
    let limits: Limits = serde_json::from_str(limits).map_err(|error| error.to_string())?;
    limit(&limits).map_err(|error| format!("the limits cannot be set: {error}"))?;
    // Where memory runs out all the same, the system takes it from here first.
    let _as_before = std::fs::write("/proc/self/oom_score_adj", "1000");
    let landlock = files().map_err(|error| format!("Landlock: {error}"))?;
    syscalls::filter().map_err(|error| format!("seccomp: {error}"))?;
    match program {
        [probe, path] if probe == "probe" => attempts::attempt(path, landlock),
        [program, path] => Err(format!("{program} cannot be started: {}", Command::new(program).arg(path).exec())),
        _ => Err("there is no program".to_owned()),
    }
}

fn limit(limits: &Limits) -> nix::Result<()> {
    let cpu_s = limits.cpu_ms.div_ceil(1000).max(1);
    let all = [
        (Resource::RLIMIT_DATA, limits.memory),
        // Reserved addresses cost nothing: interpreters take more than they use.
        (Resource::RLIMIT_AS, limits.memory.saturating_mul(4)),
        (Resource::RLIMIT_CPU, cpu_s),
        (Resource::RLIMIT_NPROC, limits.processes + KEEPERS),
        (Resource::RLIMIT_FSIZE, limits.disk),
        (Resource::RLIMIT_NOFILE, limits.open_files),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
        (Resource::RLIMIT_MSGQUEUE, 0),
        (Resource::RLIMIT_SIGPENDING, 256),
    ];
    all.into_iter().try_for_each(|(resource, most)| setrlimit(resource, most, most))
}

/// Landlock over what is mounted: even a mount too many would be no way out.
fn files() -> Result<&'static str, landlock::RulesetError> {
    let (everything, reading) = (AccessFs::from_all(LANDLOCK), AccessFs::from_read(LANDLOCK));
    let using: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile;
    let devices = ["null", "zero", "full", "random", "urandom"].map(|name| format!("/dev/{name}"));
    let status = Ruleset::default()
        .handle_access(everything)?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .add_rules(path_beneath_rules(["/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc", "/proc"], reading))?
        .add_rules(path_beneath_rules(devices, using))?
        .add_rules(path_beneath_rules([FOLDER, "/tmp", "/dev/shm"], everything))?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => "full",
        RulesetStatus::PartiallyEnforced => "partial",
        RulesetStatus::NotEnforced => "none",
    })
}
