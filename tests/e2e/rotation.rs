//! The key that signs: where it comes from, that it is not shown, and how it is replaced.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::{Child, Command};
use xagent_tree::{Checkpoint, Signer, Verifier};

use crate::world::{Api, World, until};

const NAME: &str = "xagent.local/ledger";

fn verifier(seed: u8) -> Verifier {
    Signer::new(NAME, &[seed; 32]).unwrap().verifier()
}

/// 64 hex digits, as a file holds them.
fn seed(seed: u8) -> String {
    format!("{seed:02x}").repeat(32)
}

fn key_file(world: &World, number: u8) -> PathBuf {
    let path = world.workspace.with_file_name(format!("key-{number}"));
    std::fs::write(&path, format!("{}\n", seed(number))).unwrap();
    path
}

/// The server again, with other settings; the one before it is gone.
async fn restarted(world: &World, before: Option<Child>, set: impl FnOnce(&mut Command)) -> (Child, Api) {
    if let Some(mut before) = before {
        before.kill().await.unwrap();
    }
    let (server, url) = world.server_with(set).await;
    (server, Api::new(&url, "default", "alice", &["*", "tool:*"], &[]))
}

/// A checkpoint that covers a new event.
async fn signed(api: &Api) -> Value {
    let answer = api.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await.expect(201);
    let size = answer["receipt"]["tree_size"].as_u64().unwrap();
    api.get(&format!("/v1/ledger/checkpoint?at_least={size}")).await.expect(200)
}

fn note(signed: &Value) -> &str {
    signed["note"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_announced_by_the_old_one_and_old_checkpoints_stay_valid() {
    let mut world = World::new().await;
    world.kill_server().await;
    let (old_file, new_file) = (key_file(&world, 1), key_file(&world, 2));
    let (server, api) = restarted(&world, None, |command| {
        command.env("XAGENT_CHECKPOINT_KEY_FILE", &old_file);
    })
    .await;
    // The world's first server signed with a key of its own.
    let kept = signed(&api).await;
    assert_eq!(kept["verifier"], verifier(1).to_string());

    let (_server, api) = restarted(&world, Some(server), |command| {
        command.env("XAGENT_CHECKPOINT_OLD_KEY_FILE", &old_file).env("XAGENT_CHECKPOINT_KEY_FILE", &new_file);
    })
    .await;
    let latest = until("the new key signs", async || {
        let latest = signed(&api).await;
        (latest["verifier"] == verifier(2).to_string()).then_some(latest)
    })
    .await;
    Checkpoint::open(note(&latest), &verifier(2)).unwrap();

    let keys = api.get("/v1/ledger/keys").await.expect(200)["items"].clone();
    let of = |key: &Verifier| {
        let items = keys.as_array().unwrap();
        items.iter().find(|item| item["verifier"] == key.to_string()).unwrap()["first"].clone()
    };
    let announced = of(&verifier(2));
    let both = [verifier(1), verifier(2)];
    let (_, signers) = Checkpoint::signers(note(&announced), &both).unwrap();
    assert_eq!(signers, [&both[0], &both[1]], "who trusts the old key learns of the new one");
    let after = signed(&api).await;
    assert!(Checkpoint::open(note(&after), &verifier(1)).is_err(), "from then on the new key signs alone");

    let file = world.workspace.join("kept");
    std::fs::write(&file, note(&kept)).unwrap();
    let (file, old, new) = (file.display().to_string(), verifier(1).to_string(), verifier(2).to_string());
    for keys in [vec![&old], vec![&old, &new], vec![&new, &old]] {
        let mut arguments = vec!["--json", "verify", "--checkpoint", &file];
        arguments.extend(keys.iter().flat_map(|key| ["--key", key.as_str()]));
        let output = world.xagent(&arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let refused = world.xagent(&["verify", "--checkpoint", &file, "--key", &new]).await;
    assert_eq!(refused.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_changes_without_the_old_one_signs_alone_and_the_log_says_so() {
    let mut world = World::new().await;
    signed(&world.everything("alice")).await;
    world.kill_server().await;
    let log = world.workspace.with_file_name("log");
    let (_server, api) = restarted(&world, None, |command| {
        command.env("XAGENT_CHECKPOINT_KEY", seed(3)).env("XAGENT_LOG", "warn");
        command.stderr(Stdio::from(std::fs::File::create(&log).unwrap()));
    })
    .await;
    let latest = signed(&api).await;
    assert_eq!(latest["verifier"], verifier(3).to_string(), "the key came from the environment");
    assert_eq!(note(&latest).matches('\u{2014}').count(), 1);
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(
        said.contains("checkpoint.key.changed_unannounced") && said.contains("--checkpoint-old-key-file"),
        "{said}"
    );
    assert!(!said.contains(&seed(3)), "the key is not shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_makes_a_key_and_says_what_to_keep() {
    let mut world = World::new().await;
    world.kill_server().await;
    let home = world.workspace.with_file_name("new-home");
    let log = world.workspace.with_file_name("log");
    let start = |command: &mut Command| {
        command.env("XAGENT_HOME", &home).env("XAGENT_LOG", "debug");
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
        command.stderr(Stdio::from(file));
    };
    let (server, api) = restarted(&world, None, start).await;
    let first = signed(&api).await["verifier"].as_str().unwrap().to_owned();
    let (_server, api) = restarted(&world, Some(server), start).await;
    assert_eq!(signed(&api).await["verifier"], first, "the key stays");
    let (said, file) = (std::fs::read_to_string(&log).unwrap(), home.join("checkpoint-key"));
    assert_eq!(said.matches("warning: made the key that signs checkpoints").count(), 1, "{said}");
    assert!(
        said.contains(&format!("Its public half is {first}")) && said.contains(&file.display().to_string()),
        "{said}"
    );
    let secret = std::fs::read_to_string(&file).unwrap();
    assert!(secret.len() == 64 && !said.contains(&secret), "the key is not shown");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_or_name_that_cannot_be_used_stops_the_start_and_is_not_shown() {
    let world = World::new().await;
    let file = world.workspace.with_file_name("bad-key");
    std::fs::write(&file, format!("{}zz", &seed(4)[2..])).unwrap();
    let file = file.display().to_string();
    let cases: [(&[&str], &str); 4] = [
        (&["serve", "--checkpoint-key-file", &file], "is not 64 hex digits"),
        (&["serve", "--checkpoint-old-key-file", &file], "is not 64 hex digits"),
        (&["serve", "--log-name", "my ledger"], "is no name for a key"),
        (&["serve", "--checkpoint-mirror", "ftp://me:hidden@example.org"], "is no place for checkpoints"),
    ];
    for (arguments, problem) in cases {
        let output = world.xagent(arguments).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(problem) && !said.contains(&seed(4)[..16]) && !said.contains("hidden"), "{said}");
    }
}
