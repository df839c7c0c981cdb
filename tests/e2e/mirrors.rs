//! Checkpoints outside: in a folder or at a URL, never written over by what does not follow on them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use sqlx::Executor;
use tokio::process::{Child, Command};
use xagent_tree::{Frontier, Signer};

use crate::world::{Api, KEY, Shelf, World, until};

/// Starts another run, and answers with a checkpoint that covers it.
async fn signed(api: &Api) -> String {
    let answer = api.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await.expect(201);
    let size = answer["receipt"]["tree_size"].as_u64().unwrap();
    let signed = api.get(&format!("/v1/ledger/checkpoint?at_least={size}")).await.expect(200);
    signed["note"].as_str().unwrap().to_owned()
}

/// The number of leaves a note speaks of.
fn size(note: &str) -> u64 {
    note.lines().nth(1).unwrap().parse().unwrap()
}

async fn mirrored(path: &Path, least: u64) -> String {
    until("the checkpoint is mirrored", async || {
        let note = std::fs::read_to_string(path).ok()?;
        (size(&note) >= least).then_some(note)
    })
    .await
}

/// The world's server again, which writes its log to a file.
async fn logging(world: &World, set: impl FnOnce(&mut Command)) -> (Child, Api, PathBuf) {
    let log = world.workspace.with_file_name("log");
    let (server, url) = world
        .server_with(|command| {
            command.env("XAGENT_LOG", "warn").stderr(Stdio::from(std::fs::File::create(&log).unwrap()));
            set(command);
        })
        .await;
    (server, Api::new(&url, "default", "alice", &["*", "tool:*"], &[]), log)
}

