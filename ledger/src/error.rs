//! Why the ledger did not do what it was asked, by what the caller would do differently.

/// An error of the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database is away or too slow. Whether an append went through is unknown: repeat it with its command key.
    #[error("the ledger is unavailable: {operation}: {detail}")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// What happened.
        detail: String,
    },
    /// Another command of the stream was faster: decide again on fresh state.
    #[error("the stream {aggregate_id} is at {found}, not at {expected}")]
    Conflict {
        /// The stream.
        aggregate_id: String,
        /// The sequence the events were decided on.
        expected: u64,
        /// The sequence the stream is at.
        found: u64,
    },
    /// The command id was used before with another body.
    #[error("the idempotency key `{command_id}` was used before with another body: use a new key")]
    KeyReused {
        /// The key.
        command_id: String,
    },
    /// A recorded event is not what was recorded.
    #[error("the event at position {position} is not what was recorded: {detail}")]
    Tampered {
        /// Where.
        position: u64,
        /// How it shows.
        detail: String,
    },
    /// A blob is missing or is not what its digest says.
    #[error("the blob {digest} is {problem}")]
    Blob {
        /// Its digest.
        digest: String,
        /// `missing` or `corrupt`.
        problem: &'static str,
    },
    /// A recorded event cannot be read by this version.
    #[error("events.{column} at position {position} cannot be read: {detail}")]
    Undecodable {
        /// Where.
        position: u64,
        /// The column at fault.
        column: &'static str,
        /// Why.
        detail: String,
    },
    /// The events are no longer in the database: their range was moved to a file.
    #[error("the event at position {position} is archived in `{file}`: bring it back with `xagent archive attach`")]
    Archived {
        /// Where it stood.
        position: u64,
        /// The file's name.
        file: String,
    },
    /// The file of an archived range, or a range that is to be moved, is not what it should be.
    #[error("the archive `{file}`: {problem}")]
    Archive {
        /// The file's name.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The database refused: a missing migration, missing rights, a bug.
    #[error("the ledger failed: {operation}: {detail}")]
    Failed {
        /// What was being done.
        operation: &'static str,
        /// What the database said.
        detail: String,
    },
}

impl LedgerError {
    /// Sorts a database error by whether trying later can help.
    pub(crate) fn database(operation: &'static str, error: &sqlx::Error) -> Self {
        if error.as_database_error().is_some_and(lacks_range) {
            return Self::Unavailable { operation, detail: NO_RANGE.to_owned() };
        }
        let detail = error.to_string();
        if is_passing(error) { Self::Unavailable { operation, detail } } else { Self::Failed { operation, detail } }
    }

    /// The same for the appender's own connection.
    pub(crate) fn session(operation: &'static str, error: &tokio_postgres::Error) -> Self {
        let Some(database) = error.as_db_error() else {
            // Whatever the server did not say itself, it may not have heard.
            return Self::Unavailable { operation, detail: chain(error) };
        };
        let lacks_range =
            database.code().code() == "23514" && database.table() == Some("events") && database.constraint().is_none();
        if lacks_range {
            return Self::Unavailable { operation, detail: NO_RANGE.to_owned() };
        }
        let detail = format!("error returned from database: {}", database.message());
        match passes(database.code().code()) {
            true => Self::Unavailable { operation, detail },
            false => Self::Failed { operation, detail },
        }
    }

    /// What happened, without the operation.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Unavailable { detail, .. } | Self::Failed { detail, .. } => detail.clone(),
            other => other.to_string(),
        }
    }

    /// Whether there is no range for the events that were to be appended.
    pub(crate) fn is_out_of_range(&self) -> bool {
        matches!(self, Self::Unavailable { detail, .. } if detail == NO_RANGE)
    }

    /// Whether trying again later can help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

const NO_RANGE: &str = "there is no range for events at these positions yet; one is being added, try again. If that goes \
                        on, the log says why (`ledger.range.failed`)";

/// An error with all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Postgres found no partition for a row: the one breach of `events` that names no constraint.
fn lacks_range(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().as_deref() == Some("23514") && error.table() == Some("events") && error.constraint().is_none()
}

/// Whether a database error goes away by itself: trying later can help.
pub fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database.code().is_some_and(|code| passes(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}

/// SQLSTATE classes that go away by themselves: connection, resources, operator intervention, rollback, lock timeout.
fn passes(code: &str) -> bool {
    ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class)) || code == "55P03" || code == "25P03"
}
