//! History decided again under another bundle: what changes is found, all of it and nothing else, and told from what the
//! engine changes; a report that was killed goes on where it stopped.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tokio::process::Command;
use xagent_domain::EngineIdentity;
use xagent_policies::Bundle;
use xagent_tests::{Asks, HARMLESS, History};

use crate::world::{Bare, SECRET, World, binary, claims, signed, until};

/// Decisions among which the changed ones are. `XAGENT_TEST_DECISIONS` may ask for more: 100000 take minutes.
const DECISIONS: u64 = 3000;
const LIMIT_KB: u64 = 200 * 1024;

fn decisions() -> u64 {
    std::env::var("XAGENT_TEST_DECISIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(DECISIONS)
}

/// The stock law with other settings.
pub fn changed(change: impl FnOnce(&mut Value)) -> Bundle {
    let stock = Bundle::stock().unwrap();
    let mut data: Value = serde_json::from_str(stock.data()).unwrap();
    change(&mut data["config"]);
    Bundle::from_parts(stock.modules().clone(), &data.to_string()).unwrap()
}

/// The law after the change of policy: `.env` files may be read, high risk is free and medium risk is not, and of ports
/// only 443 is left.
fn candidate() -> Bundle {
    changed(|config| {
        let patterns = config["secret_patterns"].as_array_mut().unwrap();
        patterns.retain(|pattern| !pattern.as_str().unwrap().contains("env"));
        config["free_risks"] = json!(["low", "high"]);
        config["network"]["ports"] = json!([443]);
    })
}

pub fn folder_of(bundle: &Bundle, folder: &Path) -> String {
    std::fs::create_dir(folder).unwrap();
    for (path, text) in bundle.modules() {
        std::fs::write(folder.join(path), text).unwrap();
    }
    std::fs::write(folder.join("data.json"), bundle.data()).unwrap();
    folder.display().to_string()
}

pub fn asks(risk: &'static str, path: Option<&'static str>, port: Option<u16>) -> Asks {
    let tool = if port.is_some() { "http_fetch" } else { "read_file" };
    Asks { tool, risk, path, port }
}

/// Seven decisions that the candidate makes otherwise, among many that it does not. Two are in one run.
async fn seeded(bare: &Bare) -> u64 {
    let history = History::under(&bare.ledger, &Bundle::stock().unwrap(), 700).await;
    let secret = asks("low", Some(".env"), None);
    let mut filled = history.fill(1, decisions() / 2).await;
    for (number, calls) in [
        (1_000_001, vec![HARMLESS, secret, HARMLESS, secret]),
        (1_000_002, vec![asks("high", Some("notes/a.txt"), None)]),
        (1_000_003, vec![asks("critical", Some(".env"), None), HARMLESS]),
        (1_000_004, vec![asks("low", None, Some(80))]),
        (1_000_005, vec![asks("low", None, Some(443)), asks("medium", Some("notes/a.txt"), None)]),
        (1_000_006, vec![asks("critical", None, Some(80)), asks("critical", Some("notes/a.txt"), None)]),
    ] {
        filled += calls.len() as u64 + 1;
        history.run(number, &calls).await;
    }
    filled + history.fill(2_000_000, decisions() / 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_policy_shows_exactly_what_it_flips() {
    let bare = Bare::new().await;
    let filled = seeded(&bare).await;
    let folder = folder_of(&candidate(), &bare.file("candidate"));
    let (html, junit) = (bare.file("report.html").display().to_string(), bare.file("report.xml").display().to_string());
    let (code, said) = bare.xagent(&["what-if", &folder, "--html", &html, "--junit", &junit]).await;
    assert_eq!((code, said["decided"].as_u64()), (Some(0), Some(filled)), "{said:#}");
    let classes = json!({
        "deny-to-allow": {"decisions": 2, "first": 1},
        "approval-to-allow": {"decisions": 1, "first": 1},
        "deny-to-approval": {"decisions": 1, "first": 1},
        "allow-to-deny": {"decisions": 1, "first": 1},
        "allow-to-approval": {"decisions": 1, "first": 1},
        "approval-to-deny": {"decisions": 1, "first": 1},
    });
    assert_eq!((&said["classes"], &said["changes"]), (&classes, &json!(7)), "{said:#}");
    assert_eq!((&said["engine_changes"]["changed"], &said["undecided"]["count"]), (&json!(0), &json!(0)));
    let [reached] = &said["engine_changes"]["by_engine"].as_object().unwrap().values().collect::<Vec<_>>()[..] else {
        panic!("{said:#}")
    };
    assert_eq!(reached["asked_again"], json!(7), "the bundle that decided is asked only where it matters");
    assert_eq!(said["by_rule"]["secret_path"], json!({"deny-to-allow": 2, "deny-to-approval": 1}), "{said:#}");
    assert_eq!(said["by_tool"]["http_fetch"], json!({"allow-to-deny": 1, "approval-to-deny": 1}));
    assert_eq!(said["diverged_runs"], json!(6));
    let first = &said["divergences"][0];
    assert_eq!((&first["run"], &first["class"]), (&json!(format!("run_{:032x}", 1_000_001)), &json!("deny-to-allow")));
    let example = said["examples"].as_array().unwrap().iter().find(|e| e["class"] == "deny-to-allow").unwrap();
    assert_eq!(example["input"]["resources"]["paths"][0]["normal"], ".env");
    assert_eq!((&example["before"]["allow"], &example["after"]["allow"]), (&json!(false), &json!(true)));
    let unreached = said["coverage"]["unreached"].as_array().unwrap();
    assert!(unreached.iter().any(|rule| rule["rule"] == "data.xagent.api.grantable_scope"), "{unreached:?}");
    assert!(!unreached.iter().any(|rule| rule["rule"] == "data.xagent.tools.paths_ok"));

    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("deny-to-allow") && !page.contains("http-equiv=\"refresh\"") && !page.contains("<script"));
    let cases = std::fs::read_to_string(&junit).unwrap();
    assert!(cases.contains("tests=\"9\" failures=\"0\""), "{cases}");

    let gated = ["what-if", &folder, "--fail-on", "deny-to-allow", "--junit", &junit, "--tool", "read_file"];
    let (code, said) = bare.xagent(&gated).await;
    assert_eq!((code, &said["stopped_by"]), (Some(1), &json!([{"finding": "deny-to-allow", "decisions": 2}])));
    let cases = std::fs::read_to_string(&junit).unwrap();
    assert!(cases.contains("failures=\"1\"") && cases.contains("<failure message=\"2 decisions: "), "{cases}");
    let narrow = ["what-if", &folder, "--fail-on", "deny-to-allow,reasons", "--tool", "http_fetch"];
    let (code, said) = bare.xagent(&narrow).await;
    assert_eq!((code, &said["changes"], &said["decided"]), (Some(0), &json!(2), &json!(3)), "{said:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_changes_is_not_taken_for_policy() {
    let bare = Bare::new().await;
    let older = |version: &str| EngineIdentity {
        name: "regorus".to_owned(),
        version: version.to_owned(),
        mode: "interpreter-strict".to_owned(),
    };
    let stock = Bundle::stock().unwrap();
    History::by(&bare.ledger, &stock, 0, Some(older("0.1.0"))).await.fill(1, 60).await;
    let digest = stock.digest().to_string();
    let (code, said) = bare.xagent(&["what-if", &digest, "--fail-on", "any"]).await;
    assert_eq!(
        (code, &said["changes"], &said["engine_changes"]["changed"]),
        (Some(0), &json!(0), &json!(0)),
        "{said:#}"
    );
    let reached = &said["engine_changes"]["by_engine"]["regorus 0.1.0 (interpreter-strict)"];
    assert_eq!((reached["decisions"].as_u64(), reached["changed"].as_u64()), (Some(63), Some(0)));

    // An engine that let `.env` files be read under the very same law.
    let lax = changed(|config| config["secret_patterns"] = json!([]));
    let history = History::by(&bare.ledger, &lax, 0, Some(older("0.2.0"))).await;
    let run = history.run(900, &[asks("low", Some(".env"), None)]).await;
    let said_by = format!("\"bundle\":\"{}\"", lax.digest());
    reseal(&bare, &run, &said_by, &format!("\"bundle\":\"{digest}\"")).await;
    let (code, said) = bare.xagent(&["what-if", &digest, "--fail-on", "deny-to-allow,allow-to-deny,approval"]).await;
    assert_eq!((code, &said["changes"]), (Some(0), &json!(0)), "{said:#}");
    let engines = &said["engine_changes"];
    assert_eq!((&engines["changed"], &engines["verdicts"], &engines["unexplained"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(engines["examples"][0]["class"], "allow-to-deny");
    let (code, said) = bare.xagent(&["what-if", &digest, "--fail-on", "engine"]).await;
    assert_eq!((code, &said["stopped_by"][0]["finding"]), (Some(1), &json!("engine")));
}

/// Changes recorded events of a run, and seals them again.
pub async fn reseal(bare: &Bare, run: &str, from: &str, to: &str) {
    let events = bare.ledger.stream(&"default".parse().unwrap(), "run", run, 0, 100).await.unwrap();
    bare.tamper(&["UPDATE ledger_head SET last_position = last_position"]).await;
    let mut count = 0;
    for mut event in events.into_iter().filter(|event| event.payload.contains(from)) {
        event.payload = event.payload.replace(from, to);
        let leaf = xagent_tree::leaf_hash(&event).unwrap();
        let update = sqlx::query("UPDATE events SET payload = $1::json, leaf_hash = $2 WHERE position = $3");
        let update = update.bind(&event.payload).bind(leaf.as_bytes().as_slice());
        count +=
            update.bind(i64::try_from(event.position).unwrap()).execute(&bare.superuser).await.unwrap().rows_affected();
    }
    assert!(count > 0, "{from}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decided_again_is_said_and_shuts_the_gate() {
    let bare = Bare::new().await;
    let stock = Bundle::stock().unwrap();
    let history = History::under(&bare.ledger, &stock, 0).await;
    let run = history.run(1, &[HARMLESS, HARMLESS]).await;
    let bent = format!(
        "UPDATE events SET payload = replace(payload::text, 'notes/a', 'notes/b')::json \
         WHERE aggregate_id = '{run}' AND event_type = 'DecisionMade' AND sequence = \
         (SELECT max(sequence) FROM events WHERE aggregate_id = '{run}' AND event_type = 'DecisionMade')"
    );
    bare.tamper(&[bent]).await;
    let (code, said) = bare.xagent(&["what-if", "stock", "--fail-on", "deny-to-allow"]).await;
    assert_eq!((code, &said["undecided"]["examples"][0]["why"]), (Some(1), &json!("tampered")), "{said:#}");
    assert_eq!(said["stopped_by"], json!([{"finding": "undecided", "decisions": 1}]));
    let other = history.run(2, &[HARMLESS]).await;
    let digest = |bundle: &str| format!("\"bundle\":\"{bundle}\"");
    reseal(&bare, &other, &digest(&stock.digest().to_string()), &digest(&"0".repeat(64))).await;
    // Its input is so large that it would stand in the blob table, and is not there.
    History::under(&bare.ledger, &stock, 20_000).await.run(3, &[HARMLESS]).await;
    let (code, said) = bare.xagent(&["what-if", "stock"]).await;
    assert_eq!((code, &said["undecided"]["count"], &said["decided"]), (Some(0), &json!(4), &json!(3)), "{said:#}");
    let why: Vec<_> = said["undecided"]["examples"].as_array().unwrap().iter().map(|one| one["why"].clone()).collect();
    assert_eq!(why, ["tampered", "missing_bundle", "missing_bundle", "missing_input"]);
}

/// A report without what is no finding.
fn findings(mut said: Value) -> Value {
    said.as_object_mut().unwrap().remove("pace").unwrap();
    said
}

/// The memory a living process has had at most.
fn peak_kb(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_was_killed_goes_on_and_is_the_same() {
    let bare = Bare::new().await;
    seeded(&bare).await;
    let folder = folder_of(&candidate(), &bare.file("candidate"));
    let progress = bare.file("progress");
    let arguments = ["--json", "what-if", &folder, "--resume", &progress.display().to_string()].map(str::to_owned);
    let mut child = Command::new(binary())
        .env("XAGENT_DATABASE_URL", &bare.database_url)
        .env("XAGENT_LOG", "error")
        .args(&arguments)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id().unwrap()));
    until("something is kept", async || progress.exists().then_some(())).await;
    let peak = peak_kb(&status);
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    let kept: Value = serde_json::from_slice(&std::fs::read(&progress).unwrap()).unwrap();
    let part = kept["tally"]["decided"].as_u64().unwrap();

    let other = bare.xagent(&["what-if", "stock", "--resume", &arguments[4]]).await;
    let refused = other.1["error"].as_str().unwrap().to_owned();
    assert!(other.0 == Some(2) && refused.contains("it is of another report: bundle is"), "{refused}");
    let narrower = bare.xagent(&["what-if", &folder, "--tool", "x", "--resume", &arguments[4]]).await;
    assert!(narrower.1["error"].as_str().unwrap().contains("tool is \"x\" here"), "{}", narrower.1);

    // What is recorded meanwhile is no part of it.
    let late = History::under(&bare.ledger, &Bundle::stock().unwrap(), 0).await;
    late.run(7_000_000, &[asks("low", Some(".env"), None)]).await;
    let arguments: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let (code, resumed) = bare.xagent(&arguments).await;
    assert!(code == Some(0) && !progress.exists(), "{resumed:#}");
    let to = resumed["to"].as_u64().unwrap();
    let decided = resumed["pace"]["decisions"].as_u64().unwrap();
    assert_eq!(decided + part, resumed["decided"].as_u64().unwrap(), "no decision is made twice, and none is left out");
    let (_, whole) = bare.xagent(&["what-if", &folder, "--to", &to.to_string()]).await;
    let (mut resumed, mut whole) = (findings(resumed), findings(whole));
    for report in [&mut resumed, &mut whole] {
        report["history"].as_object_mut().unwrap().remove("to");
    }
    assert_eq!(resumed, whole);
    if let Some(peak) = peak {
        assert!(peak < LIMIT_KB, "{peak} KB");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_recorded_by_whoever_the_law_lets_and_can_be_read_again() {
    let world = World::new().await;
    let alice = world.everything("alice");
    alice.start_client_run().await;
    let folder = folder_of(&candidate(), &world.workspace.with_file_name("candidate"));
    let file = |scopes: &[&str]| {
        let token = signed(&claims("default", "ci", scopes, &[]), Algorithm::HS256, SECRET);
        let file = world.workspace.join("token");
        std::fs::write(&file, token).unwrap();
        file.display().to_string()
    };
    let reader = file(&["audit:read"]);
    let refused = world.xagent(&["--json", "what-if", &folder, "--record", "--token-file", &reader]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("replay:write"), "{said}");

    let writer = file(&["replay:write"]);
    let recorded = world.xagent(&["--json", "what-if", &folder, "--record", "--token-file", &writer]).await;
    let report: Value = serde_json::from_slice(&recorded.stdout).unwrap();
    let position = report["recorded"]["receipt"]["last_position"].as_u64().unwrap();
    let kept = alice.get("/v1/replays").await.expect(200);
    let item = &kept["items"][0];
    assert_eq!((item["position"].as_u64(), &item["recorded_by"]), (Some(position), &json!("ci")), "{kept:#}");
    assert_eq!((&item["bundle"], &item["decided"]), (&report["bundle"], &report["decided"]));
    assert_eq!((&item["report"]["classes"], &kept["next_after"]), (&report["classes"], &Value::Null));
    let again =
        world.xagent(&["--json", "what-if", &folder, "--examples", "9", "--record", "--token-file", &writer]).await;
    assert!(again.status.success());
    let first = alice.get("/v1/replays?limit=1").await.expect(200);
    let next = first["next_after"].as_u64().unwrap();
    let second = alice.get(&format!("/v1/replays?limit=1&after={next}")).await.expect(200);
    assert!(second["items"][0]["position"].as_u64().unwrap() > position, "{second:#}");
    world.api("poor", &["run:read"]).get("/v1/replays").await.problem(403, "denied");
}
