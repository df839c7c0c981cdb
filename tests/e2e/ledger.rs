//! The ledger's own promises: order without gaps, no change.

use std::time::Duration;

use futures::future::join_all;
use sqlx::{Connection, Executor, PgConnection};
use xagent_domain::tool::Tool;
use xagent_domain::{Metadata, Tenant};
use xagent_ledger::{Append, Expected, Ledger, LedgerError};

use xagent_stack::{Server, Stack};
use xagent_tests::registered;

use crate::world::{World, until};

async fn append(ledger: &Ledger, id: &str, expected: Expected, events: usize) -> Result<u64, LedgerError> {
    append_long(ledger, id, expected, events, 200).await
}

/// Events of about so many bytes.
async fn append_long(
    ledger: &Ledger,
    id: &str,
    expected: Expected,
    events: usize,
    bytes: usize,
) -> Result<u64, LedgerError> {
    let append = Append {
        tenant: Tenant::default_tenant(),
        aggregate_id: id.to_owned(),
        expected,
        events: (0..events).map(|event| registered(event.to_string(), "x".repeat(bytes))).collect(),
        blobs: Vec::new(),
        metadata: Metadata { actor: "test".to_owned(), ..Metadata::default() },
        command: None,
    };
    ledger.append::<Tool>(append).await.map(|appended| appended.receipt.last_position)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_wrote_is_known_when_the_last_look_is_too_old() {
    const LONG: Duration = Duration::from_secs(600);
    let world = World::new().await;
    let (ledger, other) = (world.ledger(), world.ledger());
    let sequence = async |staleness| {
        let loaded = ledger.load_within::<Tool>(&Tenant::default_tenant(), "default/seldom", staleness).await.unwrap();
        (loaded.sequence, loaded.state.registration().map(|tool| tool.name.clone()))
    };
    assert_eq!(sequence(LONG).await, (0, None));
    append(&other, "default/seldom", Expected::Exactly(0), 1).await.unwrap();
    assert_eq!(sequence(LONG).await, (0, None), "it was looked at just now");
    assert_eq!(sequence(Duration::ZERO).await, (1, Some("0".to_owned())));
    append(&other, "default/seldom", Expected::Exactly(1), 2).await.unwrap();
    assert_eq!(sequence(LONG).await.0, 1, "the last look counts, whoever brought it about");
    assert_eq!(sequence(Duration::ZERO).await, (3, Some("1".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_large_is_compressed_by_lz4_where_the_server_has_it() {
    let world = World::new().await;
    let ledger = world.ledger();
    for sequence in 0..3 {
        append_long(&ledger, "default/large", Expected::Exactly(sequence), 1, 5000).await.unwrap();
    }
    let superuser = world.superuser().await;
    let has_lz4: bool =
        sqlx::query_scalar("SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")
            .fetch_one(&superuser)
            .await
            .unwrap();
    let ways: Vec<String> =
        sqlx::query_scalar("SELECT pg_column_compression(payload) FROM events WHERE aggregate_id = 'default/large'")
            .fetch_all(&superuser)
            .await
            .unwrap();
    assert_eq!(ways, [if has_lz4 { "lz4" } else { "pglz" }; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_have_no_gap_and_streams_no_double_sequence_under_contention() {
    let world = World::new().await;
    let (one, other) = (world.ledger(), world.ledger());
    let before = world.head().await;
    let writers = (0..64_u64).map(|writer| {
        let ledger = if writer % 2 == 0 { one.clone() } else { other.clone() };
        async move {
            let mut appended = 0;
            for round in 0..5 {
                let id = format!("default/shared-{}", (writer + round) % 4);
                let sequence = ledger.load::<Tool>(&Tenant::default_tenant(), &id).await.unwrap().sequence;
                match append(&ledger, &id, Expected::Exactly(sequence), 3).await {
                    Ok(_) => appended += 3,
                    Err(LedgerError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            appended
        }
    });
    let appended: u64 = join_all(writers).await.into_iter().sum();
    assert!(appended > 0);
    assert_eq!(world.head().await, before + appended);
    let superuser = world.superuser().await;
    let (count, least, most): (i64, i64, i64) =
        sqlx::query_as("SELECT count(*), min(position), max(position) FROM events")
            .fetch_one(&superuser)
            .await
            .unwrap();
    assert_eq!((least, most), (1, count));
    let disorder: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT recorded_at < lag(recorded_at) OVER (ORDER BY position) AS back FROM events) AS e WHERE back",
    )
    .fetch_one(&superuser)
    .await
    .unwrap();
    assert_eq!(disorder, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loser_of_a_race_gets_a_conflict_and_nothing_is_half_written() {
    let world = World::new().await;
    let ledger = world.ledger();
    append(&ledger, "default/a", Expected::Exactly(0), 2).await.unwrap();
    let head = world.head().await;
    let lost = append(&ledger, "default/a", Expected::Exactly(1), 2).await.unwrap_err();
    assert!(matches!(lost, LedgerError::Conflict { expected: 1, found: 2, .. }), "{lost}");
    assert_eq!(world.head().await, head);
}

/// A process that knows the ledger, but not the stream, takes the caller's word for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_stream_of_others_is_expected_elsewhere_that_is_a_conflict() {
    let world = World::new().await;
    let (ledger, newcomer) = (world.ledger(), world.ledger());
    append(&ledger, "default/theirs", Expected::Exactly(0), 3).await.unwrap();
    for wrong in [0, 1, 2, 4, 9] {
        let known = append(&newcomer, &format!("default/own-{wrong}"), Expected::Exactly(0), 1).await.unwrap();
        let found = append(&newcomer, "default/theirs", Expected::Exactly(wrong), 1).await.unwrap_err();
        assert!(matches!(found, LedgerError::Conflict { expected, found: 3, .. } if expected == wrong), "{found}");
        assert_eq!(newcomer.head().await.unwrap().position, known, "nothing was added");
    }
    let new = append(&newcomer, "default/new", Expected::Exactly(1), 1).await.unwrap_err();
    assert!(matches!(new, LedgerError::Conflict { expected: 1, found: 0, .. }), "{new}");
    append(&newcomer, "default/theirs", Expected::Exactly(3), 1).await.unwrap();
    assert!(world.xagent(&["verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_that_cannot_be_written_does_not_fail_its_neighbours() {
    let world = World::new().await;
    let ledger = world.ledger();
    let before = world.head().await;
    let writers = (0..60).map(|writer| {
        let ledger = ledger.clone();
        // Postgres takes no NUL in a text.
        let id = if writer % 20 == 7 { format!("default/{writer}\0") } else { format!("default/{writer}") };
        async move { (writer, append(&ledger, &id, Expected::Exactly(0), 2).await) }
    });
    for (writer, outcome) in join_all(writers).await {
        match (writer % 20 == 7, outcome) {
            (true, Err(LedgerError::Failed { .. })) | (false, Ok(_)) => {}
            (_, other) => panic!("{writer}: {other:?}"),
        }
    }
    assert_eq!(world.head().await, before + 57 * 2);
    assert!(world.xagent(&["verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_sends_commands_away_instead_of_growing() {
    let world = World::with_own_postgres().await;
    let ledger = world.ledger();
    append(&ledger, "default/warm", Expected::Any, 1).await.unwrap();
    world.server(Server::Postgres, Stack::pause).await;
    let writers = (0..1500).map(|writer| {
        let ledger = ledger.clone();
        async move { append(&ledger, &format!("default/{writer}"), Expected::Exactly(0), 1).await }
    });
    let outcomes = join_all(writers).await;
    let said: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap_err()).collect();
    assert!(said.iter().all(LedgerError::is_unavailable));
    assert!(said.iter().any(|error| error.to_string().contains("too many commands are waiting")));
    world.server(Server::Postgres, Stack::resume).await;
    until("the ledger takes commands again", async || append(&ledger, "default/warm", Expected::Any, 1).await.ok())
        .await;
    assert!(world.xagent(&["verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_cannot_be_changed_not_even_by_its_owner() {
    let world = World::new().await;
    world.everything("alice").start_client_run().await;
    let mut owner = PgConnection::connect(&world.database_url).await.unwrap();
    for role in ["RESET ROLE", "SET ROLE xagent_app"] {
        owner.execute(role).await.unwrap();
        for change in [
            "UPDATE events SET tenant = 'x'",
            "DELETE FROM events",
            "TRUNCATE events",
            "DELETE FROM commands",
            "TRUNCATE blobs",
            "UPDATE ledger_head SET last_position = 0",
            "DELETE FROM ledger_head",
        ] {
            let error = owner.execute(change).await.err();
            if change == "DELETE FROM commands" && error.is_none() {
                // There was none to refuse.
                continue;
            }
            let error = error.unwrap_or_else(|| panic!("{role}: {change} went through"));
            assert_eq!(
                error.as_database_error().unwrap().code().as_deref(),
                Some("42501"),
                "{role}: {change}: {error}"
            );
        }
    }
    for more in ["DROP TABLE events", "ALTER TABLE events DISABLE TRIGGER ALL", "CREATE TABLE mine (x int)"] {
        assert!(owner.execute(more).await.is_err(), "{more}");
    }
}
