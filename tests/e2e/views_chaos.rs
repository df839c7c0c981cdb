//! The views under chaos: whatever happens to their projectors, to Redis and to NATS, and however events come to them, in the
//! end they are what the events fold to, digest by digest.
//!
//! `XAGENT_CHAOS_ROUNDS` sets how many rounds there are: each has faults in random order, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::PullConsumer;
use futures::StreamExt;
use futures::future::join_all;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use tokio::process::Child;
use xagent_projections::{Built, Rebuild, STREAM, Tables, Target, ViewsRebuild};
use xagent_stack::{Server, Stack};
use xagent_tests::{ChatServer, Script};

use crate::planner::{planning, start};
use crate::short_term::in_redis;
use crate::tables::caught_up;
use crate::world::{Api, World, until};

const PROJECTORS: usize = 2;
/// Faults of a round.
const AT_ONCE: usize = 3;
/// Events between two faults.
const BETWEEN: u64 = 40;

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The consumer is gone, and its successor gets every event again.
    Redelivered,
    /// Somebody takes events off the consumer and hands them back, the last one first.
    Reordered,
    /// A process that relays and projects is killed.
    Killed,
    RedisFlushed,
    RedisRestarted,
    NatsRestarted,
    StreamDeleted,
}

const FAULTS: [Fault; 7] = [
    Fault::Redelivered,
    Fault::Reordered,
    Fault::Killed,
    Fault::RedisFlushed,
    Fault::RedisRestarted,
    Fault::NatsRestarted,
    Fault::StreamDeleted,
];

struct Chaos {
    world: World,
    projectors: Vec<Child>,
    /// Events that were handed back in another order.
    reordered: usize,
}

impl Chaos {
    async fn new(model: &ChatServer) -> Self {
        let world = planning(model, &[("XAGENT_ROLES", "api,worker")]).await;
        let mut projectors = Vec::new();
        for _ in 0..PROJECTORS {
            projectors.push(projector(&world).await);
        }
        Self { world, projectors, reordered: 0 }
    }

    async fn befall(&mut self, fault: Fault) {
        let world = &self.world;
        match fault {
            Fault::Redelivered => {
                let stream = world.jetstream().await.get_stream(STREAM).await;
                if let Ok(stream) = stream {
                    let _absent = stream.delete_consumer("view-runs").await;
                }
            }
            Fault::Reordered => self.reordered += reorder(world).await,
            Fault::Killed => {
                let victim = rand::random_range(0..PROJECTORS);
                self.projectors[victim].kill().await.unwrap();
                self.projectors[victim] = projector(world).await;
            }
            Fault::RedisFlushed => {
                let client = redis::Client::open(world.stack.redis_url()).unwrap();
                let mut redis = client.get_multiplexed_async_connection().await.unwrap();
                let () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
            }
            Fault::RedisRestarted => restart(world, Server::Redis).await,
            Fault::NatsRestarted => restart(world, Server::Nats).await,
            Fault::StreamDeleted => {
                let _absent = world.jetstream().await.delete_stream(STREAM).await;
            }
        }
    }

    /// Every view is what the events fold to.
    async fn holds(&self, round: usize, faults: &[Fault]) {
        let (world, position) = (&self.world, in_redis(&self.world).await);
        assert_eq!(caught_up(world).await, position);
        let in_redis = ViewsRebuild::new(world.ledger(), world.views()).run(Target::Check, &|_, _| {}).await.unwrap();
        let tables = Tables::connect(&world.database_url).unwrap();
        let in_tables = Rebuild::new(world.ledger(), tables).run(Target::Check, &|_, _| {}).await.unwrap();
        for (view, Built { built, live, .. }) in [("redis", in_redis), ("tables", in_tables)] {
            let live = live.unwrap();
            assert_eq!(live.position, position, "{view}");
            assert_eq!(live.tables, built.tables, "{view} after round {round}: {faults:?}");
        }
    }
}

async fn projector(world: &World) -> Child {
    world.server_with(|serve| _ = serve.env("XAGENT_ROLES", "relay,projector")).await.0
}

async fn restart(world: &World, server: Server) {
    world.server(server, Stack::kill).await;
    world.server(server, Stack::start_again).await;
}

