//! How a server stops: what is under way ends well, what comes is sent away with a word, and nothing is cut off.

use serde_json::json;
use tokio::process::Child;
use xagent_stack::{Server, Stack};
use xagent_tests::{PATIENCE, until};

use crate::world::{Api, World};

fn terminate(server: &Child) {
    let pid = server.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
}

async fn ended(mut server: Child) {
    assert!(tokio::time::timeout(PATIENCE, server.wait()).await.unwrap().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_finished_and_what_comes_meanwhile_is_told_to_go_elsewhere() {
    let world = World::with_own_postgres().await;
    let (server, url) = world.server_with(|serve| _ = serve.env("XAGENT_REQUESTS", "1")).await;
    let alice = Api::new(&url, "default", "alice", &["*"], &[]);
    world.server(Server::Postgres, Stack::pause).await;
    let run = json!({"agent": "a", "goal": "g"});
    let under_way = tokio::spawn({
        let (api, run) = (alice.clone(), run.clone());
        async move {
            loop {
                // The place may be taken by whoever looks whether it is taken.
                let answer = api.post_with_key("/v1/runs", &run, "under-way").await;
                if answer.status != 503 {
                    return answer;
                }
            }
        }
    });
    until("the command has the only place", async || {
        let answer = alice.get("/v1/runs/no-run").await;
        (answer.status == 503).then_some(())
    })
    .await;
    terminate(&server);
    let refused = until("new requests are sent away", async || {
        let response = alice.request(reqwest::Method::GET, "/v1/tools").send().await.ok()?;
        response.headers().contains_key("connection").then_some(response)
    })
    .await;
    assert_eq!((refused.status().as_u16(), refused.headers()["connection"].to_str().unwrap()), (503, "close"));
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(alice.get("/livez").await.status, 200);
    assert!(!under_way.is_finished());
    world.server(Server::Postgres, Stack::resume).await;
    let receipt = under_way.await.unwrap().expect(201);
    ended(server).await;
    let again = world.everything("alice").post_with_key("/v1/runs", &run, "under-way").await.expect(201);
    assert_eq!(again["run"], receipt["run"], "what was answered is in the ledger");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_every_answer_is_whole_and_every_acknowledged_command_is_there() {
    let world = World::new().await;
    let (server, url) = world.another_server().await;
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let api = Api::new(&url, "default", &format!("alice-{number}"), &["*"], &[]);
            tokio::spawn(async move {
                let mut started = Vec::new();
                loop {
                    let answer = api.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await;
                    match answer.status {
                        201 => started.push(answer.body["run"].as_str().unwrap().to_owned()),
                        503 => {}
                        // Refused before anything was sent: the listener is gone.
                        0 => return (started, answer.body.to_string()),
                        other => panic!("{other}: {:#}", answer.body),
                    }
                }
            })
        })
        .collect();
    let begin = world.head().await;
    until("there is load", async || (world.head().await > begin + 50).then_some(())).await;
    terminate(&server);
    let mut started = Vec::new();
    for client in clients {
        let (runs, _last) = client.await.unwrap();
        started.extend(runs);
    }
    ended(server).await;
    let sql = "SELECT count(*) FROM events WHERE event_type = 'RunStarted' AND aggregate_id = ANY($1)";
    let there: i64 = sqlx::query_scalar(sql).bind(&started).fetch_one(&world.superuser().await).await.unwrap();
    assert_eq!(there as usize, started.len());
    // Whatever was begun was answered: there is no run that nobody was told of.
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE event_type = 'RunStarted'")
        .fetch_one(&world.superuser().await)
        .await
        .unwrap();
    assert_eq!(all, there);
}
