//! The sandbox: code tries to get out, take more than it is given, and stay longer than it may. Nothing outside notices.

mod attempts;

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::law::enact;
use crate::world::{Api, Trap, World, output, until};
use attempts::{ATTEMPTS, Held};

const PRELUDE: &str = include_str!("attempts.py");

/// A time that nobody else sleeps.
fn mark() -> String {
    format!("4321.{}", std::process::id())
}

/// Lets any code be run without asking anybody: nothing but the sandbox is in its way.
async fn anything_goes(api: &Api) {
    enact(api, |body| {
        let config = &mut body["data"]["config"];
        config["code"]["dangerous"] = json!({"python": [], "shell": []});
    })
    .await;
    let tools = api.get("/v1/tools").await.expect(200);
    let stock = tools["items"].as_array().unwrap().iter().find(|tool| tool["name"] == "run_code").unwrap();
    let mut tool = stock.clone();
    (tool["risk"], tool["consequential"]) = (json!("low"), json!(false));
    tool.as_object_mut().unwrap().remove("unavailable");
    api.post("/v1/tools", &tool).await.expect(201);
}

/// What of the host is there to be reached, and must be as it was afterwards.
struct Host {
    trap: Trap,
    canary: tempfile::NamedTempFile,
    process: Child,
    _abstract: UnixListener,
    words: Vec<(&'static str, String)>,
}

impl Host {
    async fn around(world: &World) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let trap = Trap::start().await;
        let canary = tempfile::Builder::new().prefix("xagent-canary").tempfile_in("/tmp").unwrap();
        std::fs::write(canary.path(), "the host").unwrap();
        std::fs::set_permissions(canary.path(), std::fs::Permissions::from_mode(0o666)).unwrap();
        let other = world.workspace.with_file_name("other");
        std::fs::create_dir(&other).unwrap();
        let process = Command::new("sleep").arg("600").spawn().unwrap();
        let name = format!("xagent-{}", process.id());
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let home = world.workspace.with_file_name("home");
        let port = |url: &str| url.rsplit_once(':').unwrap().1.split('/').next().unwrap().to_owned();
        let database_socket = PathBuf::from("/var/run/postgresql/.s.PGSQL.5432");
        let text = |path: &Path| path.display().to_string();
        let words = vec![
            ("@PORT@", trap.port.to_string()),
            ("@DATABASE@", port(&world.database_url)),
            ("@DATABASE_SOCKET@", text(&database_socket)),
            ("@ABSTRACT@", name),
            ("@CANARY@", text(canary.path())),
            ("@KEY@", text(&home.join("checkpoint-key"))),
            ("@OTHER@", text(&other)),
            ("@WORKSPACE@", text(&world.workspace)),
            ("@PROCESS@", process.id().to_string()),
            ("@MARK@", mark()),
        ];
        Self { trap, canary, process, _abstract: listener, words }
    }

    fn code(&self, attempt: &str) -> String {
        let code = self.words.iter().fold(attempt.to_owned(), |code, (name, word)| code.replace(name, word));
        assert!(!code.contains('@'), "{code}");
        format!("{PRELUDE}\n{code}\n")
    }

    /// As it was, seen from outside.
    fn is_unharmed(&mut self) {
        assert_eq!(self.trap.connections(), 0);
        assert_eq!(std::fs::read_to_string(self.canary.path()).unwrap(), "the host");
        assert_eq!(self.process.try_wait().unwrap(), None, "a process of the host lives");
        for path in ["/usr/bin/xagent-escape", "/xagent-escape", "/dev/xagent-escape"] {
            assert!(!Path::new(path).exists(), "{path}");
        }
        assert!(!std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap().contains("/tmp/x"));
        assert_ne!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim(), "escaped");
        assert_eq!(sleeping(), Vec::<String>::new(), "nothing is left running");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _waited = self.process.wait();
    }
}

/// Processes that sleep as no other does.
fn sleeping() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.starts_with("sleep\0") && line.contains(&mark())).collect()
}

fn step(name: &str, code: &str, held: Held) -> Value {
    let timeout_s = match held {
        Held::Stopped("wall_time") => 1,
        Held::Stopped(_) | Held::Refused | Held::Harmless => 20,
    };
    let arguments =
        json!({"language": "python", "code": code, "files": ["keep"], "keep": ["keep"], "timeout_s": timeout_s});
    json!({"id": name, "tool": "run_code", "arguments": arguments})
}

