//! What replays reach: the recordings, and nothing that the run once reached. It is counted where all of that is within
//! reach, and tried again where there is no network at all.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::Executor;
use tokio::net::UnixListener;
use tokio::process::Command;
use xagent_tests::{ChatServer, Script, folder};

use crate::law::enact;
use crate::planner::{facts, planning, start};
use crate::world::{Api, Trap, World};

/// Where the test of this name is to go on in a network of its own, and with what.
const INSIDE: &str = "XAGENT_TEST_INSIDE";
const TEST: &str = "touches_nothing::replay_what_if_and_forks_reach_the_recordings_and_nothing_else";

/// What a run reaches: a model, a web server, and files of its workspace.
struct Canaries {
    model: ChatServer,
    web: Trap,
    workspace: PathBuf,
}

impl Canaries {
    /// Requests to the model and the web server, and whether anything is in the workspace.
    fn seen(&self) -> (usize, usize, bool) {
        let filled = std::fs::read_dir(&self.workspace).unwrap().next().is_some();
        (self.model.hits(), self.web.connections(), filled)
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let model = self.model.url().replace("http://", "").replace("/v1", "").parse().unwrap();
        vec![model, SocketAddr::from(([127, 0, 0, 1], self.web.port))]
    }
}

/// A world, and a run in it that asked a model, fetched more than an event holds, and wrote a file that is gone since.
async fn lived() -> (World, Canaries, String) {
    let page = "long ".repeat(8000);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len());
    let web = Trap::answering("127.0.0.1", 0, answer).await;
    let endpoint = format!("127.0.0.1:{}", web.port);
    let note = json!({"name": "write_file", "arguments": {"path": "scratch/note.md", "content": "seen"}});
    let fetch = json!({"name": "http_fetch", "arguments": {"url": format!("http://{endpoint}/")}});
    let finish = json!({"name": "finish", "arguments": {"achieved": true, "summary": "done"}});
    let model = ChatServer::start(Script::of(json!({"rules": [
        {"when": {"turn": 0}, "reply": {"calls": [note, fetch]}},
        {"reply": {"calls": [finish]}},
    ]})))
    .await;
    let world = planning(&model, &[]).await;
    let alice = world.everything("alice");
    enact(&alice, |body| {
        body["data"]["config"]["network"]["allowed_endpoints"] = json!([endpoint]);
        // More than the event of its publication holds.
        body["data"]["more"] = (0..6000).collect();
    })
    .await;
    let canaries = Canaries { model, web, workspace: world.workspace.clone() };
    let run = start(&alice, &world, "g", json!({})).await;
    let ended = alice.run_ended(&run).await;
    assert_eq!((&ended["status"], canaries.seen()), (&json!("completed"), (2, 1, true)), "{ended:#}");
    std::fs::remove_dir_all(world.workspace.join("scratch")).unwrap();
    (world, canaries, run)
}

