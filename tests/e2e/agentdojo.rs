//! Every user task of two AgentDojo suites as a run its client drives. Nothing fails, nothing is lost, all replays.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use xagent_domain::Tenant;

use crate::world::{Api, World, until};

struct Expected {
    suite: &'static str,
    text: &'static str,
    runs: usize,
    calls: usize,
    tools: usize,
}

const SUITES: [Expected; 2] = [
    Expected {
        suite: "banking",
        text: include_str!("../data/agentdojo/agentdojo-banking.json"),
        runs: 16,
        calls: 33,
        tools: 11,
    },
    Expected {
        suite: "workspace",
        text: include_str!("../data/agentdojo/agentdojo-workspace.json"),
        runs: 40,
        calls: 84,
        tools: 24,
    },
];

async fn register(api: &Api, tools: &[Value]) {
    for tool in tools {
        let body = json!({
            "name": tool["name"], "description": tool["description"], "schema": tool["parameters"],
            "executor": "client", "risk": "medium", "reads_untrusted": true,
        });
        api.post("/v1/tools", &body).await.expect(201);
    }
}

/// Proposes each call of the ground truth, posts its outcome, and says that the goal is reached.
async fn drive(api: &Api, task: &Value) -> String {
    let body = json!({"agent": "agentdojo", "goal": task["prompt"]});
    let run = api.post("/v1/runs", &body).await.expect(201)["run"].as_str().unwrap().to_owned();
    for call in task["calls"].as_array().unwrap() {
        let body = json!({"tool": call["tool"], "arguments": call["args"]});
        let proposed = api.post(&format!("/v1/runs/{run}/tool-calls"), &body).await.expect(201);
        assert_eq!(proposed["status"], "started", "{proposed:#}");
        let id = proposed["call"].as_str().unwrap();
        let outcome = json!({"succeeded": true, "output": {"echo": call["args"]}, "duration_us": 10});
        api.post(&format!("/v1/runs/{run}/tool-calls/{id}/result"), &outcome).await.expect(200);
    }
    let end = json!({"achieved": true, "summary": "as the ground truth has it"});
    api.post(&format!("/v1/runs/{run}/complete"), &end).await.expect(200);
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn every_user_task_of_agentdojo_runs_and_replays() {
    let world = World::new().await;
    let law = 2;
    let mut expected_events = law;
    for Expected { suite, text, runs, calls, tools } in SUITES {
        let data: Value = serde_json::from_str(text).unwrap();
        let tasks: Vec<_> = data["tasks"].as_array().unwrap().iter().filter(|task| task["kind"] == "user").collect();
        assert_eq!(tasks.len(), runs);
        assert_eq!(tasks.iter().map(|task| task["calls"].as_array().unwrap().len()).sum::<usize>(), calls);
        let registered = data["tools"].as_array().unwrap();
        assert_eq!(registered.len(), tools);

        let tenant = format!("agentdojo-{suite}");
        let api = world.api_of(&tenant, "agent", &["*", "tool:*"], &[]);
        register(&api, registered).await;
        let driven: Vec<String> = stream::iter(tasks).map(|task| drive(&api, task)).buffer_unordered(8).collect().await;

        // start: decision, RunStarted, GoalSet; call: decision, proposal, decision, start; result: decision, end;
        // completion: decision, GoalAchieved, RunCompleted; tool: decision, registration.
        expected_events += runs * 3 + calls * (4 + 2) + runs * 3 + tools * 2;
        let decisions: i64 =
            sqlx::query_scalar("SELECT count(*) FROM events WHERE tenant = $1 AND event_type = 'DecisionMade'")
                .bind(&tenant)
                .fetch_one(&world.superuser().await)
                .await
                .unwrap();
        assert_eq!(decisions as usize, runs + calls * 2 + calls + runs + tools);
        let listed = api.get(&format!("/v1/runs?limit=500&min_position={}", world.head().await)).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), driven.len());
        assert!(listed["items"].as_array().unwrap().iter().all(|run| run["status"] == "completed"));
        let replay = world.xagent(&["replay", "--all", "--tenant", &tenant]).await;
        let said = String::from_utf8(replay.stdout).unwrap();
        let run_events = runs * 6 + calls * 6;
        let run_decisions = runs * 2 + calls * 3;
        let summary =
            format!("{runs} runs, {run_events} events, {run_decisions} decisions: {runs} identical, 0 diverged\n");
        assert_eq!(said, summary);
    }
    assert_eq!(world.head().await as usize, expected_events);
    in_stream_and_views_exactly_once(&world).await;
}

/// The stream holds every position once and in order, and the views are what the ledger folds to.
pub async fn in_stream_and_views_exactly_once(world: &World) {
    let head = world.head().await;
    let context = world.jetstream().await;
    let stream = until("the stream holds every event", async || {
        let mut stream = context.get_stream("XAGENT_EVENTS").await.ok()?;
        (stream.info().await.ok()?.state.last_sequence >= head).then_some(stream)
    })
    .await;
    let state = &stream.cached_info().state;
    assert_eq!((state.first_sequence, state.last_sequence, state.messages), (1, head, head));
    let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
    let consumer = stream.create_consumer(config).await.unwrap();
    let messages = consumer.messages().await.unwrap().take(usize::try_from(head).unwrap());
    let positions: Vec<u64> = messages
        .map_ok(|message| {
            let event: Value = serde_json::from_slice(&message.payload).unwrap();
            event["id"].as_str().unwrap().parse::<u64>().unwrap()
        })
        .try_collect()
        .await
        .unwrap();
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());

    let views = world.views();
    until("the views have every event", async || views.position().await.ok().filter(|at| *at == head)).await;
    let started = sqlx::query_as::<_, (String, String)>(
        "SELECT tenant, aggregate_id FROM events WHERE event_type = 'RunStarted'",
    );
    for (tenant, run) in started.fetch_all(&world.superuser().await).await.unwrap() {
        let tenant: Tenant = tenant.parse().unwrap();
        let view = views.get(&tenant, &run).await.unwrap().unwrap();
        let loaded = world.ledger().load::<xagent_domain::run::Run>(&tenant, &run).await.unwrap();
        assert_eq!((view.sequence, view.state), (loaded.sequence, loaded.state), "{run}");
    }
}
