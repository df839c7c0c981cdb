//! OPA's decision logs, both ways: a stock OPA reports here, and what is decided here is exported as OPA would report it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use xagent_domain::decision_log::DecisionLogEvent;
use xagent_domain::read;
use xagent_tests::{OpaProcess, opa, until};

use crate::law::enact;
use crate::world::{World, claims, signed};

const RULES: &str = "package app

default allow := false

allow if input.user == \"alice\"

dice := {\"at\": time.now_ns(), \"thrown\": rand.intn(\"dice\", 6), \"user\": input.user}

lenient if not to_number(input.user)
";

/// A stock OPA that reports to the server, and to its own log.
fn reporting(world: &World, program: &Path, folder: &Path) -> OpaProcess {
    let token = signed(
        &claims("default", "opa", &["decision_log:write"], &[]),
        jsonwebtoken::Algorithm::HS256,
        crate::world::SECRET,
    );
    let configuration = json!({
        "services": {"xagent": {"url": world.url, "credentials": {"bearer": {"token": token}}}},
        "decision_logs": {"service": "xagent", "console": true,
            "reporting": {"min_delay_seconds": 1, "max_delay_seconds": 1}},
        "nd_builtin_cache": true,
        "labels": {"app": "dice"},
    });
    let file = folder.join("opa.json");
    std::fs::write(&file, configuration.to_string()).unwrap();
    let path = |path: std::path::PathBuf| path.display().to_string();
    let bundle = ["--bundle".to_owned(), path(folder.join("rules"))];
    let settings = ["--config-file".to_owned(), path(file), "--log-level".to_owned(), "info".to_owned()];
    OpaProcess::start_logging(program, &[bundle.as_slice(), &settings].concat(), &folder.join("opa.log"))
}

/// The decisions OPA wrote to its log, by id, without what its logger adds.
fn console(folder: &Path) -> BTreeMap<String, Map<String, Value>> {
    let text = std::fs::read_to_string(folder.join("opa.log")).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Map<String, Value>>(line).ok());
    let decisions = lines.filter(|line| line.get("msg") == Some(&json!("Decision Log"))).map(|mut line| {
        ["level", "msg", "time", "type"].iter().for_each(|name| drop(line.remove(*name)));
        (line["decision_id"].as_str().unwrap().to_owned(), line)
    });
    decisions.collect()
}

