//! Appending: all events of a command in one transaction under the ledger's lock, or none.

use sqlx::{Postgres, Row, Transaction};
use xagent_domain::{Blob, Decider, Metadata, Recorded, Tenant};
use xagent_tree::Frontier;

use crate::seal::{Place, Sealed, seal};
use crate::{CommandKey, Committed, Ledger, LedgerError, Receipt};

/// The sequence a stream must be at for an append to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Exactly this; 0 for a new stream.
    Exactly(u64),
    /// Whatever it is at: for logs, whose entries do not depend on each other.
    Any,
}

/// A command's events on their way into the ledger.
#[derive(Clone, Debug)]
pub struct Append<E> {
    /// Whose.
    pub tenant: Tenant,
    /// The stream.
    pub aggregate_id: String,
    /// Where the stream must be.
    pub expected: Expected,
    /// The events, in order.
    pub events: Vec<E>,
    /// Content they refer to.
    pub blobs: Vec<Blob>,
    /// Who caused them.
    pub metadata: Metadata,
    /// What makes a repetition of the command known.
    pub command: Option<CommandKey>,
}

/// An append that went through.
#[derive(Debug)]
pub struct Appended<E> {
    /// What is promised.
    pub receipt: Receipt,
    /// The events; empty where the command was a repetition.
    pub events: Vec<Committed<E>>,
    /// Whether the same command had been appended before.
    pub repeated: bool,
}

/// What must be known under the lock before events can be placed.
struct Ground {
    position: u64,
    frontier: Frontier,
    recorded_at_us: i64,
    sequence: u64,
    repetition: Option<(Vec<u8>, Receipt)>,
}

impl Ledger {
    /// Appends the events of one command.
    pub async fn append<D: Decider>(&self, append: Append<D::Event>) -> Result<Appended<D::Event>, LedgerError> {
        const OPERATION: &str = "append";
        let work = async {
            let failed = |error: sqlx::Error| LedgerError::database(OPERATION, &error);
            let mut transaction = self.0.pool.begin().await.map_err(failed)?;
            sqlx::query(include_str!("lock.sql")).execute(&mut *transaction).await.map_err(failed)?;
            let ground = ground::<D>(&mut transaction, &append).await?;
            if let Some((body, mut receipt)) = ground.repetition {
                transaction.rollback().await.map_err(failed)?;
                receipt.root = self.root_at(receipt.tree_size).await?;
                return repeated(&append, &body, receipt);
            }
            if let Expected::Exactly(expected) = append.expected
                && expected != ground.sequence
            {
                let (aggregate_id, found) = (append.aggregate_id, ground.sequence);
                return Err(LedgerError::Conflict { aggregate_id, expected, found });
            }
            let place = Place {
                tenant: &append.tenant,
                aggregate_type: D::TYPE,
                aggregate_id: &append.aggregate_id,
                position: ground.position,
                sequence: ground.sequence,
                recorded_at_us: self.0.clock.now_us().max(ground.recorded_at_us),
            };
            let sealed = seal(&append.events, &append.metadata, &place, ground.frontier)?;
            let receipt = receipt(&append.aggregate_id, &place, &sealed);
            write(&mut transaction, &append, &sealed, &receipt).await.map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
            self.0.committed.send_if_modified(|last| raise(last, receipt.last_position));
            let events = append.events.into_iter().zip(&sealed.events);
            let events = events.map(|(event, at)| Committed::new(event, at.position, at.sequence)).collect();
            Ok(Appended { receipt, events, repeated: false })
        };
        tokio::time::timeout(self.0.options.operation_timeout, work).await.unwrap_or_else(|_| {
            Err(LedgerError::Unavailable { operation: OPERATION, detail: "no answer in time".to_owned() })
        })
    }
}

async fn ground<D: Decider>(
    transaction: &mut Transaction<'_, Postgres>,
    append: &Append<D::Event>,
) -> Result<Ground, LedgerError> {
    let row = sqlx::query(include_str!("ground.sql"))
        .bind(D::TYPE)
        .bind(&append.aggregate_id)
        .bind(append.tenant.as_str())
        .bind(append.command.as_ref().map(|key| key.id.as_str()))
        .fetch_one(&mut **transaction)
        .await;
    let read = |row: sqlx::postgres::PgRow| -> Result<Ground, sqlx::Error> {
        let body: Option<Vec<u8>> = row.try_get("body_digest")?;
        let repetition = body.map(|body| Ok::<_, sqlx::Error>((body, crate::read::receipt_of(&row)?))).transpose()?;
        let position = crate::read::unsigned(&row, "last_position")?;
        let frontier: Vec<u8> = row.try_get("frontier")?;
        Ok(Ground {
            position,
            frontier: Frontier::from_bytes(position, &frontier).map_err(|e| crate::read::undecodable("frontier", e))?,
            recorded_at_us: row.try_get("last_recorded_at_us")?,
            sequence: crate::read::unsigned(&row, "sequence")?,
            repetition,
        })
    };
    row.and_then(read).map_err(|error| LedgerError::database("append", &error))
}

