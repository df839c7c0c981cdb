//! The working memory of a planner: shown from Redis while it works, from the ledger where Redis has it no more, and the same.

use serde_json::{Value, json};
use xagent_stack::{Server, Stack};
use xagent_tests::{ChatServer, Script};

use crate::planner::{planning, start};
use crate::world::{Api, until};

fn script() -> Value {
    let call = json!({"calls": [{"name": "list_files", "arguments": {}}, {"name": "read_file", "arguments": {"path": "/etc/passwd"}}]});
    let finish = json!({"calls": [{"name": "finish", "arguments": {"achieved": true, "summary": "done"}}]});
    json!({"rules": [{"when": {"turn": 0}, "reply": call}, {"when": {"turn": 1}, "reply": finish}]})
}

async fn shown(api: &Api, run: &str, source: &str, sequence: &Value) -> Value {
    until("the memory is shown from where it is to be", async || {
        let shown = api.get(&format!("/v1/runs/{run}/memory")).await.expect(200);
        (shown["source"] == source && shown["sequence"] == *sequence).then(|| shown["memory"].clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planners_memory_is_a_view_that_is_filled_again_and_that_the_ledger_stands_in_for() {
    let model = ChatServer::start(Script::of(script())).await;
    let world = planning(&model, &[]).await;
    let alice = world.everything("alice");
    let run = start(&alice, &world, "g", json!({})).await;
    let ended = alice.run_ended(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let (sequence, recorded) = (&ended["sequence"], &ended["state"]["memory"]);
    let first = &recorded["turns"]["1"]["calls"];
    assert_eq!(first[0]["fate"]["ended"]["status"], "succeeded");
    assert_eq!(first[1]["fate"]["ended"]["status"], "denied");
    assert_eq!(&shown(&alice, &run, "view", sequence).await, recorded);

    world.server(Server::Redis, Stack::stop).await;
    assert_eq!(&shown(&alice, &run, "ledger", sequence).await, recorded);
    // It keeps nothing over a restart: the view is filled again from the events.
    world.server(Server::Redis, Stack::start_again).await;
    assert_eq!(&shown(&alice, &run, "view", sequence).await, recorded);

    let mut redis =
        redis::Client::open(world.stack.redis_url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let key = format!("xagent:default:g0:memory:{run}");
    let expiry: i64 = redis::cmd("TTL").arg(&key).query_async(&mut redis).await.unwrap();
    assert!((1..=3600).contains(&expiry), "{expiry}: of a run that has ended it is soon forgotten");

    let client = alice.start_client_run().await;
    let nothing = alice.get(&format!("/v1/runs/{client}/memory")).await.expect(200);
    assert_eq!((&nothing["source"], &nothing["memory"]["turns"]), (&json!("ledger"), &json!({})));
    let stranger = world.api_of("other", "mallory", &["*"], &[]);
    stranger.get(&format!("/v1/runs/{run}/memory")).await.problem(404, "not-found");
}
