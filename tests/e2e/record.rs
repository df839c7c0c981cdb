//! Replay finds what was changed behind the ledger's back, and names it.

use serde_json::{Value, json};
use sqlx::Executor;

use crate::world::World;

async fn decided_run(world: &World) -> (String, String) {
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let body = json!({"tool": "read_file", "arguments": {"path": "/etc/passwd"}});
    let call = alice.post(&format!("/v1/runs/{run}/tool-calls"), &body).await.expect(201);
    (run, call["decision"].as_str().unwrap().to_owned())
}

/// Changes recorded payloads as the superuser, with the triggers off.
async fn tamper(world: &World, sql: &str) {
    let superuser = world.superuser().await;
    superuser.execute("ALTER TABLE events DISABLE TRIGGER ALL").await.unwrap();
    assert_eq!(superuser.execute(sql).await.unwrap().rows_affected(), 1, "{sql}");
    superuser.execute("ALTER TABLE events ENABLE TRIGGER ALL").await.unwrap();
}

async fn divergence(world: &World, run: &str) -> Value {
    let replay = world.xagent(&["--json", "replay", run]).await;
    assert_eq!(replay.status.code(), Some(1), "{}", String::from_utf8_lossy(&replay.stderr));
    let report: Value = serde_json::from_slice(&replay.stdout).unwrap();
    assert_eq!(report["identical"], false);
    report["runs"][0]["divergence"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_byte_of_a_result_names_its_decision() {
    let world = World::new().await;
    let (run, decision) = decided_run(&world).await;
    assert!(world.xagent(&["replay", &run]).await.status.success());
    // One byte of the engine's answer: `absolute` becomes `absolutf`.
    let outcome = "position('\"outcome\"' in payload::text)";
    let byte = format!("{outcome} - 1 + position('absolute' in substring(payload::text from {outcome})) + 7");
    let sql = format!(
        "UPDATE events SET payload = overlay(payload::text placing 'f' from {byte} for 1)::json \
         WHERE event_type = 'DecisionMade' AND payload #>> '{{DecisionMade,decision}}' = '{decision}'"
    );
    tamper(&world, &sql).await;
    let found = divergence(&world, &run).await;
    assert_eq!((&found["decision"], &found["kind"]), (&json!(decision), &json!("result")), "{found:#}");
    let text = world.xagent(&["replay", &run]).await;
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("diverged") && text.contains(&decision), "{text}");
    let alice = world.everything("alice");
    alice.get(&format!("/v1/runs/{run}?at=99")).await.problem(500, "tampered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_verdict_and_a_changed_result_are_told_apart() {
    let world = World::new().await;
    for (from, to, kind) in [
        ("\"allow\":false,\"context\"", "\"allow\":true,\"context\"", "verdict"),
        ("{\\\\\"allow\\\\\":false", "{\\\\\"allow\\\\\":true ", "result"),
        ("\"now_us\":1", "\"now_us\":2", "input"),
        ("\"duration_us\":", "\"duration_us\":1", "leaf_hash"),
    ] {
        let (run, decision) = decided_run(&world).await;
        let sql = format!(
            "UPDATE events SET payload = replace(payload::text, E'{from}', E'{to}')::json \
             WHERE payload #>> '{{DecisionMade,decision}}' = '{decision}'"
        );
        tamper(&world, &sql).await;
        let found = divergence(&world, &run).await;
        assert_eq!((&found["kind"], &found["decision"]), (&json!(kind), &json!(decision)), "{found:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_event_and_changed_metadata_are_found() {
    let world = World::new().await;
    let (run, _) = decided_run(&world).await;
    tamper(&world, &format!("DELETE FROM events WHERE aggregate_id = '{run}' AND sequence = 3")).await;
    assert_eq!(divergence(&world, &run).await["kind"], "sequence_gap");
    let (run, _) = decided_run(&world).await;
    let sql = format!(
        "UPDATE events SET metadata = replace(metadata::text, 'alice', 'mallo')::json WHERE aggregate_id = '{run}' AND sequence = 2"
    );
    tamper(&world, &sql).await;
    assert_eq!(divergence(&world, &run).await["kind"], "leaf_hash");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_says_something_else_is_found() {
    let world = World::new().await;
    let (run, _) = decided_run(&world).await;
    let key = format!("xagent:default:g0:run:{run}");
    let mut redis =
        redis::Client::open(world.stack.redis_url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    crate::agentdojo::in_stream_and_views_exactly_once(&world).await;
    let view: String = redis::cmd("GET").arg(&key).query_async(&mut redis).await.unwrap();
    let changed = view.replace("\"denied\":1", "\"denied\":0");
    assert_ne!(view, changed);
    let () = redis::cmd("SET").arg(&key).arg(changed).query_async(&mut redis).await.unwrap();
    assert_eq!(divergence(&world, &run).await["kind"], "state");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_there_cannot_be_replayed() {
    let world = World::new().await;
    let replay = world.xagent(&["replay", "run_nothing"]).await;
    assert_eq!(replay.status.code(), Some(2));
    let said = String::from_utf8(replay.stderr).unwrap();
    assert_eq!(said, "error: there is no run `run_nothing`\n  list them with `xagent runs`\n");
}