fn repeated<E>(append: &Append<E>, body: &[u8], receipt: Receipt) -> Result<Appended<E>, LedgerError> {
    match &append.command {
        Some(key) if key.body.as_bytes() == body => Ok(Appended { receipt, events: Vec::new(), repeated: true }),
        Some(key) => Err(LedgerError::KeyReused { command_id: key.id.to_string() }),
        None => Err(LedgerError::Failed { operation: "append", detail: "a command without a key repeated".to_owned() }),
    }
}

fn receipt(aggregate_id: &str, place: &Place<'_>, sealed: &Sealed) -> Receipt {
    let count = sealed.events.len() as u64;
    let last_position = place.position + count;
    Receipt {
        first_position: place.position + 1,
        last_position,
        aggregate_id: aggregate_id.to_owned(),
        sequence: place.sequence + count,
        leaf_hashes: sealed.events.iter().map(|event| event.leaf_hash).collect(),
        tree_size: last_position,
        root: sealed.frontier.root(),
    }
}

/// One statement: blobs, events, head, command key and the notification.
async fn write<E>(
    transaction: &mut Transaction<'_, Postgres>,
    append: &Append<E>,
    sealed: &Sealed,
    receipt: &Receipt,
) -> Result<(), sqlx::Error> {
    let (events, nodes) = (&sealed.events, &sealed.nodes);
    let texts = |field: fn(&Recorded) -> &str| events.iter().map(field).collect::<Vec<_>>();
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let key = append.command.as_ref();
    let done = sqlx::query(include_str!("write.sql"))
        .bind(events.first().map(|event| event.aggregate_type.as_str()))
        .bind(&append.aggregate_id)
        .bind(append.tenant.as_str())
        .bind(events.iter().map(|event| signed(event.sequence)).collect::<Vec<_>>())
        .bind(texts(|event| &event.event_type))
        .bind(texts(|event| &event.event_version))
        .bind(texts(|event| &event.payload))
        .bind(texts(|event| &event.metadata))
        .bind(events.iter().map(|event| signed(event.position)).collect::<Vec<_>>())
        .bind(events.first().map(|event| event.recorded_at_us))
        .bind(events.iter().map(|event| event.leaf_hash.as_bytes().as_slice()).collect::<Vec<_>>())
        .bind(append.blobs.iter().map(|blob| blob.digest.as_bytes().as_slice()).collect::<Vec<_>>())
        .bind(append.blobs.iter().map(|blob| blob.media_type.as_str()).collect::<Vec<_>>())
        .bind(append.blobs.iter().map(|blob| blob.text.as_bytes()).collect::<Vec<_>>())
        .bind(key.map(|key| key.id.as_str()))
        .bind(key.map(|key| key.body.as_bytes().as_slice()))
        .bind(signed(receipt.first_position))
        .bind(signed(receipt.last_position))
        .bind(signed(receipt.sequence))
        .bind(nodes.iter().map(|(subtree, _)| i16::from(subtree.level)).collect::<Vec<_>>())
        .bind(nodes.iter().map(|(subtree, _)| signed(subtree.index)).collect::<Vec<_>>())
        .bind(nodes.iter().map(|(_, hash)| hash.as_bytes().as_slice()).collect::<Vec<_>>())
        .bind(sealed.frontier.to_bytes())
        .fetch_one(&mut **transaction)
        .await?;
    let written: i64 = done.try_get("written")?;
    if written == signed(events.len() as u64) {
        return Ok(());
    }
    Err(sqlx::Error::Protocol(format!("{} events were to be written, {written} were", events.len())))
}

/// Raises a watched position; tells whether it rose.
pub(crate) fn raise(last: &mut u64, to: u64) -> bool {
    let rises = to > *last;
    *last = to.max(*last);
    rises
}
