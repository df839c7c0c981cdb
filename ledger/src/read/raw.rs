//! Events as they were recorded, unverified: for fan-out, display and replay, which judges them itself.

use sqlx::Row;
use xagent_domain::{ApprovalId, Blob, Digest, Recorded, Tenant};

use super::{EVENT_COLUMNS, digest, recorded, undecodable, unsigned};
use crate::{CommandKey, Ledger, LedgerError, Receipt};

/// The end of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Position of the last event; 0 where there is none.
    pub position: u64,
    /// When it was recorded, in microseconds since 1970.
    pub recorded_at_us: i64,
}

/// An event that may give a worker something to do, or tells that a run has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// Where.
    pub position: u64,
    /// Whose.
    pub tenant: Tenant,
    /// The run.
    pub aggregate_id: String,
    /// Which event.
    pub event_type: String,
    /// Where it is the start of a run, what that says.
    pub started: Option<RunStart>,
    /// Whether it proposes a call that its client executes.
    pub for_client: bool,
}

/// What a worker wants to know of a run's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStart {
    /// The agent's name.
    pub agent: String,
    /// The run's priority, where it is said.
    pub priority: Option<String>,
    /// Whether the run continues another one: then it does not begin with its start.
    pub forked: bool,
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Ledger {
    /// Up to `limit` events of one stream after sequence `after`.
    pub async fn stream(
        &self,
        tenant: &Tenant,
        aggregate_type: &str,
        aggregate_id: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, LedgerError> {
        const OPERATION: &str = "read a stream";
        // Of the first event that is wanted, the archive that holds it, if it is in one: it is told of even where no
        // event of the stream is here.
        let sql = format!(
            "SELECT archived.archived_position, event.* FROM (SELECT) AS one \
             LEFT JOIN LATERAL (SELECT position AS archived_position FROM archived_streams WHERE aggregate_type = $1 \
             AND aggregate_id = $2 AND tenant = $3 AND sequence > $4 ORDER BY sequence LIMIT 1) AS archived ON true \
             LEFT JOIN LATERAL (SELECT {EVENT_COLUMNS} FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 \
             AND tenant = $3 AND sequence > $4 ORDER BY sequence LIMIT $5) AS event ON true ORDER BY event.sequence"
        );
        let query = sqlx::query(&sql)
            .bind(aggregate_type)
            .bind(aggregate_id)
            .bind(tenant.as_str())
            .bind(signed(after))
            .bind(i64::from(limit));
        let mut rows = self.bounded(OPERATION, query.fetch_all(&self.0.pool)).await?;
        let archived = rows.first().map(|row| row.try_get::<Option<i64>, _>("archived_position")).transpose();
        let archived = archived.map_err(|error| LedgerError::database(OPERATION, &error))?.flatten();
        rows.retain(|row| !matches!(row.try_get::<Option<i64>, _>("position"), Ok(None)));
        let events = decoded(&rows, OPERATION, recorded)?;
        match archived.and_then(|position| u64::try_from(position).ok()) {
            Some(position) if limit > 0 && events.first().is_none_or(|event| event.sequence != after + 1) => {
                Err(self.archived_at(position).await?)
            }
            _ => Ok(events),
        }
    }

    /// Up to `limit` events after position `after`, of all tenants.
    pub async fn range(&self, after: u64, limit: u32) -> Result<Vec<Recorded>, LedgerError> {
        let sql = format!("SELECT {EVENT_COLUMNS} FROM events WHERE position > $1 ORDER BY position LIMIT $2");
        let query = sqlx::query(&sql).bind(signed(after)).bind(i64::from(limit));
        let rows = self.bounded("read a range", query.fetch_all(&self.0.pool)).await?;
        let events = decoded(&rows, "read a range", recorded)?;
        // There is no gap, but where a range was moved away.
        if events.first().is_some_and(|event| event.position > after + 1) && self.attached_from().await? > after + 1 {
            return Err(self.archived_at(after + 1).await?);
        }
        Ok(events)
    }

    /// Up to `limit` wakes after position `after`.
    pub async fn wakes(&self, after: u64, limit: u32) -> Result<Vec<Wake>, LedgerError> {
        let query = sqlx::query(include_str!("wakes.sql")).bind(signed(after)).bind(i64::from(limit));
        let rows = self.bounded("read wakes", query.fetch_all(&self.0.pool)).await?;
        decoded(&rows, "read wakes", |row| {
            let tenant: String = row.try_get("tenant")?;
            Ok(Wake {
                position: unsigned(row, "position")?,
                tenant: tenant.parse().map_err(|e: xagent_domain::IdError| undecodable("tenant", e))?,
                aggregate_id: row.try_get("aggregate_id")?,
                event_type: row.try_get("event_type")?,
                started: match row.try_get("agent")? {
                    Some(agent) => {
                        Some(RunStart { agent, priority: row.try_get("priority")?, forked: row.try_get("forked")? })
                    }
                    None => None,
                },
                for_client: row.try_get::<Option<bool>, _>("for_client")?.unwrap_or_default(),
            })
        })
    }

    /// Runs of a tenant, the youngest first: position of their start, and id.
    pub async fn runs(&self, tenant: &Tenant, before: u64, limit: u32) -> Result<Vec<(u64, String)>, LedgerError> {
        let query = sqlx::query(
            "SELECT position, aggregate_id FROM events WHERE tenant = $1 AND event_type = 'RunStarted' \
             AND position < $2 ORDER BY position DESC LIMIT $3",
        );
        let query = query.bind(tenant.as_str()).bind(signed(before)).bind(i64::from(limit));
        let rows = self.bounded("list runs", query.fetch_all(&self.0.pool)).await?;
        decoded(&rows, "list runs", |row| Ok((unsigned(row, "position")?, row.try_get("aggregate_id")?)))
    }

    /// The run an approval belongs to.
    pub async fn run_of_approval(&self, tenant: &Tenant, id: &ApprovalId) -> Result<Option<String>, LedgerError> {
        let query = sqlx::query(
            "SELECT aggregate_id FROM events WHERE event_type = 'ApprovalRequested' AND tenant = $1 \
             AND payload #>> '{ApprovalRequested,approval}' = $2",
        );
        let query = query.bind(tenant.as_str()).bind(id.to_string());
        let row = self.bounded("find an approval", query.fetch_optional(&self.0.pool)).await?;
        row.map(|row| row.try_get(0)).transpose().map_err(|e| LedgerError::database("find an approval", &e))
    }

    /// Ids of a tenant's aggregates of one type that start with `prefix`, in order.
    pub async fn aggregate_ids(
        &self,
        tenant: &Tenant,
        aggregate_type: &str,
        prefix: &str,
    ) -> Result<Vec<String>, LedgerError> {
        let query = sqlx::query(
            "SELECT aggregate_id FROM events WHERE aggregate_type = $1 AND aggregate_id >= $2 \
             AND starts_with(aggregate_id, $2) AND sequence = 1 AND tenant = $3 ORDER BY aggregate_id LIMIT 10000",
        );
        let query = query.bind(aggregate_type).bind(prefix).bind(tenant.as_str());
        let rows = self.bounded("list aggregates", query.fetch_all(&self.0.pool)).await?;
        decoded(&rows, "list aggregates", |row| row.try_get(0))
    }

    /// The text of a blob, checked against its digest.
    pub async fn blob(&self, wanted: &Digest) -> Result<Blob, LedgerError> {
        let query = sqlx::query("SELECT media_type, content FROM blobs WHERE digest = $1");
        let query = query.bind(wanted.as_bytes().as_slice());
        let row = self.bounded("read a blob", query.fetch_optional(&self.0.pool)).await?;
        let problem = |problem| LedgerError::Blob { digest: wanted.to_string(), problem };
        let row = row.ok_or_else(|| problem("missing"))?;
        let read = |row: &sqlx::postgres::PgRow| Ok((row.try_get("media_type")?, row.try_get("content")?));
        let (media_type, content): (String, Vec<u8>) =
            read(&row).map_err(|e: sqlx::Error| LedgerError::database("read a blob", &e))?;
        let text = String::from_utf8(content).map_err(|_| problem("corrupt"))?;
        if Digest::of(text.as_bytes()) != *wanted {
            return Err(problem("corrupt"));
        }
        Ok(Blob { digest: *wanted, media_type, text })
    }

    /// The end of the ledger.
    pub async fn head(&self) -> Result<Head, LedgerError> {
        let query = sqlx::query(
            "SELECT last_position, (extract(epoch FROM last_recorded_at) * 1000000)::bigint AS at FROM present_head",
        );
        let row = self.bounded("read the head", query.fetch_one(&self.0.pool)).await?;
        let read = |row: &sqlx::postgres::PgRow| {
            Ok(Head { position: unsigned(row, "last_position")?, recorded_at_us: row.try_get("at")? })
        };
        let head = read(&row).map_err(|e: sqlx::Error| LedgerError::database("read the head", &e))?;
        self.0.committed.send_if_modified(|last| crate::append::raise(last, head.position));
        Ok(head)
    }

    /// What the command with this key was promised, if it has been here before.
    pub async fn receipt(&self, tenant: &Tenant, key: &CommandKey) -> Result<Option<Receipt>, LedgerError> {
        const OPERATION: &str = "look up a command";
        let query = sqlx::query(include_str!("receipt.sql")).bind(tenant.as_str()).bind(key.id.as_str());
        let Some(row) = self.bounded(OPERATION, query.fetch_optional(&self.0.pool)).await? else { return Ok(None) };
        let read = |row: &sqlx::postgres::PgRow| {
            let body: Vec<u8> = row.try_get("body_digest")?;
            Ok((digest(&body, "body_digest")?, super::receipt_of(row)?))
        };
        let (body, mut receipt) = read(&row).map_err(|e: sqlx::Error| LedgerError::database(OPERATION, &e))?;
        if body != key.body {
            return Err(LedgerError::KeyReused { command_id: key.id.to_string() });
        }
        receipt.root = self.root_at(receipt.tree_size).await?;
        Ok(Some(receipt))
    }
}

fn decoded<T>(
    rows: &[sqlx::postgres::PgRow],
    operation: &'static str,
    read: impl Fn(&sqlx::postgres::PgRow) -> Result<T, sqlx::Error>,
) -> Result<Vec<T>, LedgerError> {
    rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| LedgerError::database(operation, &error))
}
