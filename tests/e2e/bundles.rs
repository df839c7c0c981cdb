//! The history of the law over the API: published, activated, rolled back, retired, read, and who may do so.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xagent_policies::{Files, Key, Trust};

use crate::law::{bundle, enact};
use crate::world::{Api, World};

/// The stock law as files, with a number in the data that makes it another bundle.
fn files(folder: &std::path::Path, number: u32) -> Files {
    let body = bundle(|body| body["data"]["number"] = json!(number));
    std::fs::create_dir_all(folder).unwrap();
    for (path, text) in body["modules"].as_object().unwrap() {
        std::fs::write(folder.join(path), text.as_str().unwrap()).unwrap();
    }
    std::fs::write(folder.join("data.json"), body["data"].to_string()).unwrap();
    std::fs::write(folder.join(".manifest"), json!({"revision": format!("r{number}")}).to_string()).unwrap();
    Files::from_folder(folder).unwrap()
}

async fn number(api: &Api, number: u32) -> String {
    enact(api, |body| body["data"]["number"] = json!(number)).await
}

async fn active(api: &Api) -> String {
    api.get("/v1/bundles").await.expect(200)["active"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opa_bundle_is_published_with_what_its_manifest_and_its_tests_say() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let files = files(&world.workspace.join("law"), 1);
    let digest = files.bundle(&Trust::Unchecked).unwrap().digest().to_string();
    let published = alice.post_archive("/v1/bundles", files.pack().unwrap()).await.expect(201);
    assert_eq!(published["bundle"], json!(digest));
    assert!(published["receipt"]["tree_size"].as_u64().is_some(), "{published:#}");
    let shown = alice.get(&format!("/v1/bundles/{digest}")).await.expect(200);
    assert_eq!(
        (&shown["status"], &shown["revision"], &shown["signed_by"]),
        (&json!("published"), &json!("r1"), &Value::Null)
    );
    assert_eq!(shown["content"]["data"]["number"], 1);
    assert!(shown["content"]["modules"]["tools.rego"].as_str().unwrap().starts_with('#'));
    // Again, as JSON: the same content is the same bundle.
    let again = alice.post("/v1/bundles", &bundle(|body| body["data"]["number"] = json!(1))).await.expect(201);
    assert_eq!(again["bundle"], json!(digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_none_is_refused_by_name() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let problem = alice.post_archive("/v1/bundles", &b"no archive"[..]).await.problem(400, "invalid-input");
    assert!(problem["detail"].as_str().unwrap().starts_with("the archive: "), "{problem:#}");
    alice.post_archive("/v1/bundles", vec![0; 9 * 1024 * 1024]).await.problem(413, "too-large");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_finding_is_told_at_once() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let body = bundle(|body| {
        body["modules"]["more.rego"] =
            json!("package more\n\nx := time.now_ns()\n\ny if not regex.match(`\\d`, \"1\")\n");
    });
    let problem = alice.post("/v1/bundles", &body).await.problem(422, "bundle-refused");
    let findings = problem["findings"].as_array().unwrap();
    let told: Vec<_> = findings.iter().map(|f| (f["line"].as_u64().unwrap(), f["code"].as_str().unwrap())).collect();
    assert_eq!(told, [(3, "non_deterministic"), (5, "unsafe_form"), (5, "regex")]);
    assert_eq!(findings[0]["source"], "x := time.now_ns()");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_law_is_rolled_back_step_by_step_and_each_step_is_an_event() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let stock = active(&alice).await;
    let (one, two) = (number(&alice, 1).await, number(&alice, 2).await);
    let back = alice.post("/v1/bundles/rollback", &json!({})).await.expect(200);
    assert_eq!((&back["bundle"], &back["previous"]), (&json!(one), &json!(two)));
    let late = alice.post("/v1/bundles/rollback", &json!({"to": one})).await.problem(409, "conflict");
    assert_eq!(late["code"], "other_bundle_before");
    // Repeated with its key, a roll-back is the one that was made.
    let first = alice.post_with_key("/v1/bundles/rollback", &json!({}), "back-1").await.expect(200);
    let again = alice.post_with_key("/v1/bundles/rollback", &json!({}), "back-1").await.expect(200);
    assert_eq!((&first["bundle"], &first), (&json!(stock), &again));
    let none = alice.post("/v1/bundles/rollback", &json!({})).await.problem(409, "conflict");
    assert_eq!(none["code"], "nothing_to_roll_back_to");
    let events = world.ledger().range(0, 1000).await.unwrap();
    let activated: Vec<_> = events.iter().filter(|event| event.event_type == "BundleActivated").collect();
    let versions: Vec<_> = activated.iter().map(|event| event.event_version.as_str()).collect();
    assert_eq!(versions, ["1", "1", "1", "2", "2"]);
    // The next decision is made by the bundle that was returned to.
    let run = alice.start_client_run().await;
    let decisions = alice.get(&format!("/v1/runs/{run}/decisions")).await.expect(200);
    assert_eq!(decisions["items"][0]["evaluation"]["bundle"], json!(stock));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_bundle_never_decides_again_and_what_it_decided_replays() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let old = number(&alice, 1).await;
    let run = alice.start_client_run().await;
    let retire = format!("/v1/bundles/{old}/retire");
    let because = json!({"reason": "it let writes through"});
    let still = alice.post(&retire, &because).await.problem(409, "conflict");
    assert_eq!(still["code"], "bundle_active");
    number(&alice, 2).await;
    alice.post(&retire, &because).await.expect(200);
    let refused = alice.post(&format!("/v1/bundles/{old}/activate"), &json!({})).await.problem(409, "conflict");
    assert_eq!(refused["code"], "bundle_retired");
    assert!(refused["detail"].as_str().unwrap().contains("it let writes through"));
    let list = alice.get("/v1/bundles").await.expect(200);
    let item = list["items"].as_array().unwrap().iter().find(|item| item["bundle"] == json!(old)).unwrap().clone();
    assert_eq!((&item["status"], &item["retired_because"]), (&json!("retired"), &json!("it let writes through")));
    let replay = world.xagent(&["--json", "replay", &run]).await;
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_change_the_law_has_nothing_checked_and_is_on_the_record() {
    let world = World::new().await;
    let mallory = world.api("mallory", &["run:start"]);
    let (digest, because) = ("0".repeat(64), json!({"reason": "r"}));
    // A bundle that would not pass: the denial comes first.
    let unfit = json!({"modules": {"a.rego": "package a\n\nx := "}, "data": {}});
    for (path, body) in [
        ("/v1/bundles".to_owned(), unfit),
        ("/v1/bundles/rollback".to_owned(), json!({})),
        (format!("/v1/bundles/{digest}/retire"), because),
    ] {
        let head = world.head().await;
        let problem = mallory.post(&path, &body).await.problem(403, "denied");
        assert_eq!(problem["deny"][0]["code"], "missing_scope", "{path}");
        let events = world.ledger().range(head, 10).await.unwrap();
        assert!(events[0].payload.contains(problem["decision_id"].as_str().unwrap()));
    }
    for path in ["/v1/bundles".to_owned(), format!("/v1/bundles/{digest}")] {
        mallory.get(&path).await.problem(403, "denied");
    }
    world.everything("alice").get(&format!("/v1/bundles/{digest}")).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_keys_a_server_takes_signed_bundles_only() {
    let world = World::new().await;
    let key: Key =
        serde_json::from_value(json!({"algorithm": "HS256", "key": "a-secret-of-some-length", "scope": "write"}))
            .unwrap();
    let keys = world.workspace.join("keys.json");
    let written = json!({"ops": {"algorithm": "HS256", "key": "a-secret-of-some-length", "scope": "write"}});
    std::fs::write(&keys, written.to_string()).unwrap();
    let (_server, url) = world
        .server_with(|command| {
            command.env("XAGENT_BUNDLE_KEYS_FILE", &keys);
        })
        .await;
    let alice = Api::new(&url, "default", "alice", &["*"], &[]);
    let unsigned = files(&world.workspace.join("law"), 1).pack().unwrap();
    let problem = alice.post_archive("/v1/bundles", unsigned).await.problem(400, "invalid-input");
    assert!(problem["detail"].as_str().unwrap().contains("takes signed bundles only"), "{problem:#}");
    alice.post("/v1/bundles", &bundle(|_| ())).await.problem(400, "invalid-input");
    // Signed by a stock OPA with this key.
    let signed = include_bytes!("../../policies/tests/fixtures/hs256.tar.gz");
    let trust = Trust::Keys(BTreeMap::from([("ops".to_owned(), key)]));
    let digest = Files::from_archive(signed).unwrap().bundle(&trust).unwrap().digest().to_string();
    let published = alice.post_archive("/v1/bundles", &signed[..]).await.expect(201);
    assert_eq!(published["bundle"], json!(digest));
    let shown = alice.get(&format!("/v1/bundles/{digest}")).await.expect(200);
    assert_eq!(shown["signed_by"], "ops");
    // A server without keys cannot check it, and says so.
    let unchecked = world.everything("alice").post_archive("/v1/bundles", &signed[..]).await;
    let problem = unchecked.problem(400, "invalid-input");
    assert!(problem["detail"].as_str().unwrap().contains("no key is known here"), "{problem:#}");
}
