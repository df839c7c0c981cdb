//! The files of a private Postgres: which programs, where the data lies, and how it is first made.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::User;

use crate::process::bound_to_us;
use crate::{StackError, tools};

const PACKAGE: &str = "PostgreSQL 14 or later (Debian: apt-get install postgresql; macOS: brew install postgresql@15)";
const OLDEST: u32 = 14;
const ROOTS: [&str; 4] =
    ["/usr/lib/postgresql", "/usr/local/opt", "/opt/homebrew/opt", "/home/linuxbrew/.linuxbrew/opt"];
/// Where the data lies under root when its user cannot reach the folder.
const ELSEWHERE: &str = "/var/lib/xagent";

/// The superuser, and under root the user of the system it runs as.
pub(crate) const USER: &str = "postgres";

/// The programs that are there, with their major versions.
pub(crate) fn installed() -> Vec<(u32, PathBuf)> {
    let folders = ROOTS.iter().flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten());
    let folders = folders.map(|entry| entry.path().join("bin"));
    let on_path = tools::find("initdb", &[], PACKAGE).ok().and_then(|initdb| fs::canonicalize(initdb).ok());
    let on_path = on_path.and_then(|initdb| initdb.parent().map(Path::to_owned));
    let complete = |bin: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| tools::is_program(&bin.join(name)));
    folders.chain(on_path).filter(complete).filter_map(|bin| Some((version(&bin)?, bin))).collect()
}

/// Those of the version the cluster was made with, or else of the highest one.
pub(crate) fn programs(installed: Vec<(u32, PathBuf)>, cluster: &Path) -> Result<PathBuf, StackError> {
    let missing = StackError::Missing { program: "postgres", package: PACKAGE };
    let made_with = tools::remembered(&cluster.join("PG_VERSION"));
    let Some(made_with) = made_with else {
        let usable = installed.into_iter().filter(|(version, _)| *version >= OLDEST);
        return usable.max_by_key(|(version, _)| *version).map(|(_, bin)| bin).ok_or(missing);
    };
    let same = installed.into_iter().find(|(version, _)| version.to_string() == made_with);
    same.map(|(_, bin)| bin).ok_or_else(|| StackError::SetUp {
        what: format!("finding PostgreSQL {made_with}, which made {}", cluster.display()),
        detail: "install that version, or move the data away to begin anew".to_owned(),
    })
}

/// `postgres (PostgreSQL) 15.14 (Debian ...)`, `postgres (PostgreSQL) 18beta1`.
fn version(bin: &Path) -> Option<u32> {
    let mut command = Command::new(bin.join("postgres"));
    tools::plain(&mut command);
    major(&String::from_utf8_lossy(&command.arg("--version").output().ok()?.stdout))
}

fn major(text: &str) -> Option<u32> {
    let digits: String = text.split(") ").nth(1)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Where the cluster lies: in the folder, or under `/var/lib/xagent` where its user cannot reach the folder. Decided
/// once: a folder that is opened or closed to others later keeps its data.
pub(crate) fn data(folder: &Path) -> Result<PathBuf, StackError> {
    let inside = folder.join("postgres");
    if !tools::is_root() {
        create(&inside)?;
        return Ok(inside);
    }
    let marker = folder.join("postgres-data");
    let data = match tools::remembered(&marker) {
        Some(last) => PathBuf::from(last),
        None if inside.join("cluster").exists() || is_reachable(folder) => inside,
        None => Path::new(ELSEWHERE).join(elsewhere(folder)),
    };
    create(&data)?;
    give(&data)?;
    if let Some(parent) = data.parent().filter(|parent| *parent == Path::new(ELSEWHERE)) {
        let open = fs::set_permissions(parent, fs::Permissions::from_mode(0o711));
        open.map_err(|error| StackError::file(parent, &error))?;
    }
    tools::write_private(&marker, &data.display().to_string())?;
    Ok(data)
}

fn create(path: &Path) -> Result<(), StackError> {
    fs::create_dir_all(path).map_err(|error| StackError::file(path, &error))
}

/// Makes a file or folder that of the user Postgres runs as.
fn give(path: &Path) -> Result<(), StackError> {
    let missing = StackError::Missing { program: "postgres", package: PACKAGE };
    let user = User::from_name(USER).ok().flatten().ok_or(missing)?;
    let given = chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()));
    given.map_err(|error| StackError::file(path, &error))
}

/// Whether any user can pass through to the folder.
fn is_reachable(folder: &Path) -> bool {
    let open = |part: &Path| fs::metadata(part).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0);
    folder.ancestors().all(open)
}

/// The folder's path as a name (FNV-1a, 64 bits). A folder that was removed and made anew gets a new one, for it has
/// lost the password of its former data, which may still matter to somebody.
fn elsewhere(folder: &Path) -> String {
    let bytes = folder.as_os_str().as_encoded_bytes();
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let name = format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step));
    let taken = Path::new(ELSEWHERE).join(&name).exists() && !folder.join("postgres-password").exists();
    if taken { format!("{name}-{}", tools::random::<4>()) } else { name }
}

/// initdb into a folder beside, renamed at the end: a cluster is there whole or not at all.
pub(crate) fn initialise(bin: &Path, data: &Path, password: &str) -> Result<(), StackError> {
    let (half, whole) = (data.join("cluster.part"), data.join("cluster"));
    let failed = |error: std::io::Error| StackError::file(&half, &error);
    if half.exists() {
        fs::remove_dir_all(&half).map_err(failed)?;
    }
    let password_file = data.join("initial-password");
    tools::write_private(&password_file, password)?;
    let user = tools::is_root().then_some(USER);
    if user.is_some() {
        give(&password_file)?;
    }
    let mut command = bound_to_us(&bin.join("initdb"), user, Signal::SIGTERM);
    command.arg("-D").arg(&half).arg("--pwfile").arg(&password_file);
    command.args(["-U", USER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]);
    let done = tools::run("initdb", &mut command);
    fs::remove_file(&password_file).map_err(failed)?;
    done?;
    fs::rename(&half, &whole).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("nonsense"), None);
    }

    #[test]
    fn a_cluster_keeps_its_version_and_a_new_one_gets_the_highest() {
        let folder = tempfile::tempdir().unwrap();
        let installed = || [9, 15, 14].map(|version| (version, PathBuf::from(format!("/{version}")))).to_vec();
        assert_eq!(programs(installed(), folder.path()).unwrap(), Path::new("/15"));
        let old = vec![(13, PathBuf::from("/13"))];
        assert!(matches!(programs(old, folder.path()), Err(StackError::Missing { .. })));
        fs::write(folder.path().join("PG_VERSION"), "14\n").unwrap();
        assert_eq!(programs(installed(), folder.path()).unwrap(), Path::new("/14"));
        fs::write(folder.path().join("PG_VERSION"), "17\n").unwrap();
        assert!(programs(installed(), folder.path()).unwrap_err().to_string().contains("PostgreSQL 17"));
    }
}
