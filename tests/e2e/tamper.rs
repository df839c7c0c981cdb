//! A ledger that was changed as a whole, and what those who kept a checkpoint or a receipt outside can show.

use serde_json::{Value, json};
use sqlx::Executor;
use xagent_tree::{verify_consistency, verify_inclusion};

use crate::world::{World, until};

async fn filled() -> World {
    let world = World::new().await;
    let alice = world.everything("alice");
    for _ in 0..3 {
        alice.start_client_run().await;
    }
    world
}

async fn verify(world: &World) -> (Option<i32>, Value) {
    let output = world.xagent(&["--json", "verify"]).await;
    let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), said)
}

/// The latest checkpoint, once it covers the whole ledger, as a file that somebody keeps outside.
async fn kept_outside(world: &World) -> (String, String) {
    let head = world.head().await;
    let alice = world.everything("alice");
    let signed = until("the ledger is signed", async || {
        let latest = alice.get("/v1/ledger/checkpoint").await;
        (latest.status == 200 && latest.body["size"].as_u64() >= Some(head)).then_some(latest.body)
    })
    .await;
    let file = world.workspace.join("checkpoint");
    std::fs::write(&file, signed["note"].as_str().unwrap()).unwrap();
    (file.display().to_string(), signed["verifier"].as_str().unwrap().to_owned())
}

const TABLES: [&str; 4] = ["events", "ledger_head", "tree_nodes", "checkpoints"];

