//! Stock cqrs-es reads whatever is recorded: every stream of a ledger, of every kind, with every event there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore, SerializedEvent};
use cqrs_es::{AggregateContext, EventStore};
use postgres_es::PostgresEventRepository;
use serde_json::{Value, json};
use sqlx::PgPool;
use xagent_domain::access::{Access, AccessEvent};
use xagent_domain::api_key::{ApiKey, ApiKeyEvent};
use xagent_domain::bundle::{BundleEvent, Bundles};
use xagent_domain::decision_log::{DecisionLog, DecisionLogEvent};
use xagent_domain::run::{Run, RunEvent};
use xagent_domain::tool::{Tool, ToolEvent};
use xagent_domain::upstream::{Upstream, UpstreamEvent};
use xagent_domain::{Decider, Event, Metadata, Recorded, Tenant};
use xagent_ledger::{Append, CqrsStore, Expected, Fact, Folded, Ledger};
use xagent_tests::{Examples, Parts, names, registered};

use crate::world::World;

/// Kinds of aggregates, and the events that were read of each.
type Seen = BTreeMap<String, BTreeSet<String>>;

/// Appends an example of each event of a kind, with the content that is stored apart.
async fn record_all<D: Decider<Event: Examples>>(ledger: &Ledger) {
    let mut parts = Parts::default();
    let append = Append {
        tenant: Tenant::default_tenant(),
        aggregate_id: format!("default/every-{}", D::TYPE),
        expected: Expected::Exactly(0),
        events: D::Event::all(&mut parts),
        blobs: parts.blobs.clone(),
        metadata: Metadata { actor: "alice \"é\"".to_owned(), command_id: "c".to_owned(), ..Metadata::default() },
        command: None,
    };
    ledger.append::<D>(append).await.unwrap();
    for blob in parts.blobs {
        assert_eq!(ledger.blob(&blob.digest).await.unwrap(), blob);
    }
}

fn same<E: Event>(stock: &SerializedEvent, recorded: &Recorded) {
    assert_eq!(
        (&stock.aggregate_type, &stock.aggregate_id, stock.sequence as u64, &stock.event_type, &stock.event_version),
        (
            &recorded.aggregate_type,
            &recorded.aggregate_id,
            recorded.sequence,
            &recorded.event_type,
            &recorded.event_version
        ),
    );
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!((&stock.payload, &stock.metadata), (&parsed(&recorded.payload), &parsed(&recorded.metadata)));
    let fact: Fact<E> = serde_json::from_value(stock.payload.clone()).unwrap();
    assert_eq!(fact.0.event_type(), stock.event_type);
}

/// Reads a stream by the stock repository and the stock store, and holds both to what the ledger says.
async fn read<D>(pool: &PgPool, ledger: &Ledger, id: &str, seen: &mut Seen)
where
    D: Decider<Command: Send> + PartialEq + Debug,
{
    let (tenant, repository) = (Tenant::default_tenant(), PostgresEventRepository::new(pool.clone()));
    let recorded = ledger.stream(&tenant, D::TYPE, id, 0, 10_000).await.unwrap();
    let stock = repository.get_events::<Folded<D>>(id).await.unwrap();
    assert_eq!(stock.len(), recorded.len(), "{id}");
    stock.iter().zip(&recorded).for_each(|(stock, recorded)| same::<D::Event>(stock, recorded));
    let last = repository.get_last_events::<Folded<D>>(id, stock.len() - 1).await.unwrap();
    assert_eq!(last, stock[stock.len() - 1..], "{id}");

    let loaded = ledger.load::<D>(&tenant, id).await.unwrap();
    let store = PersistedEventStore::<_, Folded<D>>::new_event_store(repository);
    let mut context = store.load_aggregate(id).await.unwrap();
    assert_eq!(context.current_sequence as u64, loaded.sequence, "{id}");
    assert_eq!(context.aggregate().0, loaded.state, "{id}");
    let types = stock.into_iter().map(|event| event.event_type);
    seen.entry(D::TYPE.to_owned()).or_default().extend(types);
}

