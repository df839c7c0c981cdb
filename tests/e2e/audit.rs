//! The audit trail: each event once, in order, where it was told to go; held up by nothing, holding up nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Child;
use xagent_domain::Recorded;

use crate::receivers::{Kept, LokiReceiver, Mood, OtlpReceiver, text_of};
use crate::sample::Sample;
use crate::world::{Api, World, until};

/// A world with a server that pushes to `url`, which is the only one.
pub async fn pushing(url: &str) -> World {
    let mut world = World::new().await;
    world.restart_with(|server| _ = server.env("XAGENT_AUDIT_LOKI_URL", url)).await;
    world
}

/// Every event of the ledger.
pub async fn recorded(world: &World) -> Vec<Recorded> {
    let mut events = Vec::new();
    loop {
        let page = world.ledger().range(events.len() as u64, 1000).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

/// Waits until `loki` has as many entries as there are events, and compares each.
async fn complete(world: &World, loki: &LokiReceiver) -> Vec<Kept> {
    let kept = until("the trail holds every event", async || {
        let (kept, head) = (loki.kept(), world.head().await);
        (kept.len() as u64 >= head).then_some(kept)
    });
    let kept = kept.await;
    compare(&recorded(world).await, &kept);
    kept
}

/// Each event once, in order, as it was recorded.
pub fn compare(events: &[Recorded], kept: &[Kept]) {
    assert_eq!(kept.len(), events.len());
    for (event, entry) in events.iter().zip(kept) {
        let line: Value = serde_json::from_str(&entry.line).unwrap();
        assert_eq!(entry.metadata["position"], event.position.to_string(), "in order of time is in order of position");
        assert_eq!(entry.at_ns / 1000, event.recorded_at_us, "{entry:?}");
        assert_eq!(
            (entry.labels["tenant"].as_str(), &entry.labels["event_type"]),
            (event.tenant.as_str(), &event.event_type)
        );
        assert!(entry.line.ends_with(&format!("\"payload\":{}}}", event.payload)), "{}", entry.line);
        assert_eq!(line["sequence"], event.sequence);
        assert_eq!(
            (line["aggregate_type"].as_str(), line["aggregate_id"].as_str()),
            (Some(&*event.aggregate_type), Some(&*event.aggregate_id))
        );
        assert_eq!(line["leaf_hash"], event.leaf_hash.to_string());
        if event.aggregate_type == "run" {
            assert_eq!(entry.metadata["run_id"], event.aggregate_id);
        }
    }
}

/// Something for the trail, as fast as one client can.
async fn load(api: &Api, commands: usize) {
    let run = api.start_client_run().await;
    for _ in 0..commands {
        let call = json!({"tool": "read_file", "arguments": {"path": "/etc/passwd"}});
        api.post(&format!("/v1/runs/{run}/tool-calls"), &call).await.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_in_every_copy_of_the_trail_once_and_in_order() {
    let (loki, otlp) = (LokiReceiver::start().await, OtlpReceiver::http().await);
    let mut world = World::new().await;
    let file = world.workspace.with_file_name("audit.jsonl");
    world
        .restart_with(|server| {
            server.env("XAGENT_AUDIT_LOKI_URL", loki.url()).env("XAGENT_AUDIT_LINES", &file);
            server.env("XAGENT_AUDIT_OTLP_URL", format!("{}/v1/logs", otlp.url()));
        })
        .await;
    let sample = Sample::recorded(&world).await;
    world.api_of("other", "eve", &["*"], &[]).start_client_run().await;
    let kept = complete(&world, &loki).await;

    let of = |event_type: &str, level: &str| {
        let found =
            kept.iter().filter(|entry| entry.labels["event_type"] == event_type && entry.labels["level"] == level);
        found.collect::<Vec<_>>()
    };
    assert!(kept.iter().all(|entry| entry.labels["job"] == "xagent"));
    let denied = of("DecisionMade", "warn");
    assert_eq!(denied.len(), 1, "{denied:#?}");
    let fact: Value = serde_json::from_str(&denied[0].line).unwrap();
    assert_eq!(denied[0].metadata["decision_id"], fact["payload"]["DecisionMade"]["decision"].as_str().unwrap());
    assert_eq!((&denied[0].metadata["run_id"], denied[0].metadata["trace_id"].len()), (&sample.reviewer, 32));
    assert_eq!((of("ApprovalRefused", "warn").len(), of("RunStarted", "info").len()), (1, 4));

    copies_are_the_same(&file, &otlp, &kept).await;
    sent_again_it_is_the_same(&world, &loki, &kept).await;
}

async fn copies_are_the_same(file: &Path, otlp: &OtlpReceiver, kept: &[Kept]) {
    let lines = until("the file holds every event", async || {
        let text = std::fs::read_to_string(file).ok()?;
        (text.lines().count() >= kept.len()).then_some(text)
    });
    let copied: Vec<Kept> = lines.await.lines().map(|line| envelope(line)).collect();
    assert_eq!(copied, kept, "what a collector carries on is what would have been pushed");
    let records = until("the receiver of logs has every event", async || {
        let records = otlp.logs();
        (records.len() >= kept.len()).then_some(records)
    });
    for (record, entry) in records.await.iter().zip(kept) {
        assert_eq!(record.body.as_ref().map(text_of).as_deref(), Some(entry.line.as_str()));
        assert_eq!((record.time_unix_nano as i64, &record.event_name), (entry.at_ns, &entry.labels["event_type"]));
    }
}

fn envelope(line: &str) -> Kept {
    let said: Value = serde_json::from_str(line).unwrap();
    let texts = |value: &Value| serde_json::from_value::<BTreeMap<String, String>>(value.clone()).unwrap();
    Kept {
        at_ns: said["timestamp"].as_str().unwrap().parse().unwrap(),
        labels: texts(&said["labels"]),
        metadata: texts(&said["metadata"]),
        line: said["line"].as_str().unwrap().to_owned(),
    }
}

/// Whatever position it is sent again from: the same entries, to the nanosecond.
async fn sent_again_it_is_the_same(world: &World, loki: &LokiReceiver, kept: &[Kept]) {
    assert_eq!(loki.repeated(), 0);
    let (head, mut sent) = (kept.len(), 0);
    for from in [1, head / 2, head] {
        let output = world.xagent(&["--json", "rebuild", "audit-loki", "--from", &from.to_string()]).await;
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&said["was"], &said["events"]), (&json!(head), &json!(head + 1 - from)), "{said}");
        sent += head + 1 - from;
        until("it is sent again", async || (loki.repeated() >= sent).then_some(())).await;
        // Were it not where it was, the next one would not find it there.
        until("the position is kept", async || {
            let at: i64 = sqlx::query_scalar("SELECT position FROM audit_trails WHERE target = 'loki'")
                .fetch_one(&world.superuser().await)
                .await
                .unwrap();
            (at == head as i64).then_some(())
        })
        .await;
    }
    assert_eq!((loki.repeated(), loki.kept()), (sent, kept.to_vec()));
    let output = world.xagent(&["rebuild", "audit-loki", "--from", "999999"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("position 999999 is past the end of the ledger"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loki_that_is_away_busy_or_broken_holds_up_nothing_and_has_everything_afterwards() {
    let mut loki = LokiReceiver::start().await;
    let world = pushing(&loki.url()).await;
    let alice = world.everything("alice");
    load(&alice, 5).await;
    complete(&world, &loki).await;
    let had = loki.kept().len();
    loki.leave().await;
    load(&alice, 20).await;
    loki.be(Mood::Busy);
    loki.come_back().await;
    until("it is told to wait", async || (loki.answered(429) > 0).then_some(())).await;
    load(&alice, 20).await;
    loki.be(Mood::Broken);
    until("it is told of a failure", async || (loki.answered(500) > 0).then_some(())).await;
    load(&alice, 20).await;
    assert_eq!(loki.kept().len(), had, "nothing has arrived, and every command went through");
    loki.be(Mood::Well);
    complete(&world, &loki).await;
    assert_eq!(loki.repeated(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_named_and_counted_and_all_else_is_there() {
    let loki = LokiReceiver::start().await;
    let mut world = World::new().await;
    let log = world.workspace.with_file_name("server.log");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let metrics = format!("127.0.0.1:{port}");
    load(&world.everything("alice"), 10).await;
    let refused = world.head().await / 2;
    loki.be(Mood::Refuses(refused.to_string()));
    world
        .restart_with(|server| {
            server.env("XAGENT_AUDIT_LOKI_URL", loki.url()).env("XAGENT_METRICS_LISTEN", &metrics);
            server.env("XAGENT_LOG", "warn").stderr(std::fs::File::create(&log).unwrap());
        })
        .await;
    let kept = until("the others are there", async || {
        let (kept, head) = (loki.kept(), world.head().await);
        (kept.len() as u64 + 1 >= head).then_some(kept)
    });
    let positions: BTreeSet<u64> = kept.await.iter().map(|entry| entry.metadata["position"].parse().unwrap()).collect();
    let expected = (1..=world.head().await).filter(|position| *position != refused);
    assert_eq!(positions, expected.collect());
    let named = until("the refusal is named", async || {
        let text = std::fs::read_to_string(&log).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.map(|line| line["fields"].clone()).find(|fields| fields["message"] == "audit.refused")
    });
    let named = named.await;
    assert_eq!((&named["position"], &named["to"]), (&json!(refused), &json!("loki")), "{named}");
    assert!(named["reason"].as_str().unwrap().starts_with("400 Bad Request: entry at "), "{named}");
    let text = reqwest::get(format!("http://{metrics}/metrics")).await.unwrap().text().await.unwrap();
    assert!(text.contains("xagent_audit_events_total{target=\"loki\",outcome=\"refused\"} 1\n"), "{text}");
    let position = format!("xagent_reader_position{{reader=\"audit/loki\"}} {}\n", world.head().await);
    assert!(text.contains(&position), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_goes_on_where_it_was_and_two_do_not_get_in_each_others_way() {
    let loki = LokiReceiver::start().await;
    let mut world = pushing(&loki.url()).await;
    for _ in 0..3 {
        load(&world.everything("alice"), 10).await;
        let url = loki.url();
        world.restart_with(|server| _ = server.env("XAGENT_AUDIT_LOKI_URL", &url)).await;
    }
    let second: (Child, String) = world.server_with(|server| _ = server.env("XAGENT_AUDIT_LOKI_URL", loki.url())).await;
    load(&Api::new(&second.1, "default", "bob", &["*", "tool:*"], &[]), 10).await;
    world.kill_server().await;
    load(&Api::new(&second.1, "default", "bob", &["*", "tool:*"], &[]), 10).await;
    complete(&world, &loki).await;
}
