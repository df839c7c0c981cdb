//! Every way to change the ledger behind its back, tried as superuser with the triggers off, and what `verify` says.

use serde_json::{Value, json};
use sqlx::Executor;
use xagent_tree::{verify_consistency, verify_inclusion};

use crate::world::World;

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

const FORGED: &str = "INSERT INTO events SELECT aggregate_type, aggregate_id, sequence + 1, event_type, event_version, \
                      payload, metadata, position + 1, tenant, recorded_at, leaf_hash FROM events ORDER BY position DESC LIMIT 1";

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_tampering_is_named() {
    let cases: [(&[&str], &str, Option<u64>); 8] = [
        (
            &["UPDATE events SET payload = replace(payload::text, '\"g\"', '\"h\"')::json WHERE position = 5"],
            "changed",
            Some(5),
        ),
        (
            &["UPDATE events SET metadata = replace(metadata::text, 'alice', 'mallo')::json WHERE position = 4"],
            "changed",
            Some(4),
        ),
        (
            &["UPDATE events SET recorded_at = recorded_at + interval '1 microsecond' WHERE position = 6"],
            "changed",
            Some(6),
        ),
        (&["DELETE FROM events WHERE position = 7"], "missing", Some(7)),
        (&["DELETE FROM events WHERE position > 9"], "head", None),
        (
            &[
                "UPDATE events SET position = -position WHERE position IN (5, 8)",
                "UPDATE events SET position = 13 + position WHERE position < 0",
            ],
            "changed",
            Some(5),
        ),
        (&[FORGED], "head", None),
        (
            &[
                "UPDATE events SET payload = replace(payload::text, '\"g\"', '\"h\"')::json, leaf_hash = leaf_hash WHERE position = 5",
                "UPDATE ledger_head SET last_position = last_position - 1",
            ],
            "changed",
            Some(5),
        ),
    ];
    for (changes, kind, position) in cases {
        let world = filled().await;
        assert_eq!(verify(&world).await.0, Some(0));
        let superuser = world.superuser().await;
        let off = "ALTER TABLE events DISABLE TRIGGER ALL; ALTER TABLE ledger_head DISABLE TRIGGER ALL; \
                   ALTER TABLE events DROP CONSTRAINT events_position_check";
        superuser.execute(off).await.unwrap();
        for change in changes {
            assert!(superuser.execute(*change).await.unwrap().rows_affected() > 0, "{change}");
        }
        let (code, said) = verify(&world).await;
        assert_eq!((code, &said["fault"]["kind"]), (Some(1), &json!(kind)), "{changes:?}: {said:#}");
        if let Some(position) = position {
            assert_eq!(said["fault"]["position"], position, "{changes:?}: {said:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_rewritten_with_its_hashes_does_not_fit_the_root_that_was_kept() {
    let world = filled().await;
    let alice = world.everything("alice");
    let kept = alice.get("/v1/ledger/root").await.expect(200);
    let superuser = world.superuser().await;
    superuser.execute("ALTER TABLE events DISABLE TRIGGER ALL").await.unwrap();
    let mut event = world.ledger().range(4, 1).await.unwrap().remove(0);
    event.payload = event.payload.replace("\"g\"", "\"h\"");
    event.leaf_hash = xagent_tree::leaf_hash(&event).unwrap();
    let rewrite = "UPDATE events SET payload = $1::json, leaf_hash = $2 WHERE position = 5";
    let rewrite = sqlx::query(rewrite).bind(&event.payload).bind(event.leaf_hash.as_bytes().as_slice());
    rewrite.execute(&superuser).await.unwrap();
    let (code, said) = verify(&world).await;
    assert_eq!((code, &said["fault"]["kind"]), (Some(1), &json!("root")), "{said:#}");
    let now = alice.get(&format!("/v1/ledger/root?size={}", kept["size"])).await.expect(200);
    assert_ne!(now["root"], kept["root"]);
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