async fn kept(world: &World) -> BTreeMap<String, Map<String, Value>> {
    let (ledger, mut kept) = (world.ledger(), BTreeMap::new());
    let mut at = 0;
    loop {
        let events = ledger.range(at, 1000).await.unwrap();
        let Some(last) = events.last() else { return kept };
        at = last.position;
        for event in events.iter().filter(|event| event.event_type == "DecisionLogged") {
            let read = read(&event.event_type, &event.event_version, &event.payload).unwrap();
            let DecisionLogEvent::DecisionLogged(logged) = read else { panic!("{read:?}") };
            let text = match logged.event.text {
                Some(text) => text,
                None => ledger.blob(&logged.event.digest).await.unwrap().text,
            };
            let earlier = kept.insert(logged.decision_id, serde_json::from_str(&text).unwrap());
            assert!(earlier.is_none(), "a decision is kept once");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stock_opa_decides_arrives_field_for_field_and_replays_identical() {
    let Some(program) = opa("the decision log of a stock OPA") else { return };
    let world = World::new().await;
    let folder = xagent_tests::folder("opa-logs-");
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("app.rego"), RULES).unwrap();
    std::fs::write(rules.join(".manifest"), "{\"revision\": \"r1\", \"roots\": [\"\"]}").unwrap();
    let process = reporting(&world, &program, folder.path());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for number in 0..60 {
        let rule = ["allow", "dice", "lenient", "none"][number % 4];
        let user = ["alice", "bob", "é\u{0}\u{2028}<&>", "9007199254740993"][number / 4 % 4];
        let large = if number == 7 { "x".repeat(20_000) } else { String::new() };
        let asked = http.post(format!("{}/v1/data/app/{rule}", process.url()));
        let asked =
            asked.json(&json!({"input": {"user": user, "number": number, "large": large}})).send().await.unwrap();
        assert_eq!(asked.status(), 200);
    }
    let kept = until("all decisions have arrived", async || {
        let kept = kept(&world).await;
        (kept.len() >= 60).then_some(kept)
    })
    .await;
    assert_eq!(kept, console(folder.path()));

    let bundle = format!("r1={}", rules.display());
    let replayed = world.xagent(&["--json", "decisions", "replay", "--bundle", &bundle]).await;
    let report: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert!(replayed.status.success(), "{report:#}");
    assert_eq!(report["identical"], 60);

    std::fs::write(rules.join("app.rego"), RULES.replace("\"alice\"", "\"bob\"")).unwrap();
    let changed = world.xagent(&["--json", "decisions", "replay", "--bundle", &bundle]).await;
    let report: Value = serde_json::from_slice(&changed.stdout).unwrap();
    assert_eq!((changed.status.code(), report["different"].as_array().unwrap().len()), (Some(1), 8), "{report:#}");
    let without = world.xagent(&["--json", "decisions", "replay"]).await;
    assert_eq!(without.status.code(), Some(1), "a revision nobody has a bundle for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_kept_once_or_refused_by_its_fault() {
    let world = World::new().await;
    let opa = world.api("opa", &["decision_log:write"]);
    let batch = json!([{"decision_id": "d1", "path": "a/b", "result": true}, {"decision_id": "d2"}]);
    // As OPA sends it, without a key.
    let keep = || opa.answer(opa.request(reqwest::Method::POST, "/logs").json(&batch));
    let first = keep().await.expect(200);
    assert_eq!(keep().await.expect(200), first);
    assert_eq!(kept(&world).await.len(), 2);
    opa.post("/logs", &json!([])).await.problem(400, "invalid-input");
    let nameless =
        opa.post("/logs", &json!([{"decision_id": "d3"}, {"path": "a"}])).await.problem(400, "invalid-input");
    assert_eq!(nameless["field"], "/1");
    let bomb = flate(&vec![b' '; 17 * 1024 * 1024]);
    let request = opa.request(reqwest::Method::POST, "/logs").header("content-encoding", "gzip").body(bomb);
    assert_eq!(request.send().await.unwrap().status(), 413);
    let other = json!([{"decision_id": "d4"}]);
    world.api("mallory", &["run:read"]).post("/logs", &other).await.problem(403, "denied");
    assert_eq!(kept(&world).await.len(), 2);
}

fn flate(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_exported_as_opa_reports_them_and_masked_as_the_bundle_asks() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let digest = enact(&alice, |body| {
        body["modules"]["mask.rego"] = json!("package system.log\n\nmask contains \"/input/principal/id\"\n");
    })
    .await;
    let export = |query: String, encoding: &'static str| {
        alice.request(reqwest::Method::GET, &format!("/v1/decisions/export{query}")).header("accept-encoding", encoding)
    };
    let response = export(String::new(), "identity").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let started = events.iter().find(|event| event["input"]["command"]["id"] == run.as_str()).unwrap();
    assert_eq!((&started["path"], &started["result"]["allow"]), (&json!("xagent/api/decision"), &json!(true)));
    assert_eq!(started["bundles"]["xagent"]["revision"].as_str().unwrap().len(), 64);
    assert_eq!((&started["requested_by"], started["trace_id"].as_str().unwrap().len()), (&json!("alice"), 32));
    assert_eq!(
        (&started["erased"], &started["input"]["principal"]["id"]),
        (&json!(["/input/principal/id"]), &Value::Null)
    );
    assert!(started["timestamp"].as_str().unwrap().ends_with('Z'));
    let original = alice.get(&format!("/v1/runs/{run}/decisions")).await.expect(200);
    assert!(
        original["items"][0]["input"]["text"].as_str().unwrap().contains("\"id\":\"alice\""),
        "the record is whole"
    );

    let first = export("?limit=1".to_owned(), "identity").send().await.unwrap();
    let next = first.headers()["x-next-after"].to_str().unwrap().to_owned();
    assert_eq!(first.text().await.unwrap().lines().count(), 1);
    let rest = export(format!("?after={next}"), "gzip").send().await.unwrap();
    assert_eq!(rest.headers()["content-encoding"], "gzip");
    let mut unpacked = String::new();
    let bytes = rest.bytes().await.unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut unpacked).unwrap();
    assert!(unpacked.contains(&digest) || unpacked.lines().count() >= events.len() - 1);
    world.api("bob", &["run:read"]).get("/v1/decisions/export").await.problem(403, "denied");
}
