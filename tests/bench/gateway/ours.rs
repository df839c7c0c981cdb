//! Our server: the release binary on private servers, with the stock law but for its limits, which load would meet.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::StatusCode;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use xagent_policies::Bundle;
use xagent_stack::{Need, Stack, StackOptions};
use xagent_tests::{cpu_ticks, peak_mib, release_binary, until};

use crate::load::{Figures, drive, post};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";
/// No run and no minute of this benchmark has as many calls.
const ENOUGH: u64 = 1_000_000_000;
/// Bytes of a call's arguments, which bring its input to about 2 KB.
const ARGUMENTS: usize = 800;

/// How long it is looked at whether the server rests, and the hundredths of a second that it computes then where it does not.
const LOOK: Duration = Duration::from_millis(250);
const BUSY: u64 = 3;

pub struct Ours {
    pub bundle: Bundle,
    address: SocketAddr,
    token: String,
    http: Client,
    server: Child,
    _stack: Stack,
    _folder: TempDir,
}

/// What the law was asked.
pub struct Asked {
    pub entrypoint: String,
    pub input: String,
}

impl Ours {
    pub async fn start(roles: &str) -> Self {
        let folder = xagent_tests::folder("bench-gateway-");
        let options = StackOptions {
            folder: folder.path().to_owned(),
            postgres: Need::Private,
            nats: Need::Private,
            redis: Need::Private,
        };
        let stack = tokio::task::spawn_blocking(move || Stack::start(options)).await.unwrap().unwrap();
        xagent_ledger::migrate(stack.postgres_url()).await.unwrap();
        let (server, address) = serve(&stack, &folder, roles).await;
        let token = token().await;
        let http = Client::builder().no_proxy().build().unwrap();
        let bundle = bundle();
        let ours = Self { bundle, address, token, http, server, _stack: stack, _folder: folder };
        ours.prepare().await;
        ours
    }

    /// Waits until the server is ready, gives it the law, and registers the tool.
    async fn prepare(&self) {
        until("the server is ready", async || {
            let ready = self.http.get(format!("http://{}/readyz", self.address)).send().await;
            ready.is_ok_and(|ready| ready.status().is_success()).then_some(())
        })
        .await;
        let data: Value = serde_json::from_str(self.bundle.data()).unwrap();
        let published = self.post("/v1/bundles", &json!({"data": data, "modules": self.bundle.modules()})).await;
        let digest = published["bundle"].as_str().unwrap_or_else(|| panic!("{published}"));
        self.post(&format!("/v1/bundles/{digest}/activate"), &json!({})).await;
        let tool = json!({"name": "note", "schema": {"type": "object"}, "executor": "client", "risk": "low"});
        let registered = self.post("/v1/tools", &tool).await;
        assert!(registered["receipt"].is_object(), "{registered}");
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let key = format!("{:032x}", rand::random::<u128>());
        let request = self.http.request(Method::POST, format!("http://{}{path}", self.address));
        let answer = request.bearer_auth(&self.token).header("idempotency-key", key).json(body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn start_run(&self) -> String {
        let started = self.post("/v1/runs", &json!({"agent": "bench", "goal": "be quick"})).await;
        started["run"].as_str().unwrap_or_else(|| panic!("{started}")).to_owned()
    }

    /// Proposes calls on so many connections, each in a run of its own.
    pub async fn turn(&self, connections: usize, time: Duration) -> Figures {
        let mut runs = Vec::new();
        for _ in 0..connections {
            runs.push(self.start_run().await);
        }
        let (bearer, turn) = (format!("Bearer {}", self.token), rand::random::<u64>());
        drive(self.address, connections, time, (StatusCode::CREATED, "\"started\""), move |connection, count| {
            let key = format!("{turn:x}-{connection}-{count}");
            let path = format!("/v1/runs/{}/tool-calls", runs[connection]);
            post(&path, call(count), &[("authorization", &bearer), ("idempotency-key", &key)])
        })
        .await
    }

    /// What the law is asked in such calls.
    pub async fn inputs(&self) -> Vec<Asked> {
        let run = self.start_run().await;
        for count in 0..100 {
            let call: Value = serde_json::from_str(&call(count)).unwrap();
            self.post(&format!("/v1/runs/{run}/tool-calls"), &call).await;
        }
        let request = self.http.get(format!("http://{}/v1/runs/{run}/events?limit=1000", self.address));
        let page: Value = request.bearer_auth(&self.token).send().await.unwrap().json().await.unwrap();
        let events = page["items"].as_array().unwrap_or_else(|| panic!("{page}"));
        let made = events.iter().filter_map(|event| event["payload"].get("DecisionMade"));
        let asked = made.filter_map(|made| {
            let entrypoint = made["evaluation"]["entrypoint"].as_str()?.to_owned();
            let input = made["input"]["text"].as_str()?.to_owned();
            Some(Asked { entrypoint, input })
        });
        // The first one is that of the run's start.
        let asked: Vec<_> = asked.skip(1).collect();
        assert_eq!(asked.len(), 200);
        asked
    }

    /// Waits until the server has caught up with what it was asked, and leaves the machine to others (Linux).
    pub async fn settled(&self) {
        let Some(process) = self.server.id() else { return };
        let mut before = cpu_ticks(process);
        until("the server rests", async || {
            tokio::time::sleep(LOOK).await;
            let now = cpu_ticks(process);
            (now - std::mem::replace(&mut before, now) < BUSY).then_some(())
        })
        .await;
    }

    /// The most memory the server ever had (Linux).
    pub fn most_memory_mib(&self) -> u64 {
        self.server.id().and_then(peak_mib).map_or(0, |mib| mib as u64)
    }
}

/// The body of a call.
fn call(count: u64) -> String {
    let note = "lorem ipsum ".repeat(ARGUMENTS / 12);
    format!("{{\"tool\":\"note\",\"arguments\":{{\"note\":\"{note}{count}\"}}}}")
}

fn bundle() -> Bundle {
    let stock = Bundle::stock().unwrap();
    let mut data: Value = serde_json::from_str(stock.data()).unwrap();
    for limit in data["config"]["limits"].as_object_mut().unwrap().values_mut().filter(|limit| limit.is_u64()) {
        *limit = json!(ENOUGH);
    }
    let modules = stock.modules().iter().filter(|(path, _)| !path.ends_with("_test.rego"));
    let modules = modules.map(|(path, text)| (path.clone(), text.clone())).collect();
    Bundle::from_parts(modules, &data.to_string()).unwrap()
}

async fn serve(stack: &Stack, folder: &TempDir, roles: &str) -> (Child, SocketAddr) {
    let mut command = Command::new(release_binary());
    command
        .env("XAGENT_DATABASE_URL", stack.postgres_url())
        .env("XAGENT_NATS_URL", stack.nats_url())
        .env("XAGENT_REDIS_URL", stack.redis_url())
        .env("XAGENT_JWT_SECRET", SECRET)
        .env("XAGENT_HOME", folder.path().join("home"))
        .env("XAGENT_LOG", "error")
        // The rate of one principal is what is measured here.
        .args(["--json", "serve", "--listen", "127.0.0.1:0", "--rate-per-minute", "0", "--roles", roles])
        .args(["--requests", "1024", "--requests-per-principal", "1024"])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
    let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"));
    let address = said["url"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    (child, address)
}

async fn token() -> String {
    let mut command = Command::new(release_binary());
    command.env("XAGENT_JWT_SECRET", SECRET).args(["token", "--subject", "bench", "--scope", "*", "--scope", "tool:*"]);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
