//! What one caller, and all together, may ask of a server, and how it says no.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xagent_stack::{Server, Stack};
use xagent_tests::until;

use crate::world::{Api, World};

fn reader(url: &str, subject: &str) -> Api {
    Api::new(url, "default", subject, &["run:read", "run:start"], &[])
}

/// Asks until it is refused; says how often it was not, and how it was refused.
async fn until_refused(api: &Api) -> (usize, reqwest::Response) {
    for granted in 0..1000 {
        let response = api.request(Method::GET, "/v1/tools").send().await.unwrap();
        if response.status() != 200 {
            return (granted, response);
        }
    }
    panic!("it was never refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_of_a_principal_is_counted_at_all_servers_together_and_at_each_while_redis_is_away() {
    // Six at once, and one more every minute and a half: what comes back during the test is nothing.
    let rate = [("XAGENT_RATE_PER_MINUTE", "1"), ("XAGENT_RATE_BURST", "6")];
    let world = World::new().await;
    let (_first, first) = world.server_with(|serve| _ = serve.envs(rate)).await;
    let (_second, second) = world.server_with(|serve| _ = serve.envs(rate)).await;
    let (here, there) = (reader(&first, "alice"), reader(&second, "alice"));
    for api in [&here, &there, &here] {
        api.get("/v1/tools").await.expect(200);
    }
    let before = world.head().await;
    let (granted, refused) = until_refused(&there).await;
    assert_eq!(granted, 3, "six at both together");
    assert_eq!(refused.status(), 429);
    let header = |name: &str| refused.headers()[name].to_str().unwrap().to_owned();
    let wait: u64 = header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(header("ratelimit-policy"), "\"principal\";q=6;w=360");
    assert!(header("ratelimit").starts_with("\"principal\";r=0;t="), "{}", header("ratelimit"));
    assert_eq!(refused.json::<Value>().await.unwrap()["type"], "/errors/rate-limited");
    assert_eq!(here.get("/v1/tools").await.status, 429);
    let recorded = world.refused_since(before).await;
    assert!(recorded.iter().all(|entry| entry["reason"] == "rate" && entry["principal"] == "alice"), "{recorded:#?}");
    assert_eq!(recorded.len(), 2);
    let other = reader(&first, "bob").request(Method::GET, "/v1/tools").send().await.unwrap();
    assert_eq!(
        (other.status().as_u16(), other.headers()["ratelimit"].to_str().unwrap()),
        (200, "\"principal\";r=5;t=60")
    );

    world.server(Server::Redis, Stack::kill).await;
    let alone = until_refused(&reader(&first, "carol")).await;
    assert_eq!((alone.0, alone.1.status().as_u16()), (6, 429));
    let alone = until_refused(&reader(&second, "carol")).await;
    assert_eq!((alone.0, alone.1.status().as_u16()), (6, 429));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_principal_with_all_it_may_have_under_way_leaves_room_for_others() {
    let world = World::with_own_postgres().await;
    let limits = [("XAGENT_REQUESTS", "5"), ("XAGENT_REQUESTS_PER_PRINCIPAL", "3")];
    let (_server, url) = world.server_with(|serve| _ = serve.envs(limits)).await;
    let before = world.head().await;
    world.server(Server::Postgres, Stack::pause).await;
    let run = json!({"agent": "a", "goal": "g"});
    let start = |subject: &str| {
        let (api, run) = (reader(&url, subject), run.clone());
        tokio::spawn(async move { api.post("/v1/runs", &run).await })
    };
    let (alice, bob): (Vec<_>, Vec<_>) =
        ((0..10).map(|_| start("alice")).collect(), (0..2).map(|_| start("bob")).collect());
    until("the server has enough under way", async || {
        let (carol, patience) = (reader(&url, "carol"), Duration::from_millis(500));
        let answer = tokio::time::timeout(patience, carol.get("/v1/runs/no-run")).await.ok()?;
        (answer.status == 503 && answer.retry_after.as_deref() == Some("1")).then_some(())
    })
    .await;
    world.server(Server::Postgres, Stack::resume).await;
    let mut statuses = Vec::new();
    for answer in alice {
        statuses.push(answer.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 201, 429, 429, 429, 429, 429, 429, 429]);
    for answer in bob {
        answer.await.unwrap().expect(201);
    }
    let refused = world.refused_since(before).await;
    assert_eq!(refused.iter().map(|entry| entry["count"].as_u64().unwrap()).sum::<u64>(), 7, "{refused:#?}");
    assert!(refused.iter().all(|entry| entry["reason"] == "concurrency" && entry["principal"] == "alice"));
    until("there is room again", async || {
        (reader(&url, "carol").post("/v1/runs", &run).await.status == 201).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused_by_what_is_too_large() {
    let world = World::new().await;
    let alice = world.everything("alice");
    alice.get(&format!("/v1/runs?x={}", "a".repeat(9000))).await.problem(414, "target-too-long");
    let with = |headers: Vec<(String, String)>| {
        let request = alice.request(Method::GET, "/v1/runs");
        headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)).send()
    };
    let large = with((0..3).map(|n| (format!("x-{n}"), "v".repeat(12_000))).collect()).await.unwrap();
    assert_eq!(large.status(), 431);
    assert_eq!(large.json::<Value>().await.unwrap()["type"], "/errors/headers-too-large");
    let many = with((0..150).map(|n| (format!("x-{n}"), "v".to_owned())).collect()).await.unwrap();
    assert_eq!(many.status(), 431);
    // Beyond what is even read the connection ends, with 431 where it can still be told.
    let most = with((0..20).map(|n| (format!("x-{n}"), "v".repeat(12_000))).collect()).await;
    assert!(most.as_ref().map_or(true, |response| response.status() == 431), "{most:?}");
    alice.get("/v1/runs").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_a_head_or_a_body_without_end_is_not_waited_for() {
    let world = World::new().await;
    let times = [("XAGENT_HEAD_TIMEOUT_S", "1"), ("XAGENT_REQUEST_TIMEOUT_S", "1")];
    let (_server, url) = world.server_with(|serve| _ = serve.envs(times)).await;
    let address = url.strip_prefix("http://").unwrap();
    let token = world.everything("alice");
    let slow = |text: String| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let patience = Duration::from_secs(20);
        let ended = tokio::time::timeout(patience, stream.read_to_string(&mut answer)).await;
        assert!(ended.is_ok(), "it is waited for without end");
        answer
    };
    let (silent, half, idle) = tokio::join!(
        slow(String::new()),
        slow("GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: ".to_owned()),
        slow("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
    );
    assert!(silent.is_empty() && !half.contains("200 OK"), "{half}");
    assert!(idle.starts_with("HTTP/1.1 200 OK"), "{idle}");
    let bodies = ["/v1/runs", "/mcp"].map(|path| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: slow\r\n\
             accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
             content-length: 100\r\n\r\n{{\"agent\"",
            token.bearer(),
        )
    });
    for body in bodies {
        assert!(slow(body).await.starts_with("HTTP/1.1 503"), "the body is not waited for");
    }
}
