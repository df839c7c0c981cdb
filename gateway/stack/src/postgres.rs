//! A private Postgres. Under root it runs as the user `postgres`, with its data where that user can reach it.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::cluster::{self, USER};
use crate::process::{Process, Start, end_leftovers};
use crate::ready::{answers, ready};
use crate::stack::Private;
use crate::{StackError, ports, table, tools};

pub(crate) struct Postgres {
    bin: PathBuf,
    cluster: PathBuf,
    log: PathBuf,
    port: u16,
    password: String,
}

impl Private for Postgres {
    const NAME: &'static str = "Postgres";

    /// Finds the programs and creates the database cluster where there is none yet.
    fn prepare(folder: &Path) -> Result<Self, StackError> {
        let installed = cluster::installed();
        let data = cluster::data(folder)?;
        let whole = data.join("cluster");
        let bin = cluster::programs(installed, &whole)?;
        end_leftovers(&[&whole, &data.join("cluster.part")], Signal::SIGINT);
        let secret = folder.join("postgres-password");
        let exists = whole.join("PG_VERSION").exists();
        if exists && tools::remembered(&secret).is_none() {
            let detail = format!("put it back, or move {} away to begin anew", whole.display());
            return Err(StackError::SetUp { what: format!("reading {}", secret.display()), detail });
        }
        let password = tools::secret(&secret)?;
        if exists {
            forget_reused_pid(&whole);
        } else {
            cluster::initialise(&bin, &data, &password)?;
        }
        let port = ports::remembered(&folder.join("postgres-port"))?;
        Ok(Self { bin, cluster: whole, log: data.join("postgres.log"), port, password })
    }

    fn url(&self) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/xagent", self.password, self.port)
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn start(&self) -> Result<Process, StackError> {
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            "unix_socket_directories=".to_owned(),
            "max_connections=200".to_owned(),
            "shared_buffers=128MB".to_owned(),
            "logging_collector=off".to_owned(),
        ];
        let mut arguments = vec!["-D".to_owned(), self.cluster.display().to_string()];
        arguments.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let program = self.bin.join("postgres");
        let user = tools::is_root().then_some(USER);
        let start = Start { program: &program, arguments, user, log: &self.log, ask: Signal::SIGINT };
        let mut process = Process::start(&start)?;
        // An SSLRequest (PostgreSQL protocol, section 55.7) is answered with one letter by a server that takes connections.
        let request = [0, 0, 0, 8, 4, 210, 22, 47];
        ready(Self::NAME, &self.log, &mut process, || {
            answers(self.port, &request, &[b"N", b"S"]) && self.create_database()
        })?;
        Ok(process)
    }
}

impl Postgres {
    /// Creates the database where it is missing; fails while the server still starts.
    fn create_database(&self) -> bool {
        let psql = |sql: &str| {
            let mut command = Command::new(self.bin.join("psql"));
            tools::plain(&mut command);
            command.env("PGPASSWORD", &self.password).env("PGCONNECT_TIMEOUT", "5");
            command.args(["-X", "-q", "-t", "-A", "-h", "127.0.0.1", "-U", USER]);
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

/// Removes a leftover `postmaster.pid` whose number now belongs to another process, which Postgres takes for itself.
/// One whose process is gone is left to Postgres, which also looks at the memory it names.
fn forget_reused_pid(cluster: &Path) {
    let file = cluster.join("postmaster.pid");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()).map(Pid::from_raw) else { return };
    if !table::alive(&[pid]).is_empty() && !table::servers_of(cluster).contains(&pid) {
        // Where it cannot be removed, Postgres says so.
        let _kept = std::fs::remove_file(&file);
    }
}