/// Takes what the consumer would deliver next, and hands it back in another order. Says how much it was.
async fn reorder(world: &World) -> usize {
    let Ok(stream) = world.jetstream().await.get_stream(STREAM).await else { return 0 };
    let Ok(consumer) = stream.get_consumer("view-runs").await else { return 0 };
    let consumer: PullConsumer = consumer;
    let batch = consumer.fetch().max_messages(50).expires(Duration::from_millis(300)).messages().await;
    let Ok(batch) = batch else { return 0 };
    let mut taken: Vec<_> = batch.filter_map(|message| async { message.ok() }).collect().await;
    taken.reverse();
    for message in &taken {
        let _gone = message.ack_with(AckKind::Nak(Some(Duration::from_millis(rand::random_range(0..50))))).await;
    }
    taken.len()
}

/// Runs that end and runs that go on, with calls that are denied, approved, refused and left waiting.
async fn load(world_url: String, busy: Arc<AtomicBool>) {
    let alice = Api::new(&world_url, "default", "alice", &["*", "tool:*"], &[]);
    let bob = Api::new(&world_url, "default", "bob", &["approval:decide"], &[]);
    let mut number = 0;
    while busy.load(Ordering::Relaxed) {
        number += 1;
        let started = alice.post("/v1/runs", &json!({"agent": format!("busy-{}", number % 3), "goal": "g"})).await;
        let Some(run) = started.body["run"].as_str() else { continue };
        let calls = format!("/v1/runs/{run}/tool-calls");
        alice.post(&calls, &json!({"tool": "read_file", "arguments": {"path": "/etc/passwd"}})).await;
        let call = alice.post(&calls, &json!({"tool": "pay", "arguments": {"amount": "1"}})).await.body;
        let approval = call["approval"].as_str().unwrap_or_default();
        match number % 4 {
            0 => drop(bob.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await),
            1 => drop(bob.post(&format!("/v1/approvals/{approval}/refuse"), &json!({"reason": "no"})).await),
            _ => {}
        }
        if number % 3 > 0 {
            alice.post(&format!("/v1/runs/{run}/complete"), &json!({"achieved": true, "summary": "s"})).await;
        }
    }
}

fn script() -> Value {
    let call = json!({"calls": [{"name": "list_files", "arguments": {}}]});
    let finish = json!({"calls": [{"name": "finish", "arguments": {"achieved": true, "summary": "done"}}]});
    json!({"rules": [{"when": {"turn": 0}, "reply": call}, {"when": {"turn": 1}, "reply": finish}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_round_the_views_are_those_rebuilt_from_zero() {
    let rounds = std::env::var("XAGENT_CHAOS_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    let model = ChatServer::start(Script::of(script())).await;
    let mut chaos = Chaos::new(&model).await;
    let alice = chaos.world.everything("alice");
    let pay = json!({"name": "pay", "schema": {}, "executor": "client", "risk": "high"});
    alice.post("/v1/tools", &pay).await.expect(201);
    let (begin, mut befell, mut coming) = (Instant::now(), 0, Vec::new());
    for round in 1..=rounds {
        let busy = Arc::new(AtomicBool::new(true));
        let loads: Vec<_> = (0..2).map(|_| tokio::spawn(load(chaos.world.url.clone(), busy.clone()))).collect();
        let run = start(&alice, &chaos.world, "g", json!({})).await;
        // Each fault comes before any of them comes again.
        if coming.len() < AT_ONCE {
            let mut more = FAULTS.to_vec();
            more.shuffle(&mut rand::rng());
            coming.splice(0..0, more);
        }
        let faults = coming.split_off(coming.len() - AT_ONCE);
        for fault in &faults {
            let head = chaos.world.head().await;
            until("there is more", async || (chaos.world.head().await > head + BETWEEN).then_some(())).await;
            chaos.befall(*fault).await;
        }
        busy.store(false, Ordering::Relaxed);
        for ended in join_all(loads).await {
            ended.unwrap();
        }
        alice.run_ended(&run).await;
        chaos.holds(round, &faults).await;
        befell += faults.len();
        println!("round {round}: {faults:?}, equal at position {}", chaos.world.head().await);
    }
    println!(
        "{rounds} rounds, {befell} faults, {} events in {} s, {} of them handed back in another order: after each, every view is \
         the one rebuilt from zero",
        chaos.world.head().await,
        begin.elapsed().as_secs(),
        chaos.reordered
    );
}
