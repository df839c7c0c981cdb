//! The appender's own connection: its statements stay prepared, the lock it may hold goes with it, and a batch can be sent
//! over it while the one before is still being committed, which the server then takes on without a pause. That is why it is
//! not one of the pool's.

use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::task::AbortHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};
use xagent_domain::Digest;

use super::batch::Batch;
use super::columns::Columns;
use super::statement::{Answers, RELEASE, Statements, answers, keys, streams};
use super::{OPERATION, Pending, Stream, failed};
use crate::LedgerError;
use crate::connect::SESSION;
use crate::read::digest;

/// One plan for any arguments, and one that is right for a large ledger though it is made while the ledger is small: all
/// that appending looks up, it looks up by an index.
const PLANS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
                     SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";

/// What is large is compressed by lz4 where the server has it, five times as fast as by its own way. Each value says how it
/// was compressed, so this may change at any time.
const COMPRESSION: &str = "SELECT set_config(name, 'lz4', false) FROM pg_settings \
                           WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)";

/// A connection that is made when it is needed, and given up after an error.
pub(super) struct Link {
    connect: PgConnectOptions,
    session: Option<Arc<Session>>,
    patience: Duration,
    /// Whether the session holds the lock since it asked.
    holding: bool,
}

/// An open connection. What is asked of it is answered in the order in which it was asked.
pub(super) struct Session {
    client: Client,
    statements: Statements,
    connection: AbortHandle,
    patience: Duration,
}

impl Link {
    /// Not connected yet; each call may take `patience`.
    pub(super) fn new(connect: PgConnectOptions, patience: Duration) -> Self {
        Self { connect, session: None, patience, holding: false }
    }

    /// The open connection, unless it holds the lock.
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.session.clone().filter(|_| !self.holding)
    }

    /// Writes a batch under the lock; tells whether the ledger was where the batch says. The lock is given up.
    pub(super) async fn write(&mut self, batch: &Batch) -> Result<bool, LedgerError> {
        let written = self.open().await?.write(batch, self.holding).await;
        self.noted(written.as_ref().err());
        self.holding = false;
        written
    }

    /// Takes the lock, and finds out where everything is.
    pub(super) async fn ask(&mut self, asked: &[Stream], commands: &[&Pending]) -> Result<Answers, LedgerError> {
        if self.holding {
            self.hang_up();
        }
        let session = self.open().await?;
        let ((types, ids), (tenants, keys)) = (streams(asked), keys(commands));
        let answered = session.row(&session.statements.ask, &[&types, &ids, &tenants, &keys]).await;
        self.noted(answered.as_ref().err());
        let answered = answered?;
        self.holding = true;
        answers(&answered)
    }

    /// Gives up the lock where there is nothing to write.
    pub(super) async fn release(&mut self) -> Result<(), LedgerError> {
        let session = self.open().await?;
        let released = session.within(session.client.batch_execute(RELEASE)).await;
        self.noted(released.as_ref().err());
        self.holding = false;
        released
    }

    /// The leaf hashes of the events after position `after` up to `last`.
    pub(super) async fn leaves(&mut self, after: u64, last: u64) -> Result<Vec<Digest>, LedgerError> {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let session = self.open().await?;
        let read = session.row(&session.statements.leaves, &[&signed(after), &signed(last)]).await;
        self.noted(read.as_ref().err());
        let leaves: Vec<Vec<u8>> = read?.try_get(0).map_err(failed)?;
        leaves.iter().map(|leaf| digest(leaf, "leaf_hash").map_err(failed)).collect()
    }

    /// Gives up the connection, with the lock and all that it has not answered yet.
    pub(super) fn hang_up(&mut self) {
        self.session.take().inspect(|session| session.connection.abort());
        self.holding = false;
    }

    /// After a mere refusal, of a key for instance, the connection is as good as before.
    fn noted(&mut self, error: Option<&LedgerError>) {
        if error.is_some_and(|error| self.holding || error.is_unavailable()) {
            self.hang_up();
        }
    }

    async fn open(&mut self) -> Result<Arc<Session>, LedgerError> {
        if let Some(session) = &self.session {
            return Ok(Arc::clone(session));
        }
        let opened = tokio::time::timeout(self.patience, Session::open(&self.connect, self.patience));
        let opened = opened.await.map_err(|_| super::late())?;
        let session = Arc::new(opened.map_err(|error| LedgerError::session(OPERATION, &error))?);
        Ok(Arc::clone(self.session.insert(session)))
    }
}

