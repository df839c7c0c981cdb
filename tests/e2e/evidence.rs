//! Evidence of real runs: exported, examined with nothing but the binary, the file and a key, and changed in every way.

use std::path::{Path, PathBuf};
use std::process::Command;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use xagent_domain::Limits;
use xagent_policies::Bulk;
use xagent_replay::evidence::{Fault, Verdict, examine};
use xagent_tree::Verifier;

use crate::review::waiting;
use crate::world::{Api, World, binary};

const PLAN: &str = include_str!("../../gateway/src/sample/repo_review.json");

/// A run with refused calls, an approval and what was approved.
async fn reviewed(world: &World, alice: &Api) -> String {
    for (name, text) in [("README.md", "# Sample\n"), ("Cargo.toml", "[package]\n"), (".env", "KEY=1\n")] {
        std::fs::write(world.workspace.join(name), text).unwrap();
    }
    let steps = serde_json::from_str::<Value>(PLAN).unwrap()["steps"].clone();
    let run = alice.start_plan(steps, &world.workspace).await;
    let approval = alice.run_until(&run, "the run waits for an approval", waiting).await;
    let bob = world.api("bob", &["approval:decide"]);
    bob.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await.expect(200);
    assert_eq!(alice.run_ended(&run).await["status"], "completed");
    run
}

/// A run that goes on, with a result that does not fit into its event.
async fn with_blob(alice: &Api) -> String {
    let tool = json!({"name": "fetch", "schema": {"type": "object"}, "executor": "client", "risk": "low"});
    alice.post("/v1/tools", &tool).await.expect(201);
    let run = alice.start_client_run().await;
    let body = json!({"tool": "fetch", "arguments": {}});
    let call = alice.post(&format!("/v1/runs/{run}/tool-calls"), &body).await.expect(201);
    let result = format!("/v1/runs/{run}/tool-calls/{}/result", call["call"].as_str().unwrap());
    let done = json!({"succeeded": true, "output": {"text": "long ".repeat(8000)}});
    alice.post(&result, &done).await.expect(200);
    run
}

async fn key(alice: &Api) -> String {
    let keys = alice.get("/v1/ledger/keys").await.expect(200);
    keys["items"][0]["verifier"].as_str().unwrap().to_owned()
}

/// Exports to a file of this world.
async fn export(world: &World, name: &str, arguments: &[&str]) -> String {
    let file = world.workspace.join(name).display().to_string();
    let mut all = vec!["--json", "evidence", "export", file.as_str()];
    all.extend(arguments);
    let output = world.xagent(&all).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    file
}

/// Exit code and answer of an examination, with nothing but files and keys.
async fn verify(world: &World, arguments: &[&str]) -> (i32, Value) {
    let mut all = vec!["--json", "evidence", "verify"];
    all.extend(arguments);
    let output = world.xagent_offline(&all).await;
    let said = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| json!({"error": String::from_utf8_lossy(&output.stderr)}));
    (output.status.code().unwrap(), said)
}

fn examined(bytes: &[u8], key: &str) -> Verdict {
    let key: Verifier = key.parse().unwrap();
    examine(bytes, &[key], None, &Bulk::exact(Limits { timeout_ms: 10_000 }))
}

#[tokio::test(flavor = "multi_thread")]
async fn real_runs_are_examined_offline_and_nothing_in_them_can_be_changed() {
    let mut world = World::new().await;
    let alice = world.everything("alice");
    alice.start_client_run().await;
    let kept = world.xagent(&["ledger", "checkpoint", "--at-least", "1"]).await;
    let kept_file = world.workspace.join("kept").display().to_string();
    std::fs::write(&kept_file, &kept.stdout).unwrap();
    let (review, open) = (reviewed(&world, &alice).await, with_blob(&alice).await);
    let key = key(&alice).await;
    let run = export(&world, "run.xe", &["--run", &review]).await;
    let sample = export(&world, "sample.xe", &["--run", &review, "--run", &open, "--since", &kept_file]).await;
    let tail = export(&world, "tail.xe", &["--run", &open, "--tail"]).await;
    let range = export(&world, "range.xe", &["--first", "1"]).await;
    let answer = alice.request(Method::GET, &format!("/v1/evidence?run={review}")).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/jsonl".parse().unwrap())
    );
    let fetched = answer.bytes().await.unwrap();
    world.kill_server().await;

    let (code, said) = verify(&world, &[&run, "--key", &key]).await;
    assert_eq!((code, &said["findings"]), (0, &json!([])), "{said:#}");
    assert_eq!((&said["events"], &said["runs"][0]["tail"]), (&json!(49), &json!("ended")));
    let decided = &said["decided"];
    assert!(
        decided["decisions"].as_u64().unwrap() > 10 && decided["decisions"] == decided["decided_again"],
        "{said:#}"
    );
    assert_eq!(decided["decisions"], decided["inputs_rebuilt"]);
    let (code, said) = verify(&world, &[&sample, "--key", &key, "--checkpoint", &kept_file]).await;
    assert_eq!((code, said["runs"].as_array().map(Vec::len)), (0, Some(2)), "{said:#}");
    assert!(said["follows"].as_u64() > Some(0), "{said:#}");
    let (code, said) = verify(&world, &[&tail, "--key", &key]).await;
    assert_eq!((code, &said["runs"][0]["tail"]), (0, &json!("proven")), "{said:#}");
    let (code, said) = verify(&world, &[&range, "--key", &key]).await;
    let (size, decided) = (said["tree"]["size"].as_u64().unwrap(), &said["decided"]);
    assert_eq!((code, said["events"].as_u64()), (0, Some(size)), "{said:#}");
    assert!(decided["decisions"].as_u64() > decided["inputs_rebuilt"].as_u64(), "refusals and tools, too: {decided}");
    assert!(examined(&fetched, &key).holds);

    let other = xagent_tree::Signer::new("xagent.local/ledger", &[1; 32]).unwrap().verifier().to_string();
    let (code, said) = verify(&world, &[&run, "--key", &other]).await;
    assert_eq!((code, &said["findings"][0]["fault"]), (1, &json!("signature")), "{said:#}");
    let (code, said) = verify(&world, &[&run, "--key", &key, "--checkpoint", &kept_file]).await;
    assert_eq!((code, &said["findings"][0]["fault"]), (1, &json!("consistency")), "{said:#}");
    assert_eq!(verify(&world, &[&run]).await.0, 2, "without a key nothing is examined");

    let bytes = std::fs::read(&sample).unwrap();
    let mut random = StdRng::seed_from_u64(4);
    for _ in 0..1000 {
        let (at, bit) = (random.random_range(0..bytes.len()), random.random_range(0..8));
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        assert!(!examined(&flipped, &key).holds, "byte {at}, bit {bit}");
    }
    in_an_empty_root(&run, &key);
    an_event_left_out_is_named(&world, &run, &review, &key).await;
}

