//! The law is switched again and again under load: each decision names the bundle that decided it, and replays under it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::world::{Api, World, until};

/// Runs that calls are proposed to at the same time.
const RUNS: usize = 8;
/// Proposals a run takes.
const PER_RUN: usize = 400;

/// The full sizes take minutes: `XAGENT_SWITCH_DECISIONS=20000 XAGENT_SWITCHES=100`.
fn size(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().map_or(usual, |text| text.parse().unwrap())
}

/// Publishes the stock law without its counters' limits, with a number in the data, and with every tool call allowed or denied.
async fn publish(api: &Api, number: usize, allows: bool) -> String {
    let body = crate::law::bundle(|body| {
        for limit in body["data"]["config"]["limits"].as_object_mut().unwrap().values_mut().filter(|v| v.is_number()) {
            *limit = json!(1_000_000_000);
        }
        body["data"]["number"] = json!(number);
        if !allows {
            let text = body["modules"]["tools.rego"].as_str().unwrap();
            let changed = text.replace("input.run.status == \"running\"", "input.run.status == \"never\"");
            assert_ne!(text, changed);
            body["modules"]["tools.rego"] = Value::String(changed);
        }
    });
    api.post("/v1/bundles", &body).await.expect(201)["bundle"].as_str().unwrap().to_owned()
}

/// Repeats a command under its key while the machine is too busy for it, and says so.
async fn insist(api: &Api, path: &str, body: &Value, key: &str) -> Value {
    let carried_out = until("the command is carried out", async || {
        let answer = api.post_with_key(path, body, key).await;
        (answer.status != 503).then_some(answer)
    });
    let answer = carried_out.await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    answer.body
}

/// Proposes calls to runs of its own until enough are proposed by all together.
async fn propose(api: Api, name: String, left: &AtomicUsize, done: &AtomicUsize) -> Vec<String> {
    let mut runs = Vec::new();
    loop {
        let key = format!("{name}-{}", runs.len());
        let started = insist(&api, "/v1/runs", &json!({"agent": name, "goal": "g"}), &key).await;
        let run = started["run"].as_str().unwrap().to_owned();
        let path = format!("/v1/runs/{run}/tool-calls");
        runs.push(run);
        for number in 0..PER_RUN {
            if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
                return runs;
            }
            let body = json!({"tool": "search", "arguments": {"number": number}});
            insist(&api, &path, &body, &format!("{key}-{number}")).await;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_under_a_law_that_keeps_changing_names_the_bundle_that_made_it() {
    let (decisions, switches) = (size("XAGENT_SWITCH_DECISIONS", 1200), size("XAGENT_SWITCHES", 20));
    let world = World::new().await;
    let alice = world.everything("alice");
    let tool = json!({"name": "search", "schema": {"type": "object"}, "executor": "client", "risk": "low"});
    alice.post("/v1/tools", &tool).await.expect(201);
    let mut bundles = BTreeMap::new();
    for number in 0..4 {
        bundles.insert(publish(&alice, number, number % 2 == 0).await, number % 2 == 0);
    }
    // One server switches, and one learns of it from the ledger; both decide meanwhile.
    let (_other, other_url) = world.another_server().await;
    let servers = [world.url.clone(), other_url];
    // Each proposal is two decisions: on the command, and on the call.
    let (left, done) = (AtomicUsize::new(decisions / 2), AtomicUsize::new(0));
    let load = (0..RUNS).map(|index| {
        let name = format!("agent{index}");
        let api = Api::new(&servers[index % 2], "default", &name, &["*", "tool:*"], &[]);
        propose(api, name, &left, &done)
    });
    let over = AtomicBool::new(false);
    let order: Vec<_> = bundles.keys().collect();
    let switching = async {
        for number in 0..switches {
            // Spread over the load: the next switch comes when its share of the decisions is made.
            let share = number * decisions / 2 / switches;
            let mut look = tokio::time::interval(std::time::Duration::from_millis(5));
            while done.load(Ordering::Relaxed) < share && !over.load(Ordering::Relaxed) {
                look.tick().await;
            }
            let path = format!("/v1/bundles/{}/activate", order[number % order.len()]);
            insist(&alice, &path, &json!({}), &format!("switch-{number}")).await;
        }
    };
    let loading = async {
        let runs = futures::future::join_all(load).await;
        over.store(true, Ordering::Relaxed);
        runs.concat()
    };
    let ((), runs) = tokio::join!(switching, loading);

    let (mut named, mut decided) = (BTreeSet::new(), 0);
    for run in &runs {
        let mut path = format!("/v1/runs/{run}/decisions?limit=1000");
        loop {
            let page = alice.get(&path).await.expect(200);
            for decision in page["items"].as_array().unwrap() {
                let bundle = decision["evaluation"]["bundle"].as_str().unwrap();
                decided += 1;
                if let (Some(allows), true) = (bundles.get(bundle), decision["question"]["tool_call"].is_object()) {
                    assert_eq!(decision["allow"], json!(allows), "{decision:#}");
                    named.insert(bundle.to_owned());
                }
            }
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/v1/runs/{run}/decisions?limit=1000&cursor={next}");
        }
    }
    // Each run's start is a decision too.
    assert_eq!(decided, decisions / 2 * 2 + runs.len());
    assert_eq!(named.len(), bundles.len(), "each of the bundles has decided");
    let replay = world.xagent(&["--json", "replay", "--all"]).await;
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
    let report: Value = serde_json::from_slice(&replay.stdout).unwrap();
    assert_eq!(report["identical"], true);
    let again: u64 = report["runs"].as_array().unwrap().iter().map(|run| run["decided_again"].as_u64().unwrap()).sum();
    assert_eq!(again, decided as u64, "every decision was decided again");
}
