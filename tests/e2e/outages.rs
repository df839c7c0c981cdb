//! NATS, Redis and Postgres go away during runs and come back.

use std::time::{Duration, Instant};

use serde_json::json;
use xagent_stack::{Server, Stack, StackError};

use crate::agentdojo::in_stream_and_views_exactly_once;
use crate::world::{Api, World, until};

type Fault = fn(&Stack, Server) -> Result<(), StackError>;

async fn scripted_run(world: &World, alice: &Api, number: usize) {
    let path = format!("scratch/{number}");
    let steps = json!([
        {"id": "list", "tool": "list_files", "arguments": {}},
        {"id": "note", "tool": "write_file", "arguments": {"path": path, "content": "{{list.output.count}} files"}},
    ]);
    let run = alice.start_plan(steps, &world.workspace).await;
    assert_eq!(alice.run_ended(&run).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_and_redis_may_be_away_and_nothing_is_lost_or_doubled() {
    let world = World::new().await;
    let alice = world.everything("alice");
    scripted_run(&world, &alice, 0).await;
    in_stream_and_views_exactly_once(&world).await;
    let outages: [(&[Server], Fault); 4] = [
        (&[Server::Nats], Stack::kill),
        (&[Server::Redis], Stack::kill),
        (&[Server::Nats, Server::Redis], Stack::stop),
        (&[Server::Nats, Server::Redis], Stack::pause),
    ];
    for (number, (servers, fault)) in outages.into_iter().enumerate() {
        for server in servers {
            world.server(*server, fault).await;
        }
        let runs = (0..3).map(|run| scripted_run(&world, &alice, 10 * number + run));
        futures::future::join_all(runs).await;
        for server in servers {
            world.server(*server, Stack::resume).await;
            world.server(*server, Stack::start_again).await;
        }
        in_stream_and_views_exactly_once(&world).await;
    }
    let replay = world.xagent(&["replay", "--all"]).await;
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stream_is_filled_again_from_the_ledger() {
    let world = World::new().await;
    let alice = world.everything("alice");
    scripted_run(&world, &alice, 0).await;
    in_stream_and_views_exactly_once(&world).await;
    world.jetstream().await.delete_stream("XAGENT_EVENTS").await.unwrap();
    scripted_run(&world, &alice, 1).await;
    in_stream_and_views_exactly_once(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_commands_get_503_no_tool_runs_and_work_goes_on_after_its_return() {
    let world = World::with_own_postgres().await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let body = json!({"agent": "a", "goal": "g"});
    let calls = format!("/v1/runs/{run}/tool-calls");
    for fault in [Stack::stop, Stack::kill, Stack::pause] {
        let head = world.head().await;
        world.server(Server::Postgres, fault).await;
        for (path, body) in [("/v1/runs", &body), (&calls, &json!({"tool": "list_files"}))] {
            let asked = Instant::now();
            let answer = alice.post(path, body).await;
            assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
            assert_eq!(answer.retry_after.as_deref(), Some("1"));
            answer.problem(503, "unavailable");
        }
        assert_eq!(alice.get("/readyz").await.expect(503)["ledger"]["ready"], false);
        world.server(Server::Postgres, Stack::resume).await;
        world.server(Server::Postgres, Stack::start_again).await;
        until("the ledger is back", async || (alice.get("/readyz").await.status == 200).then_some(())).await;
        assert_eq!(world.head().await, head);
        scripted_run(&world, &alice, 0).await;
    }
    assert_eq!(alice.count(&run, "ToolCallProposed").await, 0);
    in_stream_and_views_exactly_once(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scripted_run_that_loses_postgres_in_the_middle_comes_to_its_end() {
    let world = World::with_own_postgres().await;
    let alice = world.everything("alice");
    let steps: Vec<_> = (0..40)
        .map(|step| json!({"id": format!("s{step}"), "tool": "write_file", "arguments": {"path": format!("scratch/{step}"), "content": "x"}}))
        .collect();
    let run = alice.start_plan(json!(steps), &world.workspace).await;
    until("some steps are done", async || (alice.count(&run, "ToolCallCompleted").await > 3).then_some(())).await;
    world.server(Server::Postgres, Stack::kill).await;
    world.server(Server::Postgres, Stack::start_again).await;
    let ended = alice.run_ended(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(ended["state"]["tally"]["total"], 40);
    let replay = world.xagent(&["replay", &run]).await;
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
}