/// Things as they happen: runs, a call that is denied, a read that is refused, a tool, the law.
async fn live(world: &World) {
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let mut tool = json!(xagent_tests::registration("search", "finds"));
    tool["schema"] = json!({"type": "object"});
    alice.post("/v1/tools", &tool).await.expect(201);
    let call = json!({"tool": "search", "arguments": {"text": "x".repeat(20_000)}});
    alice.post(&format!("/v1/runs/{run}/tool-calls"), &call).await.expect(201);
    world.api("mallory", &[]).get(&format!("/v1/runs/{run}")).await.problem(403, "denied");
}

fn all<E: Examples>() -> BTreeSet<String> {
    names::<E>().iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_cqrs_es_reads_every_stream_and_every_event_there_is() {
    let world = World::new().await;
    let (ledger, pool) = (world.ledger(), world.superuser().await);
    live(&world).await;
    record_all::<Run>(&ledger).await;
    record_all::<Bundles>(&ledger).await;
    record_all::<Tool>(&ledger).await;
    record_all::<Upstream>(&ledger).await;
    record_all::<Access>(&ledger).await;
    record_all::<ApiKey>(&ledger).await;
    record_all::<DecisionLog>(&ledger).await;
    let streams = "SELECT DISTINCT aggregate_type, aggregate_id FROM events";
    let streams: Vec<(String, String)> = sqlx::query_as(streams).fetch_all(&pool).await.unwrap();
    let mut seen = Seen::new();
    for (kind, id) in &streams {
        match kind.as_str() {
            "run" => read::<Run>(&pool, &ledger, id, &mut seen).await,
            "bundle" => read::<Bundles>(&pool, &ledger, id, &mut seen).await,
            "tool" => read::<Tool>(&pool, &ledger, id, &mut seen).await,
            "upstream" => read::<Upstream>(&pool, &ledger, id, &mut seen).await,
            "access" => read::<Access>(&pool, &ledger, id, &mut seen).await,
            "api_key" => read::<ApiKey>(&pool, &ledger, id, &mut seen).await,
            "decision_log" => read::<DecisionLog>(&pool, &ledger, id, &mut seen).await,
            other => panic!("aggregates of the kind `{other}` are new: read them here, and record their events"),
        }
    }
    let every = [
        (Run::TYPE, all::<RunEvent>()),
        (Bundles::TYPE, all::<BundleEvent>()),
        (Tool::TYPE, all::<ToolEvent>()),
        (Upstream::TYPE, all::<UpstreamEvent>()),
        (Access::TYPE, all::<AccessEvent>()),
        (ApiKey::TYPE, all::<ApiKeyEvent>()),
        (DecisionLog::TYPE, all::<DecisionLogEvent>()),
    ];
    assert_eq!(seen, every.map(|(kind, names)| (kind.to_owned(), names)).into());
    assert!(streams.len() >= 8, "the live ones are among them: {streams:?}");
    assert!(world.xagent(&["verify", "--blobs"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_cqrs_es_writes_through_the_ledger() {
    let world = World::new().await;
    let store = CqrsStore::<Tool>::new(world.ledger(), Tenant::default_tenant());
    let (first, second) =
        (store.load_aggregate("default/t").await.unwrap(), store.load_aggregate("default/t").await.unwrap());
    let metadata = || [("actor".to_owned(), "test".to_owned())].into();
    let committed = store.commit(vec![Fact(registered("t", ""))], first, metadata()).await.unwrap();
    assert_eq!(committed[0].sequence, 1);
    let lost = store.commit(vec![Fact(registered("u", ""))], second, metadata()).await;
    assert!(matches!(lost, Err(cqrs_es::AggregateError::AggregateConflict)));
    let events = store.load_events("default/t").await.unwrap();
    assert_eq!((events.len(), events[0].metadata["actor"].as_str()), (1, "test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_cqrs_es_decides_on_what_other_processes_wrote() {
    let world = World::new().await;
    let [here, there] = [world.ledger(), world.ledger()].map(|l| CqrsStore::<Tool>::new(l, Tenant::default_tenant()));
    for (turn, store) in [&here, &there, &here, &here, &there].into_iter().enumerate() {
        let context = store.load_aggregate("default/t").await.unwrap();
        let event = Fact(registered(turn.to_string(), ""));
        let committed = store.commit(vec![event], context, Default::default()).await.unwrap();
        assert_eq!(committed[0].sequence, turn + 1);
        let mut state = store.load_aggregate("default/t").await.unwrap();
        assert_eq!(state.aggregate().0.registration().unwrap().name, turn.to_string());
    }
}