/// What is wrong with an outcome, if anything is.
fn judge(held: Held, output: &Value) -> Option<String> {
    let stdout = output["stdout"].as_str().unwrap_or_default();
    let as_expected = match held {
        Held::Stopped(limit) => output["stopped"] == limit,
        Held::Refused | Held::Harmless => stdout.contains("contained:") && output["exit_code"] == 0,
    };
    let contained = as_expected && !stdout.contains("ESCAPED") && output["kept"] == json!([]);
    (!contained).then(|| format!("{output:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_code_tries_it_is_contained_recorded_and_the_host_is_unharmed() {
    let mut world = World::new().await;
    let settings = world.workspace.with_file_name("tools.toml");
    std::fs::write(&settings, "[run_code]\ncpu_s = 2\nmemory_mib = 256\ndisk_mib = 32\noutput_kib = 4\n").unwrap();
    let with_settings = |command: &mut tokio::process::Command| {
        command.env("XAGENT_TOOLS_FILE", &settings);
    };
    world.restart_with(with_settings).await;
    let alice = world.everything("alice");
    anything_goes(&alice).await;
    std::fs::create_dir(world.workspace.join("keep")).unwrap();
    std::fs::write(world.workspace.join("keep/before"), "as it was").unwrap();
    let mut host = Host::around(&world).await;
    assert!(ATTEMPTS.len() >= 30);

    let parts: Vec<_> = ATTEMPTS.chunks(ATTEMPTS.len().div_ceil(2)).collect();
    let mut runs = Vec::new();
    for part in &parts {
        let steps = part.iter().map(|(name, held, code)| step(name, &host.code(code), *held)).collect();
        runs.push(alice.start_plan(steps, &world.workspace).await);
    }
    let mut wrong = Vec::new();
    for (part, run) in parts.iter().zip(&runs) {
        let ended = alice.run_ended(run).await;
        for (name, held, _) in *part {
            wrong.extend(judge(*held, &output(&ended, name)).map(|outcome| format!("{name}: {outcome}")));
        }
        let recorded = alice.count(run, "ToolCallCompleted").await;
        assert_eq!(recorded, part.len(), "every outcome is in the record");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    host.is_unharmed();
    assert_eq!(std::fs::read_dir(world.workspace.join("keep")).unwrap().count(), 1);
    let flood = output(&alice.run_ended(&runs[1]).await, "output_flood");
    assert_eq!((&flood["stdout_truncated"], flood["stdout"].as_str().unwrap().len()), (&json!(true), 4096));
    let linked = output(&alice.run_ended(&runs[0]).await, "symbolic_link");
    assert_eq!(linked["not_kept"].as_array().unwrap().len(), 2, "{linked:#}");
    let replay = world.xagent(&["--json", "replay", "--all"]).await;
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_ends_with_its_worker() {
    let mut world = World::new().await;
    let alice = world.everything("alice");
    anything_goes(&alice).await;
    let slept = format!("4320.{}", std::process::id());
    let running = |slept: &str| {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
        lines.filter(|line| line.starts_with("sleep\0") && line.contains(slept)).count()
    };
    let code = format!("sleep {slept} & sleep {slept}");
    let steps = json!([{"id": "s", "tool": "run_code", "arguments": {"language": "shell", "code": code}}]);
    let run = alice.start_plan(steps, &world.workspace).await;
    until("the code runs", async || (running(&slept) == 2).then_some(())).await;
    world.kill_server().await;
    until("the code is gone", async || (running(&slept) == 0).then_some(())).await;
    world.start_server().await;
    let alice = world.everything("alice");
    let ended = alice.run_ended(&run).await;
    assert_eq!(alice.count(&run, "ToolCallInterrupted").await, 1, "nothing is run twice: {ended:#}");
    assert_eq!(running(&slept), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_code_cannot_be_isolated_it_is_refused_with_the_reason_and_never_run() {
    let mut world = World::new().await;
    // A host without user namespaces: those of the server may not be divided further.
    let mut bare = tokio::process::Command::new("bwrap");
    let flags = ["--dev-bind", "/", "/", "--unshare-user", "--disable-userns", "--die-with-parent", "--"];
    bare.args(flags).arg(crate::world::binary());
    world.restart_of(bare, |_| {}).await;
    let alice = world.everything("alice");
    let ready = alice.get("/readyz").await.expect(200);
    assert_eq!((&ready["sandbox"]["ready"], &ready["sandbox"]["required"]), (&json!(false), &json!(false)));
    let reason = ready["sandbox"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("this host cannot isolate code: "), "{reason}");
    let tools = alice.get("/v1/tools").await.expect(200);
    let listed = tools["items"].as_array().unwrap().iter().find(|tool| tool["name"] == "run_code").unwrap();
    assert_eq!(listed["unavailable"], reason);

    anything_goes(&alice).await;
    let arguments = json!({"language": "shell", "code": format!("touch {}/ran", world.workspace.display())});
    let steps = json!([{"id": "s", "tool": "run_code", "arguments": arguments}]);
    let run = alice.start_plan(steps, &world.workspace).await;
    let ended = alice.run_ended(&run).await;
    assert_eq!(ended["state"]["results"]["s"]["status"], "failed");
    assert_eq!(output(&ended, "s")["error"], format!("no code is run here: {reason}"));
    assert_eq!(alice.count(&run, "ToolCallCompleted").await, 1);
    assert!(!world.workspace.join("ran").exists());
    let mut bare = tokio::process::Command::new("bwrap");
    let said = bare.args(flags).arg(crate::world::binary()).args(["--json", "sandbox"]).output().await.unwrap();
    assert_eq!(said.status.code(), Some(1), "{}", String::from_utf8_lossy(&said.stderr));
}