impl Session {
    async fn open(connect: &PgConnectOptions, patience: Duration) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = config(connect)?.connect(NoTls).await?;
        // What ends the connection, its client is told.
        let connection = tokio::spawn(async move { connection.await.unwrap_or_default() }).abort_handle();
        client.batch_execute(SESSION).await?;
        client.batch_execute(PLANS).await?;
        client.batch_execute(COMPRESSION).await?;
        let statements = Statements::prepare(&client).await?;
        Ok(Self { client, statements, connection, patience })
    }

    /// Writes a batch; tells whether the ledger was where the batch says. `holding` where the session holds the lock.
    pub(super) async fn write(&self, batch: &Batch, holding: bool) -> Result<bool, LedgerError> {
        truth(&self.row(&self.statements.write, &Columns::of(batch).to_write(&holding)).await?)
    }

    /// The same for a batch that is plain, of a session that does not hold the lock.
    pub(super) async fn add(&self, batch: &Batch) -> Result<bool, LedgerError> {
        let columns = Columns::of(batch);
        truth(&match columns.to_add() {
            (known, None) => self.row(&self.statements.add, &known).await?,
            (known, Some(unknown)) => {
                self.row(&self.statements.look_up_and_add, &[&known[..], &unknown].concat()).await?
            }
        })
    }

    async fn row(&self, statement: &Statement, with: &[&(dyn ToSql + Sync)]) -> Result<Row, LedgerError> {
        self.within(self.client.query_one(statement, with)).await
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, LedgerError> {
        match tokio::time::timeout(self.patience, work).await {
            Ok(result) => result.map_err(|error| LedgerError::session(OPERATION, &error)),
            Err(_) => Err(super::late()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn truth(row: &Row) -> Result<bool, LedgerError> {
    row.try_get(0).map_err(failed)
}

/// The same way to the database as that of the pool. Only a URL tells the password, and not every name and host fits in one.
fn config(connect: &PgConnectOptions) -> Result<Config, tokio_postgres::Error> {
    let mut url = connect.clone().username("any").host("localhost").to_url_lossy();
    url.set_query(None);
    let told: Config = url.as_str().parse()?;
    let mut config = Config::new();
    config.application_name("xagent").user(connect.get_username()).port(connect.get_port());
    match (connect.get_socket(), connect.get_host()) {
        (Some(folder), _) => config.host_path(folder),
        (None, folder) if folder.starts_with('/') => config.host_path(folder),
        (None, host) => config.host(host.trim_matches(['[', ']'])),
    };
    told.get_password().map(|password| config.password(password));
    connect.get_database().map(|database| config.dbname(database));
    connect.get_options().map(|options| config.options(options));
    Ok(config)
}

/// The answer was not one that can be given there.
pub(super) fn out_of_turn() -> LedgerError {
    failed("the ledger moved under its lock")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio_postgres::config::Host;

    use super::*;

    /// Where it connects to, as whom, with which password.
    fn way(connect: &PgConnectOptions) -> (Vec<Host>, String, Vec<u8>) {
        let config = config(connect).unwrap();
        let user = config.get_user().unwrap_or_default().to_owned();
        (config.get_hosts().to_vec(), user, config.get_password().unwrap_or_default().to_vec())
    }

    #[test]
    fn the_appender_connects_to_where_the_pool_does_as_whom_and_how() {
        let plain = PgConnectOptions::new_without_pgpass().username("a/b@c").password("p%41/ \u{e9}").database("d/e f");
        let password = "p%41/ \u{e9}".as_bytes().to_vec();
        let tcp = |host: &str| vec![Host::Tcp(host.to_owned())];
        let socket = vec![Host::Unix(Path::new("/var/run/postgresql").to_owned())];
        let cases = [
            (plain.clone().host("db.example"), tcp("db.example")),
            (plain.clone().host("[::1]"), tcp("::1")),
            // What sqlx takes where no host is named and a server of this machine listens there.
            (plain.clone().host("/var/run/postgresql"), socket.clone()),
            (plain.host("db.example").socket("/var/run/postgresql"), socket),
        ];
        for (connect, hosts) in cases {
            assert_eq!(way(&connect), (hosts, "a/b@c".to_owned(), password.clone()));
            let config = config(&connect.port(5433)).unwrap();
            assert_eq!((config.get_ports(), config.get_dbname()), ([5433].as_slice(), Some("d/e f")));
        }
        let nobody = PgConnectOptions::new_without_pgpass().host("localhost").username("me");
        assert_eq!(way(&nobody), (tcp("localhost"), "me".to_owned(), Vec::new()));
    }
}