async fn told(log: &Path, event: &str) -> String {
    until("the log tells of it", async || {
        let text = std::fs::read_to_string(log).ok()?;
        text.lines().find(|line| line.contains(event)).map(str::to_owned)
    })
    .await
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_holds_the_latest_checkpoint_and_what_stays_of_each_hour_and_key() {
    let world = World::new().await;
    let (alice, folder) = (world.everything("alice"), world.workspace.with_file_name("mirror"));
    let first = mirrored(&folder.join("checkpoint"), size(&signed(&alice).await)).await;
    let later = mirrored(&folder.join("checkpoint"), size(&signed(&alice).await)).await;
    assert!(size(&later) > size(&first));
    let key = alice.get("/v1/ledger/keys").await.expect(200)["items"][0].clone();
    let hash = key["verifier"].as_str().unwrap().split('+').nth(1).unwrap().to_owned();
    let kept = std::fs::read_to_string(folder.join(format!("key-{hash}"))).unwrap();
    assert_eq!(kept, key["first"]["note"].as_str().unwrap());
    let hours: Vec<_> = names(&folder).into_iter().filter(|name| name.starts_with("checkpoint-")).collect();
    assert!((1..=2).contains(&hours.len()), "one per hour, and an hour may have just ended: {hours:?}");
    let hour = std::fs::read_to_string(folder.join(&hours[0])).unwrap();
    assert!(size(&hour) <= size(&first), "the first of the hour stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_holds_up_neither_signing_nor_publishing() {
    let mut world = World::new().await;
    world.kill_server().await;
    let folder = world.workspace.with_file_name("no-folder");
    std::fs::write(&folder, "a file stands here").unwrap();
    let (_server, api, log) = logging(&world, |command| {
        command.env("XAGENT_CHECKPOINT_MIRROR", &folder);
    })
    .await;
    let said = told(&log, "checkpoint.mirror.failed").await;
    assert!(said.contains("no-folder") && said.contains("\"failed\":1"), "{said}");
    let before = size(&signed(&api).await);
    api.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await.expect(201);
    until("it is signed unasked", async || {
        let latest = api.get("/v1/ledger/checkpoint").await.expect(200);
        (latest["size"].as_u64().unwrap() > before).then_some(())
    })
    .await;
    std::fs::remove_file(&folder).unwrap();
    let head = world.head().await;
    mirrored(&folder.join("checkpoint"), head).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_put_to_and_outages_are_made_up_for() {
    let mut world = World::new().await;
    world.kill_server().await;
    let shelf = Shelf::start().await;
    let (_server, api, log) = logging(&world, |command| {
        command.env("XAGENT_CHECKPOINT_MIRROR", shelf.url());
    })
    .await;
    let note = signed(&api).await;
    let on_shelf = async |least: u64| {
        until("the checkpoint is put", async || shelf.text("checkpoint").filter(|note| size(note) >= least)).await
    };
    on_shelf(size(&note)).await;
    // `auditor:s3cr3t-word`, as RFC 7617 has it.
    assert_eq!(shelf.last_authorisation().as_deref(), Some("Basic YXVkaXRvcjpzM2NyM3Qtd29yZA=="));
    shelf.break_down(true);
    let later = signed(&api).await;
    until("the shelf refuses", async || (shelf.refused() >= 3).then_some(())).await;
    let said = told(&log, "checkpoint.mirror.failed").await;
    assert!(said.contains("500") && said.contains("/ledger/checkpoint"), "{said}");
    shelf.break_down(false);
    on_shelf(size(&later)).await;
    let names = shelf.names();
    assert!(names.iter().any(|name| name.starts_with("/ledger/key-")), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("/ledger/checkpoint-2")), "{names:?}");
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(!said.contains("s3cr3t-word"), "the password is not shown");
}

/// What makes the outside and the ledger part.
enum Parting {
    CutOff,
    Rewritten,
    AnotherKey,
    NoCheckpoint,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outside_and_does_not_fit_is_shouted_about_and_kept() {
    let cases = [
        (Parting::CutOff, "and there are"),
        (Parting::Rewritten, "the history was rewritten"),
        (Parting::AnotherKey, "it is not of this ledger: not signed by"),
        (Parting::NoCheckpoint, "it is not of this ledger: not a checkpoint"),
    ];
    for (parting, reason) in cases {
        let mut world = World::new().await;
        let alice = world.everything("alice");
        let path = world.workspace.with_file_name("mirror").join("checkpoint");
        for _ in 0..20 {
            alice.start_client_run().await;
        }
        mirrored(&path, size(&signed(&alice).await)).await;
        world.kill_server().await;
        part(&world, &parting, &path).await;
        let outside = std::fs::read(&path).unwrap();
        let (_server, api, log) = logging(&world, |_| {}).await;
        let before = size(&signed(&api).await);
        let said = told(&log, "checkpoint.mirror.contradicts").await;
        assert!(said.contains(reason) && said.contains("\"level\":\"ERROR\""), "{reason}: {said}");
        assert!(size(&signed(&api).await) > before, "signing goes on");
        assert_eq!(std::fs::read(&path).unwrap(), outside, "the witness is kept");
    }
}

async fn part(world: &World, parting: &Parting, path: &Path) {
    let signer = |seed: u8| Signer::new("xagent.local/ledger", &[seed; 32]).unwrap();
    match parting {
        Parting::CutOff => cut_off(world).await,
        Parting::Rewritten => {
            // Another tree of the same size, signed with the ledger's own key.
            std::fs::write(path, signer(KEY).sign(3, Frontier::default().root())).unwrap();
        }
        Parting::AnotherKey => std::fs::write(path, signer(9).sign(3, Frontier::default().root())).unwrap(),
        Parting::NoCheckpoint => std::fs::write(path, "hello\n").unwrap(),
    }
}

/// The database as it was some events ago, as a restored copy would be.
async fn cut_off(world: &World) {
    let superuser = world.superuser().await;
    let mut frontier = Frontier::default();
    for event in world.ledger().range(0, 2).await.unwrap() {
        frontier.push(event.leaf_hash, |_, _| {});
    }
    let tables = ["events", "ledger_head", "checkpoints", "checkpoint_keys"];
    for table in tables {
        superuser.execute(format!("ALTER TABLE {table} DISABLE TRIGGER ALL").as_str()).await.unwrap();
    }
    superuser.execute("DELETE FROM events WHERE position > 2").await.unwrap();
    superuser.execute("DELETE FROM checkpoints WHERE size > 2").await.unwrap();
    let update = sqlx::query("UPDATE ledger_head SET last_position = 2, frontier = $1").bind(frontier.to_bytes());
    update.execute(&superuser).await.unwrap();
    for table in tables {
        superuser.execute(format!("ALTER TABLE {table} ENABLE TRIGGER ALL").as_str()).await.unwrap();
    }
}