async fn an_event_left_out_is_named(world: &World, run: &str, id: &str, key: &str) {
    let text = std::fs::read_to_string(run).unwrap();
    let without: String =
        text.lines().filter(|line| !line.contains("\"sequence\":5,\"tenant\"")).map(|l| format!("{l}\n")).collect();
    let file = world.workspace.join("without.xe");
    std::fs::write(&file, &without).unwrap();
    let (code, said) = verify(world, &[file.to_str().unwrap(), "--key", key]).await;
    let gap = |finding: &&Value| finding["fault"] == json!(Fault::Gap);
    let gap = said["findings"].as_array().unwrap().iter().find(gap).unwrap();
    assert_eq!((code, &gap["place"]), (1, &json!(format!("run {id}"))));
    assert!(gap["detail"].as_str().unwrap().starts_with("sequence 5 is missing, between positions "), "{gap}");
}

/// Examines a file where there is nothing but the binary, the libraries it is linked with, and the file; no network.
fn in_an_empty_root(file: &str, key: &str) {
    let can = Command::new("unshare").args(["--map-root-user", "--net", "true"]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: examining evidence in an empty root: this system lets nobody unshare a user namespace");
        return;
    }
    let root = xagent_tests::folder("empty-root-");
    let into = |from: &Path, to: &str| {
        let to: PathBuf = root.path().join(to.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    };
    into(&binary(), "xagent");
    into(Path::new(file), "run.xe");
    let linked = Command::new("ldd").arg(binary()).output().unwrap();
    for library in String::from_utf8(linked.stdout).unwrap().split_whitespace().filter(|word| word.starts_with('/')) {
        into(Path::new(library), library);
    }
    let mut examining = Command::new("unshare");
    examining
        .args(["--map-root-user", "--net", "chroot"])
        .arg(root.path())
        .args(["/xagent", "evidence", "verify", "/run.xe"]);
    let output =
        examining.args(["--key", key]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("holds 49 events, each in the signed tree, none missing\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_the_record_gets_no_evidence_and_each_read_is_recorded() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let path = format!("/v1/evidence?run={run}");
    let denied = world.api("carol", &["run:read"]).get(&path).await.problem(403, "denied");
    assert_eq!(denied["deny"][0]["code"], "missing_scope");
    world.api_of("other", "mallory", &["*"], &[]).get(&path).await.problem(404, "not-found");
    let before = world.head().await;
    assert_eq!(world.api_of("default", "anna", &[], &["auditor"]).get(&path).await.status, 200);
    let since = world.ledger().range(before, 100).await.unwrap();
    let recorded = |event: &&xagent_domain::Recorded| event.payload.contains("\"read.evidence\"");
    assert_eq!(since.iter().filter(recorded).count(), 1, "the read is on the record");
    alice.get("/v1/evidence?run=run_1").await.problem(400, "invalid-input");
    alice.get(&format!("{path}&since=999999")).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_exported_is_said_with_what_to_do() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let file = export(&world, "run.xe", &["--run", &run]).await;
    let refused = async |arguments: &[&str]| {
        let output = world.xagent(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let other = world.workspace.join("other.xe").display().to_string();
    let twice = refused(&["evidence", "export", &file, "--run", &run]).await;
    assert!(twice.contains("a file that is there is not written over"), "{twice}");
    let unknown = refused(&["evidence", "export", &other, "--run", "run_0"]).await;
    assert!(
        unknown.starts_with("error: there is no run `run_0` among the ") && unknown.contains("`xagent runs`"),
        "{unknown}"
    );
    let beyond = refused(&["evidence", "export", &other, "--first", "1", "--last", "999999"]).await;
    assert!(beyond.starts_with("error: positions 1 to 999999 are not all among the "), "{beyond}");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap());
    assert_eq!(mode & 0o777, 0o600, "it holds payloads");
}
