//! Checkpoints: signed at once when asked, by any process, and published to NATS.

use std::collections::BTreeMap;

use async_nats::jetstream::stream::Stream;
use serde_json::{Value, json};
use xagent_ledger::Lease;
use xagent_projections::{CHECKPOINTS, STREAM};
use xagent_stack::{Server, Stack};
use xagent_tree::{Checkpoint, Verifier};

use crate::world::{Api, World, until};

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// A signed answer, once its signature is checked.
fn opened(signed: &Value) -> Checkpoint {
    let key: Verifier = signed["verifier"].as_str().unwrap().parse().unwrap();
    let checkpoint = Checkpoint::open(signed["note"].as_str().unwrap(), &key).unwrap();
    assert_eq!(checkpoint.size, number(&signed["size"]));
    checkpoint
}

async fn receipt(api: &Api) -> Value {
    api.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await.expect(201)["receipt"].clone()
}

/// Nobody signs unasked any more: the test itself leads, and does nothing.
async fn nobody_signs(world: &mut World) -> Lease {
    world.kill_server().await;
    let ledger = world.ledger();
    let lease = until("the lease of the notary is free", async || ledger.lease("checkpoints").await.unwrap()).await;
    world.start_server().await;
    lease
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_covered_at_once_by_a_process_that_does_not_lead() {
    let mut world = World::new().await;
    let lease = nobody_signs(&mut world).await;
    let alice = world.everything("alice");
    for _ in 0..3 {
        let receipt = receipt(&alice).await;
        let size = number(&receipt["tree_size"]);
        let signed = alice.get(&format!("/v1/ledger/checkpoint?at_least={size}")).await.expect(200);
        let checkpoint = opened(&signed);
        assert!(checkpoint.size >= size);
        if checkpoint.size == size {
            assert_eq!(json!(checkpoint.root), receipt["root"]);
        }
        assert_eq!(alice.get("/v1/ledger/checkpoint").await.expect(200), signed, "it is kept");
    }
    assert!(lease.is_held().await, "nobody else led");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_are_asked_at_once_answer_with_one_checkpoint() {
    let mut world = World::new().await;
    let _lease = nobody_signs(&mut world).await;
    let (_second, url) = world.another_server().await;
    let one = world.everything("alice");
    let two = Api::new(&url, "default", "bob", &["*"], &[]);
    for _ in 0..10 {
        receipt(&one).await;
        let path = format!("/v1/ledger/checkpoint?at_least={}", world.head().await);
        let answers =
            futures::future::join_all((0..8).map(|n| if n % 2 == 0 { one.get(&path) } else { two.get(&path) }));
        let answers: Vec<_> = answers.await.into_iter().map(|answer| answer.expect(200)).collect();
        let by_size: BTreeMap<u64, &Value> = answers.iter().map(|signed| (opened(signed).size, signed)).collect();
        assert!(answers.iter().all(|signed| by_size[&number(&signed["size"])] == signed), "one note per size");
    }
    assert!(world.xagent(&["verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_yet_is_not_signed() {
    let world = World::new().await;
    let alice = world.everything("alice");
    receipt(&alice).await;
    let beyond = alice.get("/v1/ledger/checkpoint?at_least=1000000").await.problem(404, "not-found");
    assert!(beyond["detail"].as_str().unwrap().contains("1000000 events"), "{beyond}");
    alice.get("/v1/ledger/checkpoint?at_least=x").await.problem(400, "invalid-input");
    for path in ["checkpoint?at_least=1", "checkpoints", "keys", "tlog/checkpoint", "tlog/tile/0/000.p/1"] {
        let poor = world.api("poor", &["run:read"]).get(&format!("/v1/ledger/{path}")).await.problem(403, "denied");
        assert_eq!(poor["deny"][0]["code"], "missing_scope", "{path}");
        Api::with_token(&world.url, "x").get(&format!("/v1/ledger/{path}")).await.problem(401, "unauthenticated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_checkpoint_that_was_signed_can_be_listed_and_all_vouch_for_one_history() {
    let world = World::new().await;
    let alice = world.everything("alice");
    for _ in 0..5 {
        let size = number(&receipt(&alice).await["tree_size"]);
        alice.get(&format!("/v1/ledger/checkpoint?at_least={size}")).await.expect(200);
    }
    let (mut listed, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let page = alice.get(&format!("/v1/ledger/checkpoints?limit=2&cursor={cursor}")).await.expect(200);
        listed.extend(page["items"].as_array().unwrap().iter().map(opened));
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert!(listed.len() >= 5 && listed.is_sorted_by_key(|checkpoint| checkpoint.size));
    for checkpoint in listed {
        let root = alice.get(&format!("/v1/ledger/root?size={}", checkpoint.size)).await.expect(200)["root"].clone();
        assert_eq!(root, json!(checkpoint.root));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_contradicts_what_was_signed_is_not_signed_again() {
    let mut world = World::new().await;
    let _lease = nobody_signs(&mut world).await;
    let alice = world.everything("alice");
    let size = number(&receipt(&alice).await["tree_size"]);
    alice.get(&format!("/v1/ledger/checkpoint?at_least={size}")).await.expect(200);
    let superuser = world.superuser().await;
    let forge = "ALTER TABLE events DISABLE TRIGGER ALL; \
                 UPDATE events SET leaf_hash = sha256('forged') WHERE position = 2";
    sqlx::raw_sql(forge).execute(&superuser).await.unwrap();
    let beyond = number(&receipt(&alice).await["tree_size"]);
    let refused = alice.get(&format!("/v1/ledger/checkpoint?at_least={beyond}")).await.problem(500, "tampered");
    assert!(refused["detail"].as_str().unwrap().contains("another tree of this size was signed"), "{refused}");
    let latest = alice.get("/v1/ledger/checkpoint").await.expect(200);
    assert!(number(&latest["size"]) < beyond);
}

async fn stream(world: &World) -> Stream {
    let jetstream = world.jetstream().await;
    until("there is a stream of checkpoints", async || jetstream.get_stream(CHECKPOINTS).await.ok()).await
}

/// The sizes in the stream, each a note that its named key signed.
async fn published(stream: &mut Stream) -> Vec<u64> {
    let state = stream.info().await.unwrap().state.clone();
    let mut sizes = Vec::new();
    for sequence in state.first_sequence.max(1)..=state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        assert_eq!(message.subject.as_str(), "xagent.checkpoints");
        let header = |name: &str| message.headers.get(name).unwrap().as_str().to_owned();
        let note = String::from_utf8(message.payload.to_vec()).unwrap();
        let checkpoint = Checkpoint::open(&note, &header("Xagent-Verifier").parse().unwrap()).unwrap();
        assert_eq!(header("Nats-Msg-Id"), checkpoint.size.to_string());
        sizes.push(checkpoint.size);
    }
    sizes
}

async fn stored(world: &World, from: u64) -> Vec<u64> {
    world.ledger().checkpoints_after(from - 1, 1000).await.unwrap().iter().map(|stored| stored.size).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stored_checkpoint_is_published_once_and_in_order_through_an_outage_of_nats() {
    let world = World::new().await;
    let alice = world.everything("alice");
    receipt(&alice).await;
    let first = published(&mut stream(&world).await).await.first().copied();
    let first = match first {
        Some(first) => first,
        None => until("one is published", async || published(&mut stream(&world).await).await.first().copied()).await,
    };
    world.server(Server::Nats, Stack::pause).await;
    for _ in 0..5 {
        let size = number(&receipt(&alice).await["tree_size"]);
        let signed = alice.get(&format!("/v1/ledger/checkpoint?at_least={size}")).await.expect(200);
        assert!(number(&signed["size"]) >= size, "NATS away does not hold up signing");
    }
    world.server(Server::Nats, Stack::resume).await;
    let (mut stream, head) = (stream(&world).await, world.head().await);
    until("all of them are published", async || {
        (published(&mut stream).await.last().copied() >= Some(head)).then_some(())
    })
    .await;
    let found = published(&mut stream).await;
    let kept: Vec<_> = stored(&world, first).await.into_iter().take(found.len()).collect();
    assert_eq!(found, kept);
    let jetstream = world.jetstream().await;
    let events = until("the events are relayed", async || {
        let mut events = jetstream.get_stream(STREAM).await.ok()?;
        let last = events.info().await.ok()?.state.last_sequence;
        (last >= head).then_some(last)
    })
    .await;
    assert_eq!(events, world.head().await, "the events' stream holds events only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stream_of_checkpoints_begins_again_with_the_latest() {
    let world = World::new().await;
    let alice = world.everything("alice");
    receipt(&alice).await;
    let mut before = stream(&world).await;
    until("one is published", async || (!published(&mut before).await.is_empty()).then_some(())).await;
    world.jetstream().await.delete_stream(CHECKPOINTS).await.unwrap();
    let size = number(&receipt(&alice).await["tree_size"]);
    alice.get(&format!("/v1/ledger/checkpoint?at_least={size}")).await.expect(200);
    until("the stream goes on", async || {
        let mut again = world.jetstream().await.get_stream(CHECKPOINTS).await.ok()?;
        (again.info().await.ok()?.state.messages > 0).then_some(())
    })
    .await;
    let found = published(&mut stream(&world).await).await;
    assert!(found.iter().all(|again| *again >= size), "{found:?} from {size} on");
}