/// What a command answered, which succeeded.
async fn said(world: &World, arguments: &[&str]) -> Value {
    let output = world.xagent(&[&["--json"], arguments].concat()).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Replays, decides history again, and forks the run from its third event.
async fn replayed(world: &World, alice: &Api, run: &str) {
    assert_eq!(said(world, &["replay", run]).await["identical"], true);
    let what_if = said(world, &["what-if", "stock", "--confirm"]).await;
    assert!(what_if["decided"].as_u64() >= Some(5) && what_if["undecided"]["count"] == 0, "{what_if:#}");
    let fork = alice.post(&format!("/v1/runs/{run}/fork"), &json!({"at": 3})).await.expect(201);
    let fork = fork["run"].as_str().unwrap();
    let ended = alice.run_ended(fork).await;
    assert_eq!((&ended["status"], &ended["state"]["summary"]), (&json!("completed"), &json!("done")), "{ended:#}");
    let answers = facts(alice, fork, "ToolCallCompleted").await;
    assert!(answers.len() == 2 && answers.iter().all(|end| end["outcome"]["recording"]["run"] == json!(run)));
    assert_eq!(said(world, &["replay", "--all"]).await["identical"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_what_if_and_forks_reach_the_recordings_and_nothing_else() {
    if let Ok(inside) = std::env::var(INSIDE) {
        return serde_json::from_str::<Inside>(&inside).unwrap().replays().await;
    }
    let (mut world, canaries, run) = lived().await;
    replayed(&world, &world.everything("alice"), &run).await;
    assert_eq!(canaries.seen(), (2, 1, false), "within reach, and not reached");
    world.kill_server().await;
    without_network(&world, &canaries, &run).await;
    assert_eq!(canaries.seen(), (2, 1, false));
}

/// What goes on in a network of its own.
#[derive(Serialize, Deserialize)]
struct Inside {
    database_url: String,
    workspace: PathBuf,
    run: String,
    outside: Vec<SocketAddr>,
}

impl Inside {
    async fn replays(self) {
        let devices = std::fs::read_to_string("/proc/net/dev").unwrap();
        let devices: Vec<&str> = devices.lines().skip(2).filter_map(|line| line.trim().split(':').next()).collect();
        assert_eq!(devices, ["lo"], "a network of its own");
        for address in &self.outside {
            assert!(TcpStream::connect(address).is_err(), "{address} is outside");
        }
        let world = World::over(self.database_url, &self.workspace).await;
        replayed(&world, &world.everything("alice"), &self.run).await;
    }
}

/// The same once more by this very test, in a network that holds nothing but itself. Of what is outside, there is the
/// database's socket, which is a file.
async fn without_network(world: &World, canaries: &Canaries, run: &str) {
    let alone = ["--dev-bind", "/", "/", "--unshare-net", "--die-with-parent"];
    let can = Command::new("bwrap").args(alone).arg("true").output().await;
    if !can.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: replaying without a network: this system lets nobody make one (bwrap --unshare-net)");
        return;
    }
    let sockets = folder("socket-");
    let inside = Inside {
        database_url: on_a_socket(sockets.path(), &world.database_url),
        workspace: world.workspace.clone(),
        run: run.to_owned(),
        outside: canaries.addresses(),
    };
    let mut again = Command::new("bwrap");
    again.args(alone).arg(std::env::current_exe().unwrap()).args(["--exact", TEST, "--nocapture"]);
    again.env(INSIDE, serde_json::to_string(&inside).unwrap()).kill_on_drop(true);
    let output = again.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

/// The URL of a socket in `folder` that leads to the database.
fn on_a_socket(folder: &Path, url: &str) -> String {
    let (who, place) = url.split_once('@').unwrap();
    let (address, database) = place.split_once('/').unwrap();
    let (listener, address) = (UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap(), address.to_owned());
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = listener.accept().await {
            let address = address.clone();
            tokio::spawn(async move {
                let mut outside = tokio::net::TcpStream::connect(address).await?;
                tokio::io::copy_bidirectional(&mut inside, &mut outside).await
            });
        }
    });
    format!("{who}@{}/{database}", folder.display().to_string().replace('/', "%2F"))
}

/// Removes content from the database as somebody who owns it.
async fn removed(world: &World, digest: &str) {
    let owner = world.superuser().await;
    owner.execute("ALTER TABLE blobs DISABLE TRIGGER ALL").await.unwrap();
    let delete = format!("DELETE FROM blobs WHERE digest = decode('{digest}', 'hex')");
    assert_eq!(owner.execute(delete.as_str()).await.unwrap().rows_affected(), 1, "{digest}");
}

/// Where the replay of a run ends.
async fn divergence(world: &World, run: &str) -> Value {
    let output = world.xagent(&["--json", "replay", run]).await;
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["runs"][0]["divergence"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_missing_is_named_and_nothing_is_asked_in_its_place() {
    let (world, canaries, run) = lived().await;
    let alice = world.everything("alice");
    let fetched = facts(&alice, &run, "ToolCallCompleted").await;
    let output = fetched.iter().map(|end| &end["outcome"]["output"]).find(|output| output["text"].is_null()).unwrap();
    let digest = output["digest"].as_str().unwrap();
    removed(&world, digest).await;
    let missing = divergence(&world, &run).await;
    assert_eq!(missing["kind"], "missing_blob", "{missing:#}");
    assert!(missing["recorded"].as_str().unwrap().contains(digest), "{missing:#}");

    let bundles = alice.get("/v1/bundles").await.expect(200);
    let active = bundles["active"].as_str().unwrap();
    let published = world.ledger().range(0, 1000).await.unwrap();
    let manifest = published.iter().rev().find(|event| event.event_type == "BundlePublished").unwrap();
    let manifest: Value = serde_json::from_str(&manifest.payload).unwrap();
    let manifest = &manifest["BundlePublished"];
    assert_eq!(manifest["digest"], active);
    removed(&world, manifest["data"]["digest"].as_str().unwrap()).await;
    let missing = divergence(&world, &run).await;
    assert_eq!((&missing["kind"], &missing["recorded"]), (&json!("missing_bundle"), &json!(active)), "{missing:#}");
    let what_if = said(&world, &["what-if", "stock"]).await;
    let undecided = &what_if["undecided"]["examples"][0];
    assert_eq!((&undecided["why"], &undecided["detail"]), (&json!("missing_bundle"), &json!(active)), "{what_if:#}");
    assert_eq!(canaries.seen(), (2, 1, false));
}
