//! Every way to change the ledger behind its back, tried as superuser with the triggers off, and what `verify` says.

use serde_json::{Value, json};
use sqlx::Row;
use xagent_tree::{Frontier, Signer, Subtree, leaf_hash};

use crate::world::Bare;

/// 600 events: two blocks of 256 with stored nodes, and 88 under the head row alone.
const COMMANDS: u32 = 300;

/// Tries each change on a ledger of its own. What is expected is part of the first fault.
async fn each(cases: &[(&[&str], Value)]) {
    for (changes, expected) in cases {
        let bare = Bare::filled(COMMANDS).await;
        bare.holds(&["--blobs"]).await;
        bare.tamper(changes).await;
        let said = bare.broken(&["--blobs"]).await;
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&said["fault"][name], value, "{name} after {changes:?}: {said:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_event_is_named_with_its_column() {
    each(&[
        (
            &["UPDATE events SET payload = replace(payload::text, 'xxx', 'xyx')::json WHERE position = 5"],
            json!({"kind": "edited", "position": 5, "column": "payload"}),
        ),
        (
            &["UPDATE events SET payload = replace(payload::text, 'xxx', 'xyx')::json WHERE position = 590"],
            json!({"kind": "edited", "position": 590, "column": "payload"}),
        ),
        (
            &["UPDATE events SET metadata = replace(metadata::text, 'alice', 'mallo')::json WHERE position = 300"],
            json!({"kind": "edited", "position": 300, "column": "metadata"}),
        ),
        (
            &["UPDATE events SET recorded_at = recorded_at + interval '1 microsecond' WHERE position = 6"],
            json!({"kind": "edited", "position": 6, "column": "recorded_at"}),
        ),
        (
            &["UPDATE events SET event_type = 'ToolRetired' WHERE position = 512"],
            json!({"kind": "edited", "position": 512, "column": "event_type"}),
        ),
        (
            &["UPDATE events SET sequence = sequence + 1000 WHERE position = 257"],
            json!({"kind": "edited", "position": 257}),
        ),
        (
            &["UPDATE events SET leaf_hash = sha256('') WHERE position = 257"],
            json!({"kind": "edited", "position": 257, "column": "leaf_hash"}),
        ),
        (
            &["UPDATE events SET leaf_hash = sha256('') WHERE position = 600"],
            json!({"kind": "edited", "position": 600, "column": "leaf_hash"}),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_events_are_told_from_a_cut_end() {
    each(&[
        (&["DELETE FROM events WHERE position = 7"], json!({"kind": "deleted", "position": 7, "last": 7})),
        (
            &["DELETE FROM events WHERE position BETWEEN 250 AND 520"],
            json!({"kind": "deleted", "position": 250, "last": 520, "closed_up": false}),
        ),
        (
            &[
                "DELETE FROM events WHERE position = 7",
                "UPDATE events SET position = position + 1000 WHERE position > 7",
                "UPDATE events SET position = position - 1001 WHERE position > 1000",
            ],
            json!({"kind": "deleted", "position": 7, "last": 7, "closed_up": true}),
        ),
        (
            &["DELETE FROM events WHERE position > 590"],
            json!({"kind": "truncated", "position": 591, "last": 600, "witness": "head"}),
        ),
        (
            &[
                "DELETE FROM events WHERE position > 256",
                "UPDATE ledger_head SET last_position = 256, frontier = \
                 (SELECT hash FROM tree_nodes WHERE level = 8 AND index = 0)",
            ],
            json!({"kind": "truncated", "position": 257, "last": 512, "witness": "node"}),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_events_and_their_node_are_gone_nothing_is_said_of_the_tree_above() {
    let bare = Bare::filled(COMMANDS).await;
    bare.tamper(&["DELETE FROM events WHERE position BETWEEN 100 AND 400", "DELETE FROM tree_nodes WHERE index = 1"])
        .await;
    let said = bare.broken(&[]).await;
    let kinds: Vec<_> = said["faults"].as_array().unwrap().iter().map(|f| (&f["kind"], &f["position"])).collect();
    let (deleted, node) = (json!("deleted"), json!("node"));
    assert_eq!(kinds, [(&deleted, &json!(100)), (&node, &json!(257))], "{said:#}");
}

fn swapped(one: u64, other: u64) -> [String; 2] {
    [
        format!("UPDATE events SET position = position + 1000 WHERE position IN ({one}, {other})"),
        format!("UPDATE events SET position = {} - position WHERE position > 1000", one + other + 1000),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn events_at_each_other_s_positions_are_reordered() {
    for (one, other) in [(5, 6), (5, 8), (5, 500), (300, 590)] {
        let bare = Bare::filled(COMMANDS).await;
        bare.tamper(&swapped(one, other)).await;
        let said = bare.broken(&[]).await;
        let expected = [(one, other), (other, one)].map(
            |(position, sealed_at)| json!({"kind": "reordered", "position": position, "last": position, "sealed_at": sealed_at}),
        );
        assert_eq!(said["faults"], json!(expected), "{said:#}");
    }
}

/// A copy of an event, as if it were the next of its stream.
fn forged(from: u64, position: u64) -> String {
    format!(
        "INSERT INTO events SELECT aggregate_type, aggregate_id, sequence + 1000, event_type, event_version, payload, \
         metadata, {position}, tenant, recorded_at, leaf_hash FROM events WHERE position = {from}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_event_is_named_wherever_it_was_put() {
    let past_the_head = forged(600, 601);
    let (room, back, put) = (
        "UPDATE events SET position = position + 1000 WHERE position >= 300",
        "UPDATE events SET position = position - 999 WHERE position > 1000",
        forged(299, 300),
    );
    each(&[
        (&[&past_the_head], json!({"kind": "forged", "position": 601, "last": 601})),
        (&[room, back, &put], json!({"kind": "forged", "position": 300, "last": 300})),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_key_and_a_blob_are_held_to_what_they_stand_for() {
    each(&[
        (
            &["UPDATE events SET command_id = 'another' WHERE position = 9"],
            json!({"kind": "command", "position": 9, "detail": "command_id is not the one in the metadata"}),
        ),
        (&["UPDATE events SET command_body = NULL WHERE position = 9"], json!({"kind": "command", "position": 9})),
        (&["UPDATE events SET command_events = 1 WHERE position = 9"], json!({"kind": "command", "position": 9})),
        (&["UPDATE events SET command_events = 5 WHERE position = 9"], json!({"kind": "command", "position": 9})),
        (
            &["UPDATE blobs SET content = 'another' WHERE digest = (SELECT digest FROM blobs ORDER BY digest LIMIT 1)"],
            json!({"kind": "blob", "problem": "corrupt"}),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_head_are_held_to_the_events() {
    each(&[
        (
            &["UPDATE tree_nodes SET hash = sha256('') WHERE index = 1"],
            json!({"kind": "rebuilt", "position": 257, "last": 512, "witness": "node", "rewritten": "witness"}),
        ),
        (
            &["DELETE FROM tree_nodes WHERE index = 0"],
            json!({"kind": "node", "position": 1, "last": 256, "level": 8, "problem": "missing"}),
        ),
        (
            &["UPDATE ledger_head SET frontier = substring(frontier FOR 64) || sha256('') || substring(frontier FROM 97)"],
            json!({"kind": "rebuilt", "position": 513, "last": 600, "witness": "head"}),
        ),
        (&["UPDATE ledger_head SET frontier = ''"], json!({"kind": "head"})),
        (
            &["INSERT INTO ledger_head (last_position, frontier, last_recorded_at) VALUES (0, '', 'epoch')"],
            json!({"kind": "head", "detail": "there must be one, and `ledger_head` holds 2"}),
        ),
        (&["DELETE FROM ledger_head"], json!({"kind": "head"})),
        (
            &["INSERT INTO checkpoints VALUES (400, 'none', 'none')"],
            json!({"kind": "signature", "size": 400}),
        ),
    ])
    .await;
}

/// Changes an event and seals all of them anew, in `events` only or in everything that is stored.
async fn rewritten(bare: &Bare, position: u64, change: fn(&mut xagent_domain::Recorded), everything: bool) {
    let nothing: [&str; 0] = [];
    bare.tamper(&nothing).await;
    let mut events = bare.ledger.range(0, 1000).await.unwrap();
    change(events.iter_mut().find(|event| event.position == position).unwrap());
    let (mut tree, mut nodes) = (Frontier::default(), Vec::new());
    for event in &mut events {
        event.leaf_hash = leaf_hash(event).unwrap();
        tree.push(event.leaf_hash, |subtree, root| nodes.push((subtree, root)));
        let update = "UPDATE events SET payload = $1::json, sequence = $2, leaf_hash = $3 WHERE position = $4";
        let update = sqlx::query(update).bind(&event.payload).bind(i64::try_from(event.sequence).unwrap());
        let update = update.bind(event.leaf_hash.as_bytes().as_slice()).bind(i64::try_from(event.position).unwrap());
        update.execute(&bare.superuser).await.unwrap();
    }
    if everything {
        for (Subtree { level, index }, root) in nodes.into_iter().filter(|(subtree, _)| subtree.level == 8) {
            let update = sqlx::query("UPDATE tree_nodes SET hash = $1 WHERE level = $2 AND index = $3");
            let update = update.bind(root.as_bytes().as_slice()).bind(i16::from(level));
            update.bind(i64::try_from(index).unwrap()).execute(&bare.superuser).await.unwrap();
        }
        let update = sqlx::query("UPDATE ledger_head SET frontier = $1").bind(tree.to_bytes());
        update.execute(&bare.superuser).await.unwrap();
    }
}

fn lie(event: &mut xagent_domain::Recorded) {
    event.payload = event.payload.replace("xxx", "xyx");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_rewritten_with_its_hash_does_not_fit_its_node() {
    for (position, expected) in [
        (300, json!({"kind": "rebuilt", "position": 257, "last": 512, "witness": "node", "rewritten": "events"})),
        (590, json!({"kind": "rebuilt", "position": 513, "last": 600, "witness": "head", "rewritten": "either"})),
    ] {
        let bare = Bare::filled(COMMANDS).await;
        rewritten(&bare, position, lie, false).await;
        let said = bare.broken(&[]).await;
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&said["fault"][name], value, "{said:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_rewritten_with_nodes_and_head_is_told_by_a_checkpoint_from_outside() {
    let bare = Bare::filled(COMMANDS).await;
    let signer = Signer::new("test/ledger", &[7; 32]).unwrap();
    let mut files = Vec::new();
    for size in [200_u64, 450] {
        let note = signer.sign(size, bare.ledger.root_at(size).await.unwrap());
        let file = bare.file(&format!("checkpoint-{size}"));
        std::fs::write(&file, note).unwrap();
        files.push(file.display().to_string());
    }
    let key = signer.verifier().to_string();
    let outside = ["--key", &key, "--checkpoint", &files[0], "--checkpoint", &files[1]];
    bare.holds(&outside).await;
    rewritten(&bare, 300, lie, true).await;
    bare.holds(&[]).await;
    let said = bare.broken(&outside).await;
    let fault = &said["fault"];
    assert_eq!((&fault["kind"], &fault["witness"]), (&json!("rebuilt"), &json!("outside_checkpoint")), "{said:#}");
    assert_eq!((&fault["position"], &fault["last"]), (&json!(201), &json!(450)), "between what fits and what does not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_skips_a_number_is_out_of_sequence_however_well_it_is_sealed() {
    let bare = Bare::filled(COMMANDS).await;
    rewritten(&bare, 599, |event| event.sequence += 50, true).await;
    let said = bare.broken(&[]).await;
    assert_eq!(
        (&said["fault"]["kind"], &said["fault"]["position"]),
        (&json!("out_of_sequence"), &json!(599)),
        "{said:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_told_in_order_and_within_a_bound() {
    let bare = Bare::filled(COMMANDS).await;
    bare.tamper(&["UPDATE events SET payload = replace(payload::text, 'xxx', 'xyx')::json WHERE position % 3 = 1"])
        .await;
    let said = bare.broken(&[]).await;
    let positions: Vec<_> =
        said["faults"].as_array().unwrap().iter().map(|f| f["position"].as_u64().unwrap()).collect();
    assert_eq!(positions.len(), 100);
    assert!(positions.iter().zip(1..).all(|(position, place)| *position == place * 3 - 2), "{positions:?}");
    assert_eq!(said["given_up"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_refuses_what_verification_would_find() {
    let bare = Bare::filled(1).await;
    for change in
        ["UPDATE archived_leaves SET index = 1", "INSERT INTO archived_ranges VALUES (1, 257, 'f', sha256(''), 1)"]
    {
        let mut session = bare.superuser.acquire().await.unwrap();
        sqlx::query("SET ROLE xagent_app").execute(&mut *session).await.unwrap();
        let refused = sqlx::query(change).execute(&mut *session).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"), "{change}");
        sqlx::query("RESET ROLE").execute(&mut *session).await.unwrap();
    }
    let row = sqlx::query("SELECT count(*) FROM archived_ranges").fetch_one(&bare.superuser).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);
}
