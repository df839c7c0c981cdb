//! The short-term views in Redis: the same as what the query tables say, rebuilt beside themselves, and found out where they
//! are not what the events fold to.

use serde_json::{Value, json};
use xagent_stack::{Server, Stack};

use crate::sample::Sample;
use crate::tables::caught_up;
use crate::world::{Api, World, until};

/// Waits until the views in Redis hold all that is recorded.
pub async fn in_redis(world: &World) -> u64 {
    let views = world.views();
    until("the views in Redis hold every event", async || {
        let (position, head) = (views.position().await.ok()?, world.head().await);
        (position == head).then_some(position)
    })
    .await
}

/// `xagent rebuild redis`: its exit code and what it says.
async fn rebuild(world: &World, arguments: &[&str]) -> (i32, Value) {
    let output = world.xagent(&[&["--json", "rebuild", "redis"], arguments].concat()).await;
    let said = serde_json::from_slice(&output.stdout);
    let said = said.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), said)
}

async fn redis(world: &World) -> redis::aio::MultiplexedConnection {
    redis::Client::open(world.stack.redis_url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn keys(world: &World, pattern: &str) -> Vec<String> {
    redis::cmd("KEYS").arg(pattern).query_async(&mut redis(world).await).await.unwrap()
}

async fn overview(api: &Api, source: &str) -> Value {
    until("the overview comes from where it is to come", async || {
        let seen = api.get("/v1/overview?limit=100").await.expect(200);
        (seen["source"] == source).then_some(seen)
    })
    .await
}

/// The rows of a list up to a position.
fn up_to(seen: &Value, list: &str, position: &Value) -> Vec<Value> {
    let rows = seen[list].as_array().unwrap().iter();
    rows.filter(|row| row["position"].as_u64() <= position.as_u64()).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_is_told_by_redis_as_by_the_tables() {
    let world = World::new().await;
    let sample = Sample::recorded(&world).await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let call = json!({"tool": "pay", "arguments": {"amount": "7"}});
    let call = alice.post(&format!("/v1/runs/{run}/tool-calls"), &call).await.expect(201);
    in_redis(&world).await;
    caught_up(&world).await;

    let seen = overview(&alice, "view").await;
    let live: Vec<_> = seen["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap()).collect();
    assert_eq!(live, [run.as_str(), sample.refused.as_str()], "the one that something happened to last comes first");
    assert_eq!(seen["approvals"][0]["approval"], call["approval"]);
    assert_eq!(seen["approvals"].as_array().unwrap().len(), 1);
    let payer = seen["usage"].as_array().unwrap().iter().find(|used| used["agent"] == "payer").unwrap();
    assert_eq!((&payer["runs"], &payer["tool_calls"], &payer["denied_calls"]), (&json!(2), &json!(2), &json!(0)));

    world.server(Server::Redis, Stack::stop).await;
    let from_tables = overview(&alice, "tables").await;
    for list in ["runs", "approvals"] {
        assert_eq!(from_tables[list], seen[list], "{list}");
    }
    let decisions = up_to(&seen, "decisions", &seen["position"]);
    assert!(decisions.len() > 10);
    assert_eq!(up_to(&from_tables, "decisions", &seen["position"]), decisions);
    let of_runs = |seen: &Value| {
        let rows = seen["usage"].as_array().unwrap().clone().into_iter();
        rows.filter(|used| used["agent"] != "").collect::<Vec<_>>()
    };
    assert_eq!(of_runs(&from_tables), of_runs(&seen));

    world.server(Server::Redis, Stack::start_again).await;
    let back = overview(&alice, "view").await;
    assert_eq!((&back["runs"], &back["approvals"]), (&seen["runs"], &seen["approvals"]));
    let answer = format!("/v1/approvals/{}/refuse", call["approval"].as_str().unwrap());
    world.api("bob", &["approval:decide"]).post(&answer, &json!({"reason": "no"})).await.expect(200);
    in_redis(&world).await;
    assert_eq!(overview(&alice, "view").await["approvals"], json!([]), "what is answered waits no more");
    let stranger = world.api_of("other", "mallory", &["*"], &[]);
    let theirs = stranger.get("/v1/overview").await.expect(200);
    assert_eq!((&theirs["runs"], &theirs["approvals"]), (&json!([]), &json!([])));
    world.api("eve", &["run:read"]).get("/v1/overview").await.problem(403, "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_was_changed_is_found_and_replaced_in_one_step() {
    let world = World::new().await;
    let sample = Sample::recorded(&world).await;
    let position = in_redis(&world).await;
    let (code, said) = rebuild(&world, &["--check"]).await;
    assert_eq!((code, &said["equal"]), (0, &json!(true)), "{said:#}");
    let digests = &said["build"]["live"]["tables"];
    for view in ["runs", "live", "decisions", "usage"] {
        assert!(digests[view]["rows"].as_u64().unwrap() > 0, "{view}: {digests:#}");
    }

    let mut redis = redis(&world).await;
    let () = redis::cmd("LPOP").arg("xagent:default:g0:decisions").query_async(&mut redis).await.unwrap();
    let () =
        redis::cmd("DEL").arg(format!("xagent:default:g0:run:{}", sample.payer)).query_async(&mut redis).await.unwrap();
    let (code, said) = rebuild(&world, &["--check"]).await;
    assert_eq!((code, &said["different"]), (1, &json!(["decisions", "runs"])), "{said:#}");
    let (code, said) = rebuild(&world, &[]).await;
    assert_eq!((code, &said["build"]["schema"]), (0, &json!("g1")));
    assert_eq!(keys(&world, "xagent:*:g0:*").await, Vec::<String>::new());
    let alice = world.everything("alice");
    assert_eq!(alice.get(&format!("/v1/runs/{}", sample.payer)).await.expect(200)["source"], "view");

    // The projector goes on where the new ones are.
    alice.start_client_run().await;
    in_redis(&world).await;
    assert_eq!(rebuild(&world, &["--check"]).await.1["equal"], true);
    let at = position.to_string();
    let (code, said) = rebuild(&world, &["--to", &at]).await;
    assert_eq!((code, &said["build"]["built"]["tables"]), (0, digests), "as of then they are what they were");
    assert!(!keys(&world, &format!("xagent:*:at{at}:*")).await.is_empty());
    assert_eq!(rebuild(&world, &["--drop", &at]).await.0, 0);
    assert_eq!(keys(&world, &format!("xagent:*:at{at}:*")).await, Vec::<String>::new());
    let output = world.xagent(&["rebuild", "redis", "--to", "999999"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("past the ledger's end"));
}
