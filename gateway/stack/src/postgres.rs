//! A private Postgres. Under root it runs as the user `postgres`, with its data where that user can reach it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::User;

use crate::process::{Process, Start, end_leftovers};
use crate::ready::{answers, ready};
use crate::{StackError, ports, tools};

const PACKAGE: &str = "PostgreSQL 14 or later (Debian: apt-get install postgresql; macOS: brew install postgresql@15)";
const USER: &str = "postgres";

pub(crate) struct Postgres {
    bin: PathBuf,
    data: PathBuf,
    log: PathBuf,
    port: u16,
    password: String,
}

impl Postgres {
    /// Finds the programs and creates the database cluster where there is none yet.
    pub(crate) fn prepare(folder: &Path) -> Result<Self, StackError> {
        let bin = bin()?;
        let data = data(folder)?;
        let password = tools::secret(&folder.join("postgres-password"))?;
        end_leftovers(&data);
        if !data.join("cluster/PG_VERSION").exists() {
            initialise(&bin, &data, &password)?;
        }
        let port = ports::remembered(&folder.join("postgres-port"))?;
        Ok(Self { bin, log: data.join("postgres.log"), data, port, password })
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/xagent", self.password, self.port)
    }

    pub(crate) fn start(&self) -> Result<Process, StackError> {
        let cluster = self.data.join("cluster");
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            "unix_socket_directories=".to_owned(),
            "max_connections=200".to_owned(),
            "logging_collector=off".to_owned(),
        ];
        let mut arguments = vec!["-D".to_owned(), cluster.display().to_string()];
        arguments.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let program = self.bin.join("postgres");
        let user = tools::is_root().then_some(USER);
        let start = Start { program: &program, arguments, user, log: &self.log, ask: Signal::SIGINT };
        let mut process = Process::start(&start)?;
        // An SSLRequest (PostgreSQL protocol, section 55.7) is answered with one letter by a server that takes connections.
        let request = [0, 0, 0, 8, 4, 210, 22, 47];
        ready("Postgres", &self.log, &mut process, || {
            answers(self.port, &request, &[b"N", b"S"]) && self.create_database()
        })?;
        Ok(process)
    }

    /// Creates the database where it is missing; fails while the server still starts.
    fn create_database(&self) -> bool {
        let psql = |sql: &str| {
            let mut command = Command::new(self.bin.join("psql"));
            command.env("PGPASSWORD", &self.password).args(["-X", "-q", "-t", "-A", "-h", "127.0.0.1", "-U", USER]);
            command.args(["-p", &self.port.to_string(), "-d", "postgres", "-c", sql]);
            command.output().ok().filter(|output| output.status.success())
        };
        let there = psql("SELECT 1 FROM pg_database WHERE datname = 'xagent'");
        match there {
            Some(output) if output.stdout.starts_with(b"1") => true,
            Some(_) => psql("CREATE DATABASE xagent").is_some(),
            None => false,
        }
    }
}

/// The programs of the highest version there is.
fn bin() -> Result<PathBuf, StackError> {
    let roots = ["/usr/lib/postgresql", "/usr/local/opt", "/opt/homebrew/opt"];
    let folders = roots.iter().flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten());
    let mut found: Vec<_> =
        folders.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").is_file()).collect();
    found.sort_by_key(|bin| {
        let digits: String = bin.display().to_string().chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap_or(0)
    });
    if let Some(bin) = found.pop() {
        return Ok(bin);
    }
    let initdb = tools::find("initdb", &[], PACKAGE)?;
    let initdb = fs::canonicalize(&initdb).map_err(|error| StackError::file(&initdb, &error))?;
    initdb.parent().map(Path::to_owned).ok_or(StackError::Missing { program: "initdb", package: PACKAGE })
}

/// Where the cluster lives: in the folder, or under `/var/lib/xagent` where its user cannot reach the folder.
fn data(folder: &Path) -> Result<PathBuf, StackError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| StackError::file(&path, &error)
    };
    let inside = folder.join("postgres");
    if !tools::is_root() {
        fs::create_dir_all(&inside).map_err(failed(&inside))?;
        return Ok(inside);
    }
    let missing = StackError::Missing { program: "postgres", package: PACKAGE };
    let user = User::from_name(USER).ok().flatten().ok_or(missing)?;
    let reachable = folder
        .ancestors()
        .all(|part| fs::metadata(part).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0));
    let data = if reachable { inside } else { PathBuf::from("/var/lib/xagent").join(fingerprint(folder)) };
    fs::create_dir_all(&data).map_err(failed(&data))?;
    std::os::unix::fs::chown(&data, Some(user.uid.as_raw()), Some(user.gid.as_raw())).map_err(failed(&data))?;
    if let Some(parent) = data.parent().filter(|parent| parent.starts_with("/var/lib/xagent")) {
        fs::set_permissions(parent, fs::Permissions::from_mode(0o711)).map_err(failed(parent))?;
    }
    Ok(data)
}

/// A short name for a folder's path (FNV-1a, 64 bits).
fn fingerprint(folder: &Path) -> String {
    let bytes = folder.as_os_str().as_encoded_bytes();
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// initdb into a folder beside, renamed at the end: a cluster is there whole or not at all.
fn initialise(bin: &Path, data: &Path, password: &str) -> Result<(), StackError> {
    let (half, whole) = (data.join("cluster.part"), data.join("cluster"));
    let failed = |error: std::io::Error| StackError::file(&half, &error);
    if half.exists() {
        fs::remove_dir_all(&half).map_err(failed)?;
    }
    let password_file = data.join("initial-password");
    tools::write_private(&password_file, password)?;
    let mut command = if tools::is_root() {
        let user = User::from_name(USER).ok().flatten();
        let ids = user.map(|user| (user.uid.as_raw(), user.gid.as_raw()));
        let (uid, gid) = ids.unwrap_or((0, 0));
        std::os::unix::fs::chown(&password_file, Some(uid), Some(gid)).map_err(failed)?;
        let mut command = Command::new(tools::find("setpriv", &[], "util-linux")?);
        command.args([
            format!("--reuid={USER}"),
            format!("--regid={USER}"),
            "--init-groups".to_owned(),
            "--".to_owned(),
        ]);
        command.arg(bin.join("initdb"));
        command
    } else {
        Command::new(bin.join("initdb"))
    };
    command.arg("-D").arg(&half).arg("--pwfile").arg(&password_file).current_dir("/").env("LC_ALL", "C");
    command.args(["-U", USER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]);
    let done = tools::run("initdb", &mut command);
    fs::remove_file(&password_file).map_err(failed)?;
    done?;
    fs::rename(&half, &whole).map_err(failed)
}