/// Changes event 5 and every hash after it, so that the ledger is whole in itself again.
async fn rewrite(world: &World, superuser: &sqlx::PgPool) {
    let mut events = world.ledger().range(0, 1000).await.unwrap();
    events[4].payload = events[4].payload.replace("\"g\"", "\"h\"");
    let mut frontier = xagent_tree::Frontier::default();
    for event in &mut events {
        event.leaf_hash = xagent_tree::leaf_hash(event).unwrap();
        frontier.push(event.leaf_hash, |_, _| {});
        let update = sqlx::query("UPDATE events SET payload = $1::json, leaf_hash = $2 WHERE position = $3");
        let update = update.bind(&event.payload).bind(event.leaf_hash.as_bytes().as_slice());
        update.bind(i64::try_from(event.position).unwrap()).execute(superuser).await.unwrap();
    }
    let update = sqlx::query("UPDATE ledger_head SET frontier = $1").bind(frontier.to_bytes());
    update.execute(superuser).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_rewritten_as_a_whole_does_not_fit_what_was_signed() {
    let mut world = filled().await;
    let (file, key) = kept_outside(&world).await;
    let outside = ["--json", "verify", "--key", &key, "--checkpoint", &file];
    assert!(world.xagent(&outside).await.status.success());
    world.kill_server().await;
    let superuser = world.superuser().await;
    for table in TABLES {
        superuser.execute(format!("ALTER TABLE {table} DISABLE TRIGGER ALL").as_str()).await.unwrap();
    }
    rewrite(&world, &superuser).await;
    let (code, said) = verify(&world).await;
    assert_eq!((code, &said["fault"]["kind"]), (Some(1), &json!("rebuilt")), "{said:#}");

    superuser.execute("DELETE FROM checkpoints").await.unwrap();
    assert_eq!(verify(&world).await.0, Some(0), "nothing inside tells any more");
    let told = world.xagent(&outside).await;
    let said: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((told.status.code(), &said["fault"]["kind"]), (Some(1), &json!("rebuilt")), "{said:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_cut_off_together_with_its_head_does_not_fit_what_was_signed() {
    let mut world = filled().await;
    kept_outside(&world).await;
    world.kill_server().await;
    let superuser = world.superuser().await;
    for table in TABLES {
        superuser.execute(format!("ALTER TABLE {table} DISABLE TRIGGER ALL").as_str()).await.unwrap();
    }
    let mut frontier = xagent_tree::Frontier::default();
    for event in world.ledger().range(0, 8).await.unwrap() {
        frontier.push(event.leaf_hash, |_, _| {});
    }
    superuser.execute("DELETE FROM events WHERE position > 8").await.unwrap();
    let update = sqlx::query("UPDATE ledger_head SET last_position = 8, frontier = $1").bind(frontier.to_bytes());
    update.execute(&superuser).await.unwrap();
    let (code, said) = verify(&world).await;
    assert_eq!((code, &said["fault"]["kind"]), (Some(1), &json!("truncated")), "{said:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_mirrored_outside_and_is_no_other_keys() {
    let world = filled().await;
    let (file, key) = kept_outside(&world).await;
    let mirrored = world.workspace.with_file_name("mirror").join("checkpoint");
    until("the checkpoint is mirrored", async || {
        (std::fs::read_to_string(&mirrored).ok()? == std::fs::read_to_string(&file).unwrap()).then_some(())
    })
    .await;
    let other = xagent_tree::Signer::new("xagent.local/ledger", &[1; 32]).unwrap().verifier().to_string();
    assert_ne!(key, other);
    let refused = world.xagent(&["verify", "--key", &other, "--checkpoint", &file]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not signed by the key `xagent.local/ledger`"));
}

fn digest(value: &Value) -> xagent_domain::Digest {
    value.as_str().unwrap().parse().unwrap()
}

fn path(value: &Value) -> Vec<xagent_domain::Digest> {
    value["path"].as_array().unwrap().iter().map(digest).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_can_check_every_receipt() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let mut receipts = Vec::new();
    for key in 0..110 {
        let key = format!("key-{key}");
        let body = json!({"agent": "a", "goal": "g"});
        let receipt = alice.post_with_key("/v1/runs", &body, &key).await.expect(201)["receipt"].clone();
        let again = alice.post_with_key("/v1/runs", &body, &key).await.expect(201)["receipt"].clone();
        assert_eq!(receipt, again);
        receipts.push(receipt);
    }
    let last = receipts.last().unwrap().clone();
    let size = last["tree_size"].as_u64().unwrap();
    assert!(size > 256, "the tree has stored nodes");
    for receipt in receipts.iter().step_by(9) {
        let (position, at) = (receipt["first_position"].as_u64().unwrap(), receipt["tree_size"].as_u64().unwrap());
        let leaf = digest(&receipt["leaf_hashes"][0]);
        let proof = alice.get(&format!("/v1/ledger/proof?position={position}&size={size}")).await.expect(200);
        assert!(verify_inclusion(&leaf, position - 1, size, &path(&proof), &digest(&last["root"])));
        let proof = alice.get(&format!("/v1/ledger/consistency?first={at}&second={size}")).await.expect(200);
        let (old, new) = (digest(&receipt["root"]), digest(&last["root"]));
        assert!(verify_consistency(at, size, &path(&proof), &old, &new));
    }
    let beyond = alice.get("/v1/ledger/proof?position=1&size=1000000").await;
    beyond.problem(404, "not-found");
    assert_eq!(verify(&world).await.0, Some(0));
    let poor = world.api("poor", &[]).get("/v1/ledger/root").await.problem(403, "denied");
    assert_eq!(poor["deny"][0]["code"], "missing_scope");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_older_than_its_tree_is_given_one() {
    let world = World::new().await;
    let alice = world.everything("alice");
    for _ in 0..90 {
        alice.start_client_run().await;
    }
    let kept = alice.get("/v1/ledger/root").await.expect(200);
    let superuser = world.superuser().await;
    let fell = "ALTER TABLE tree_nodes DISABLE TRIGGER ALL; ALTER TABLE ledger_head DISABLE TRIGGER ALL; \
                DELETE FROM tree_nodes; UPDATE ledger_head SET frontier = ''; \
                ALTER TABLE tree_nodes ENABLE TRIGGER ALL; ALTER TABLE ledger_head ENABLE TRIGGER ALL";
    superuser.execute(fell).await.unwrap();
    assert_eq!(verify(&world).await.0, Some(1));
    assert!(world.xagent(&["migrate"]).await.status.success());
    assert_eq!(verify(&world).await.0, Some(0));
    let now = alice.get(&format!("/v1/ledger/root?size={}", kept["size"])).await.expect(200);
    assert_eq!(now["root"], kept["root"]);
    alice.start_client_run().await;
}
