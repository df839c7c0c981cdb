//! `/metrics`: what operators watch, in Prometheus' text format.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use serde_json::json;

use crate::world::{Api, World, until};

/// The samples of a scrape, by name and labels as they are written.
async fn scrape(url: &str) -> (String, BTreeMap<String, f64>) {
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
    };
    let samples = samples.map(sample).collect();
    (text, samples)
}

/// The names that a kind of comment is about.
fn about(text: &str, comment: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(comment)?.split(' ').nth(1).map(str::to_owned));
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_measured_from_the_door_to_the_views() {
    let world = World::new().await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let (_server, url) = world.server_with(|server| _ = server.env("XAGENT_METRICS_LISTEN", &address)).await;
    let alice = Api::new(&url, "default", "alice", &["*", "tool:*"], &[]);
    let run = alice.start_client_run().await;
    let path = format!("/v1/runs/{run}/tool-calls");
    let call = json!({"tool": "read_file", "arguments": {"path": "/etc/passwd"}});
    alice.post(&path, &call).await.expect(201);
    alice.get("/nowhere").await;
    let metrics = format!("http://{address}/metrics");
    let (text, samples) = until("the views have caught up", async || {
        let (text, samples) = scrape(&metrics).await;
        let read = |reader: &str| samples.get(&format!("xagent_reader_position{{reader=\"{reader}\"}}")).copied();
        // Another server of this world may lead; then this one has read nothing.
        let led = [read("relay"), read("view/runs")].into_iter().flatten().all(|position| position >= 1.0);
        (led && samples.contains_key("xagent_append_events_total")).then_some((text, samples))
    })
    .await;

    let count = |sample: &str| samples.get(sample).copied().unwrap_or_else(|| panic!("no {sample} in\n{text}"));
    let route = "method=\"POST\",route=\"/v1/runs/{run}/tool-calls\",status=\"201\"";
    assert_eq!(count(&format!("xagent_http_requests_total{{{route}}}")), 1.0);
    assert_eq!(count("xagent_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}"), 1.0);
    let denial = "entrypoint=\"xagent/tools/decision\",code=\"path_outside_workspace\"";
    assert_eq!(count(&format!("xagent_denials_total{{{denial}}}")), 1.0);
    assert_eq!(count("xagent_decisions_total{entrypoint=\"xagent/tools/decision\",verdict=\"deny\"}"), 1.0);
    assert!(count("xagent_append_events_total") >= 5.0 && count("xagent_ledger_position") >= 5.0);
    assert!(count("xagent_append_batch_seconds_count") >= 2.0);
    assert!(!text.contains(&run), "an id is no label");

    let (helped, typed) = (about(&text, "# HELP"), about(&text, "# TYPE"));
    assert_eq!(helped, typed, "each metric says what it means");
    let strangers: Vec<_> = typed.iter().filter(|name| !name.starts_with("xagent_")).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_itself_shows_no_metrics() {
    let world = World::new().await;
    let alice = world.everything("alice");
    alice.get("/metrics").await.expect(404);
}
