//! Outside: gives up root where it has it, and becomes bubblewrap.

use std::convert::Infallible;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};
use serde::{Deserialize, Serialize};

use super::NAME;

/// Where the code works, inside.
pub const FOLDER: &str = "/workspace";
/// Users nobody has: the range between those of containers and those that 32 bits cannot hold.
const FIRST_USER: u32 = 1_900_000_000;
const NOBODY: u32 = 65_534;
/// Kept of `/dev/shm`, in bytes.
const SHARED_MEMORY: u64 = 16 << 20;

/// How the sandbox is entered.
#[derive(Serialize, Deserialize)]
pub struct Entry {
    /// Where bubblewrap is.
    pub bubblewrap: PathBuf,
    /// What files may hold, in bytes.
    pub disk: u64,
}

/// Becomes bubblewrap, with this program inside as its first process. Returns only with what went wrong.
pub fn enter(entry: &str) -> Result<Infallible, String> {
    let entry: Entry = serde_json::from_str(entry).map_err(|error| error.to_string())?;
    // By descriptor: whoever it becomes need not be able to reach the folder this program is in.
    let program = File::open("/proc/self/exe").map_err(|error| format!("this program cannot be opened: {error}"))?;
    fcntl(&program, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|error| error.to_string())?;
    give_up_root()?;
    let mut command = Command::new(&entry.bubblewrap);
    command.args(namespaces()).args(system()).args(folders(entry.disk));
    command.args(["--", &format!("/proc/self/fd/{}", program.as_raw_fd()), NAME, "keep"]);
    Err(format!("{} cannot be started: {}", entry.bubblewrap.display(), command.exec()))
}

/// A user of its own for each job, so that not even another job's processes are its own.
fn give_up_root() -> Result<(), String> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let own = FIRST_USER + std::process::id() % 100_000_000;
    // Root of a container may have few users.
    let become_one = |user| {
        let (group, user) = (Gid::from_raw(user), Uid::from_raw(user));
        setgroups(&[]).and_then(|()| setresgid(group, group, group)).and_then(|()| setresuid(user, user, user))
    };
    let given_up = become_one(own).or_else(|_| become_one(NOBODY));
    given_up.map_err(|error| format!("root cannot be given up: {error}"))
}

fn namespaces() -> Vec<String> {
    let arguments = "--unshare-user --disable-userns --unshare-pid --unshare-net --unshare-ipc --unshare-uts \
                     --unshare-cgroup-try --die-with-parent --new-session --as-pid-1 --uid 1000 --gid 1000 \
                     --hostname sandbox --cap-drop ALL --clearenv";
    arguments.split_whitespace().map(str::to_owned).collect()
}

/// Programs and libraries of the host, read-only; of `/etc` only what they are found by.
fn system() -> Vec<String> {
    let mut arguments = words(&["--ro-bind", "/usr", "/usr"]);
    for name in ["/bin", "/sbin", "/lib", "/lib32", "/lib64"] {
        match std::fs::read_link(name) {
            Ok(target) => arguments.extend(words(&["--symlink", &target.to_string_lossy(), name])),
            Err(_) if Path::new(name).is_dir() => arguments.extend(words(&["--ro-bind", name, name])),
            Err(_) => {}
        }
    }
    for name in ["/etc/alternatives", "/etc/ld.so.cache"] {
        arguments.extend(words(&["--ro-bind-try", name, name]));
    }
    arguments
}

/// Everything that can be written is in memory, bounded, and gone afterwards.
fn folders(disk: u64) -> Vec<String> {
    let (disk, shared) = (disk.to_string(), SHARED_MEMORY.to_string());
    let mut arguments = words(&["--proc", "/proc", "--dev", "/dev"]);
    arguments.extend(words(&["--size", &shared, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]));
    arguments.extend(words(&["--size", &disk, "--tmpfs", "/tmp", "--size", &disk, "--tmpfs", FOLDER]));
    arguments.extend(words(&["--remount-ro", "/", "--chdir", FOLDER]));
    arguments
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
