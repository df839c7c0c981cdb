//! The contestants: the ledger, the stock event store of postgres-es, and a bare batched INSERT of the rows the ledger
//! writes, into a table of the same columns and indexes. Each acknowledgement of each of them is fsynced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use postgres_es::PostgresEventRepository;
use sqlx::{PgConnection, PgPool};
use xagent_domain::tool::{Tool, ToolEvent};
use xagent_domain::{CanonicalJson, Digest, Metadata, Tenant};
use xagent_ledger::{Append, CommandKey, Expected, Folded, Ledger};

use crate::figures::{Figures, measure};

pub const TURN: Duration = Duration::from_secs(1);

/// An event whose payload has about so many bytes.
pub fn event(bytes: usize) -> ToolEvent {
    xagent_tests::registered("tool", "x".repeat(bytes.saturating_sub(220)))
}

pub fn metadata() -> Metadata {
    Metadata { actor: "bench".to_owned(), command_id: "c".repeat(36), ..Metadata::default() }
}

/// One event to a stream that is at `sequence`, by a command with a key.
pub fn append(aggregate_id: String, sequence: u64, key: &str, event: ToolEvent) -> Append<ToolEvent> {
    Append {
        tenant: Tenant::default_tenant(),
        aggregate_id,
        expected: Expected::Exactly(sequence),
        events: vec![event],
        blobs: Vec::new(),
        metadata: Metadata { command_id: key.to_owned(), ..metadata() },
        command: Some(CommandKey { id: key.parse().unwrap(), body: Digest::of(b"body") }),
    }
}

/// Each writer appends to a stream of its own, one event of 1 KB and one idempotency key at a time.
pub async fn ours(ledger: Ledger, writers: usize, turn: String) -> Figures {
    let event = event(1024);
    measure(writers, TURN, move |writer, sequence| {
        let ledger = ledger.clone();
        let key = format!("{turn}-{writer}-{sequence}-{}", "k".repeat(20));
        let append = append(format!("{turn}-{writer}"), sequence, &key, event.clone());
        async move {
            ledger.append::<Tool>(append).await.unwrap();
            1
        }
    })
    .await
}

/// The same through the stock repository of postgres-es, which knows no keys.
pub async fn postgres_es(pool: PgPool, writers: usize, turn: String) -> Figures {
    let repository = Arc::new(PostgresEventRepository::new(pool).with_tables("es_events", "es_snapshots"));
    let (event, metadata) = (serde_json::to_value(event(1024)).unwrap(), serde_json::to_value(metadata()).unwrap());
    measure(writers, TURN, move |writer, sequence| {
        let repository = repository.clone();
        let event = SerializedEvent {
            aggregate_id: format!("{turn}-{writer}"),
            sequence: usize::try_from(sequence).unwrap() + 1,
            aggregate_type: "tool".to_owned(),
            event_type: "ToolRegistered".to_owned(),
            event_version: "1".to_owned(),
            payload: event.clone(),
            metadata: metadata.clone(),
        };
        async move {
            repository.persist::<Folded<Tool>>(&[event], None).await.unwrap();
            1
        }
    })
    .await
}

const BARE: &str = "INSERT INTO bare SELECT 'tool', id, sequence, 'ToolRegistered', '1', payload::json, metadata::json, \
                    position, 'default', now(), leaf, key, body, 1 FROM unnest($1::text[], $2::bigint[], $3::text[], \
                    $4::text[], $5::bigint[], $6::bytea[], $7::text[], $8::bytea[]) \
                    AS row (id, sequence, payload, metadata, position, leaf, key, body)";

/// One connection; `batch` rows, one statement and one commit at a time, from position `first` on.
pub async fn bare(connection: &mut PgConnection, batch: usize, turn: String, first: usize) -> Figures {
    let (payload, metadata) = (CanonicalJson::of(&event(1024)).unwrap(), CanonicalJson::of(&metadata()).unwrap());
    let (payloads, metadata) = (vec![payload.as_str(); batch], vec![metadata.as_str(); batch]);
    let (body, signed) = (Digest::of(b"body"), |number: usize| i64::try_from(number).unwrap());
    let mut times = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < TURN {
        let asked = Instant::now();
        let (done, writers) = (times.len(), 0..batch);
        let ids: Vec<_> = writers.clone().map(|writer| format!("{turn}-{writer}")).collect();
        let sequences = vec![signed(done) + 1; batch];
        let positions: Vec<_> = writers.clone().map(|writer| signed(first + done * batch + writer)).collect();
        let keys: Vec<_> = writers.map(|writer| format!("{turn}-{writer}-{done}-{}", "k".repeat(20))).collect();
        let leaves: Vec<_> = keys.iter().map(|key| Digest::of(key.as_bytes()).as_bytes().to_vec()).collect();
        let insert = sqlx::query(BARE).bind(ids).bind(sequences).bind(&payloads).bind(&metadata).bind(positions);
        let insert = insert.bind(leaves).bind(keys).bind(vec![body.as_bytes().as_slice(); batch]);
        insert.execute(&mut *connection).await.unwrap();
        times.push(asked.elapsed().as_secs_f64() * 1000.0);
    }
    Figures { events: (times.len() * batch) as u64, seconds: begin.elapsed().as_secs_f64(), times }
}
