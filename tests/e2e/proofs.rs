//! Proofs as a stranger gets and checks them: tiles, and files that hold with no server and no network.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};
use xagent_domain::Digest;
use xagent_tree::{Checkpoint, Tile, Verifier, node_hash};

use crate::world::{Api, World};

/// A tile as a stock client fetches it: bytes under the path of the specification.
async fn fetched(api: &Api, tile: Tile) -> Vec<Digest> {
    let response = api.request(Method::GET, &format!("/v1/ledger/tlog/tile/{tile}")).send().await.unwrap();
    assert_eq!(response.status(), 200, "{tile}");
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    assert_eq!(response.headers()["cache-control"], "private, max-age=31536000, immutable");
    let bytes = response.bytes().await.unwrap();
    let (hashes, rest) = bytes.as_chunks::<32>();
    assert!(rest.is_empty() && hashes.len() == usize::from(tile.width()), "{tile}");
    hashes.iter().copied().map(Digest::from_bytes).collect()
}

/// MTH of RFC 6962 over leaf hashes.
fn mth(leaves: &[Digest]) -> Digest {
    match leaves {
        [leaf] => *leaf,
        more => {
            let k = more.len().next_power_of_two() / 2;
            node_hash(&mth(&more[..k]), &mth(&more[k..]))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_alone_give_the_signed_root() {
    let world = World::new().await;
    let alice = world.everything("alice");
    while world.head().await <= 600 {
        let runs = (0..50).map(|_| alice.start_client_run());
        futures::future::join_all(runs).await;
    }
    alice.get("/v1/ledger/checkpoint?at_least=600").await.expect(200);
    let response = alice.request(Method::GET, "/v1/ledger/tlog/checkpoint").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.headers()["cache-control"], "private, max-age=1");
    let note = response.text().await.unwrap();
    let keys = alice.get("/v1/ledger/keys").await.expect(200);
    let key: Verifier = keys["items"][0]["verifier"].as_str().unwrap().parse().unwrap();
    let checkpoint = Checkpoint::open(&note, &key).unwrap();

    let mut levels: BTreeMap<u8, Vec<Digest>> = BTreeMap::new();
    for tile in Tile::of_tree(checkpoint.size) {
        levels.entry(tile.height().unwrap()).or_default().extend(fetched(&alice, tile).await);
    }
    assert_eq!(levels.keys().copied().collect::<Vec<_>>(), [0, 8]);
    assert_eq!(levels[&0].len() as u64, checkpoint.size);
    assert_eq!(mth(&levels[&0]), checkpoint.root);
    let full = levels[&0].chunks_exact(256).map(mth).collect::<Vec<_>>();
    assert_eq!(full, levels[&8], "each hash is the root of a full tile below");
    let recorded = world.ledger().range(0, 10_000).await.unwrap();
    let computed = recorded.iter().map(|event| xagent_tree::leaf_hash(event).unwrap());
    assert!(levels[&0].iter().copied().eq(computed.take(levels[&0].len())), "leaves are those of the events");

    let narrow = alice.request(Method::GET, "/v1/ledger/tlog/tile/0/000.p/7").send().await.unwrap();
    assert_eq!(narrow.bytes().await.unwrap().len(), 7 * 32, "a partial tile of an earlier tree is still served");
    for absent in ["0/x001/000", "1/000", "0/999.p/1", "2/000.p/1", "8/000.p/1", "63/000.p/1"] {
        alice.get(&format!("/v1/ledger/tlog/tile/{absent}")).await.problem(404, "not-found");
    }
    for wrong in ["0/0", "0/000.p/256", "64/000", "0/000/000", "x/000", "0"] {
        let said = alice.get(&format!("/v1/ledger/tlog/tile/{wrong}")).await.problem(400, "invalid-input");
        assert_eq!(said["field"], "tile", "{wrong}");
    }
    let entries = alice.get("/v1/ledger/tlog/tile/entries/000").await.problem(404, "not-found");
    assert!(entries["detail"].as_str().unwrap().contains("leaf hashes are in the tiles of level"), "{entries}");
}

/// A file of this world.
fn file(world: &World, name: &str, content: &str) -> String {
    let path = path(world, name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn path(world: &World, name: &str) -> PathBuf {
    world.workspace.join(name)
}

/// Runs the binary, which must be able to do what it was asked, and answers with what it printed.
async fn xagent(world: &World, arguments: &[&str]) -> String {
    let output = world.xagent(arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Exit code and answer of a check, with nothing but files and keys.
async fn check(world: &World, arguments: &[&str]) -> (i32, Value) {
    let mut all = vec!["--json", "ledger", "check"];
    all.extend(arguments);
    let output = world.xagent_offline(&all).await;
    let said = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| json!({"error": String::from_utf8_lossy(&output.stderr)}));
    (output.status.code().unwrap(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_checked_with_no_server_and_no_network() {
    let mut world = World::new().await;
    let alice = world.everything("alice");
    let answer = alice.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await.expect(201);
    for _ in 0..100 {
        alice.start_client_run().await;
    }
    let run = answer["run"].as_str().unwrap();
    let event = alice.get(&format!("/v1/runs/{run}/events?limit=1")).await.expect(200)["items"][0].clone();
    let position = event["position"].to_string();
    let answer = file(&world, "answer.json", &answer.to_string());
    let receipt = file(&world, "receipt.json", &xagent(&world, &["ledger", "proof", "--receipt", &answer]).await);
    let single = file(&world, "single.json", &xagent(&world, &["ledger", "proof", &position]).await);
    let event = file(&world, "event.json", &serde_json::to_string_pretty(&event).unwrap());
    let keys: Value = serde_json::from_str(&xagent(&world, &["--json", "ledger", "keys"]).await).unwrap();
    let key = keys["items"][0]["verifier"].as_str().unwrap().to_owned();
    world.kill_server().await;

    let (code, said) = check(&world, &[&receipt, "--key", &key, "--event", &event]).await;
    assert_eq!((code, &said["holds"]), (0, &json!(true)), "{said:#}");
    assert_eq!((&said["proven"]["receipt"], &said["proven"]["event"]), (&json!(true), &json!(true)));
    assert_eq!(said["proven"]["keys"], json!([key]));
    let (code, said) = check(&world, &[&single, "--key", &key, "--event", &event]).await;
    assert_eq!((code, &said["proven"]["positions"]), (0, &json!([position.parse::<u64>().unwrap()])), "{said:#}");
    let text = xagent(&world, &["ledger", "check", &receipt, "--key", &key]).await;
    assert!(text.starts_with("holds a tree of ") && text.contains("the receipt"), "{text}");

    let other = xagent_tree::Signer::new("xagent.local/ledger", &[1; 32]).unwrap().verifier().to_string();
    assert_eq!(check(&world, &[&receipt, "--key", &other]).await.0, 1);
    assert_eq!(check(&world, &[&receipt, "--key", &other, "--key", &key]).await.0, 0, "one of the keys is enough");
    assert_eq!(check(&world, &[&receipt]).await.0, 2, "without a key nothing is checked");
    assert_eq!(check(&world, &["missing.json", "--key", &key]).await.0, 2);
    assert_eq!(check(&world, &[&answer, "--key", &key]).await.0, 2, "an answer is no proof");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_proof_can_be_changed() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let answer = alice.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await.expect(201);
    alice.start_client_run().await;
    // The last checkpoint must be of a larger tree than the receipt, or there is no consistency to forge.
    let head = world.head().await;
    alice.get(&format!("/v1/ledger/checkpoint?at_least={head}")).await.expect(200);
    let run = answer["run"].as_str().unwrap();
    let event = alice.get(&format!("/v1/runs/{run}/events?limit=1")).await.expect(200)["items"][0].clone();
    let receipt = file(&world, "answer.json", &answer.to_string());
    let proof: Value =
        serde_json::from_str(&xagent(&world, &["ledger", "proof", "--receipt", &receipt]).await).unwrap();
    let keys = alice.get("/v1/ledger/keys").await.expect(200);
    let key = keys["items"][0]["verifier"].as_str().unwrap().to_owned();

    let other = json!(Digest::of(b"other"));
    let changes: [(&str, Value, &str); 11] = [
        ("/inclusion/0/path/0", other.clone(), "does not lead to the signed root"),
        ("/inclusion/0/leaf_hash", other.clone(), "does not lead to the signed root"),
        ("/inclusion/0/position", json!(0), "does not lead to the signed root"),
        ("/inclusion/0/root", other.clone(), "does not lead to the signed root"),
        ("/inclusion/0/tree_size", json!(1), "does not lead to the signed root"),
        ("/inclusion", json!([]), "nothing proves the receipt's event"),
        ("/receipt/leaf_hashes/0", other.clone(), "nothing proves the receipt's event"),
        ("/receipt/last_position", json!(u64::MAX), "contradicts itself"),
        ("/receipt/root", other.clone(), "does not follow on"),
        ("/receipt/tree_size", proof["consistency"]["second"].clone(), "does not follow on"),
        ("/consistency/path/0", other.clone(), "does not follow on"),
    ];
    for (pointer, value, fault) in changes {
        let mut forged = proof.clone();
        *forged.pointer_mut(pointer).unwrap() = value;
        let forged = file(&world, "forged.json", &forged.to_string());
        let (code, said) = check(&world, &[&forged, "--key", &key]).await;
        assert!(code == 1 && said["fault"].as_str().unwrap().contains(fault), "{pointer}: {code} {said}");
    }
    let mut forged = proof.clone();
    forged["checkpoint"] = json!(proof["checkpoint"].as_str().unwrap().replace("xagent.local", "xagent.other"));
    let forged = file(&world, "forged.json", &forged.to_string());
    assert_eq!(check(&world, &[&forged, "--key", &key]).await.0, 1);

    let proof = file(&world, "proof.json", &proof.to_string());
    for (pointer, value) in
        [("/payload", json!({})), ("/metadata/actor", json!("mallory")), ("/recorded_at_us", json!(1))]
    {
        let mut forged = event.clone();
        *forged.pointer_mut(pointer).unwrap() = value;
        let forged = file(&world, "forged.json", &forged.to_string());
        let (code, said) = check(&world, &[&proof, "--key", &key, "--event", &forged]).await;
        assert!(code == 1 && said["fault"].as_str().unwrap().contains("is not the one that was sealed"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_kept_earlier_is_proven_to_be_a_prefix() {
    let world = World::new().await;
    let alice = world.everything("alice");
    alice.start_client_run().await;
    let note = xagent(&world, &["ledger", "checkpoint", "--at-least", "1"]).await;
    let kept = file(&world, "kept", &note);
    for _ in 0..5 {
        alice.start_client_run().await;
    }
    let head = world.head().await.to_string();
    xagent(&world, &["ledger", "checkpoint", "--at-least", &head]).await;
    let keys = alice.get("/v1/ledger/keys").await.expect(200);
    let key = keys["items"][0]["verifier"].as_str().unwrap().to_owned();
    let proof = file(&world, "proof.json", &xagent(&world, &["ledger", "consistency", &kept]).await);
    let (code, said) = check(&world, &[&proof, "--key", &key]).await;
    assert_eq!((code, said["proven"]["follows"].to_string()), (0, note.lines().nth(1).unwrap().to_owned()), "{said}");
    let mut forged: Value = serde_json::from_str(&std::fs::read_to_string(&proof).unwrap()).unwrap();
    forged["kept"] = forged["checkpoint"].clone();
    let forged = file(&world, "forged.json", &forged.to_string());
    assert_eq!(check(&world, &[&forged, "--key", &key]).await.0, 1);
    let said: Value = serde_json::from_str(&xagent(&world, &["--json", "ledger", "head"]).await).unwrap();
    assert!(said["size"].as_u64() >= Some(head.parse().unwrap()), "{said}");
}
