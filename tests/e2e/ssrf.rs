//! URLs that lead inside, however they are spelt, are refused before a packet leaves.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use xagent_commands::{
    Caller, Commands, CommandsOptions, Executor, Law, NoQueue, PlannerRequest, Resolver, Resolving, RunRequest,
    ToolSettings, Toolkit, Worker, WorkerOptions,
};
use xagent_domain::run::{Priority, Run, RunStatus};
use xagent_domain::{Limits, Principal, Tenant};
use xagent_policies::{Bundle, Embedded};
use xagent_tests::Now;

use crate::law::{bundle, enact};
use crate::world::{Bare, Trap, World, output, until};

/// URLs, and the code they are refused with. `PORT` is that of a listener on every address of loopback.
const TRICKS: &[(&str, &str)] = &[
    // Loopback, spelt plainly and otherwise (inet_aton, RFC 4291).
    ("http://127.0.0.1:PORT/", "network_blocked"),
    ("http://127.1:PORT/", "network_blocked"),
    ("http://127.0.1:PORT/", "network_blocked"),
    ("http://127.255.255.254:PORT/", "network_blocked"),
    ("http://2130706433:PORT/", "network_blocked"),
    ("http://0x7f000001:PORT/", "network_blocked"),
    ("http://0x7f.0.0.1:PORT/", "network_blocked"),
    ("http://0177.0.0.1:PORT/", "network_blocked"),
    ("http://017700000001:PORT/", "network_blocked"),
    ("http://0x7f.1:PORT/", "network_blocked"),
    ("http://127.0.0.1.:PORT/", "network_blocked"),
    ("http://１２７.0.0.1:PORT/", "network_blocked"),
    ("http://①②⑦.⓪.⓪.①:PORT/", "network_blocked"),
    ("http://127。0。0。1:PORT/", "network_blocked"),
    ("http://[::1]:PORT/", "network_blocked"),
    ("http://[0:0:0:0:0:0:0:1]:PORT/", "network_blocked"),
    ("http://[::ffff:127.0.0.1]:PORT/", "network_blocked"),
    ("http://[::ffff:7f00:1]:PORT/", "network_blocked"),
    ("http://[::127.0.0.1]:PORT/", "network_blocked"),
    ("http://[64:ff9b::127.0.0.1]:PORT/", "network_blocked"),
    ("http://[64:ff9b:1::7f00:1]:PORT/", "network_blocked"),
    ("http://[2002:7f00:1::]:PORT/", "network_blocked"),
    ("http://[2001:0:7f00:1::1]:PORT/", "network_blocked"),
    ("http://0.0.0.0:PORT/", "network_blocked"),
    ("http://0:PORT/", "network_blocked"),
    ("http://[::]:PORT/", "network_blocked"),
    // Names of this host.
    ("http://localhost:PORT/", "network_host"),
    ("http://LOCALHOST:PORT/", "network_host"),
    ("http://localhost.:PORT/", "network_host"),
    ("http://app.localhost:PORT/", "network_host"),
    ("http://ⓛocalhost:PORT/", "network_host"),
    ("http://localhost.localdomain:PORT/", "network_host"),
    // The inside of a cloud.
    ("http://169.254.169.254/latest/meta-data/", "network_blocked"),
    ("http://2852039166/", "network_blocked"),
    ("http://[fd00:ec2::254]/", "network_blocked"),
    ("http://[fe80::1]/", "network_blocked"),
    ("http://metadata.google.internal/", "network_host"),
    ("http://metadata/", "network_host"),
    ("http://kubernetes.default.svc.cluster.local/", "network_host"),
    // Networks that are nobody's on the outside.
    ("http://10.0.0.1/", "network_blocked"),
    ("http://172.16.0.1/", "network_blocked"),
    ("http://192.168.1.1/", "network_blocked"),
    ("http://100.64.0.1/", "network_blocked"),
    ("http://198.18.0.1/", "network_blocked"),
    ("http://224.0.0.1/", "network_blocked"),
    ("http://255.255.255.255/", "network_blocked"),
    ("http://[ff02::1]/", "network_blocked"),
    ("http://[2001:db8::1]/", "network_blocked"),
    // Two readers would read two hosts.
    ("http://example.com@127.0.0.1:PORT/", "invalid_url"),
    ("http://example.com:80@127.0.0.1:PORT/", "invalid_url"),
    ("http://127.0.0.1:PORT\\@example.com/", "invalid_url"),
    ("http://127.0.0.1:PORT%2f@example.com/", "invalid_url"),
    ("http://127.0.0.1%00.example.com:PORT/", "invalid_url"),
    ("http://127.0.0.1%2eexample.com:PORT/", "invalid_url"),
    ("http://127.0.0.1:PORT#@example.com/", "network_blocked"),
    ("http://127.0.0.1:PORT?@example.com/", "network_blocked"),
    ("http:/127.0.0.1:PORT/", "invalid_url"),
    ("http:127.0.0.1:PORT/", "invalid_url"),
    ("http:///127.0.0.1:PORT/", "invalid_url"),
    ("//127.0.0.1:PORT/", "invalid_url"),
    ("http://127.0.0.1:PORT/\r\nHost: example.com", "invalid_url"),
    ("http://example.com\r\n.127.0.0.1:PORT/", "invalid_url"),
    (" http://127.0.0.1:PORT/", "invalid_url"),
    ("http://local\thost:PORT/", "invalid_url"),
    ("http://local\u{200b}host:PORT/", "invalid_url"),
    ("http://[fe80::1%25lo]:PORT/", "invalid_url"),
    ("http://[::1%lo]:PORT/", "invalid_url"),
    ("http://127.0.0.1:PORT:80/", "invalid_url"),
    ("http://127.0.0.1:0/", "invalid_url"),
    // Other schemes.
    ("file:///etc/passwd", "invalid_url"),
    ("gopher://127.0.0.1:PORT/_x", "network_scheme"),
    ("ftp://127.0.0.1:PORT/", "network_scheme"),
    ("ws://127.0.0.1:PORT/", "network_scheme"),
    ("unix:///var/run/docker.sock", "invalid_url"),
    ("data:text/html,x", "invalid_url"),
    ("jar:http://127.0.0.1:PORT/!/", "invalid_url"),
];

#[tokio::test(flavor = "multi_thread")]
async fn however_a_url_is_spelt_nothing_inside_is_reached() {
    let world = World::new().await;
    let alice = world.everything("alice");
    // Every address of loopback, of both families where this host has both.
    let everywhere = if std::net::TcpListener::bind("[::]:0").is_ok() { "::" } else { "0.0.0.0" };
    let trap = Trap::answering(everywhere, 0, "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ncaught").await;
    let direction =
        format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\n\r\n", trap.port);
    let redirecting = Trap::answering("127.0.0.1", 0, direction).await;
    let allowed = format!("127.0.0.1:{}", redirecting.port);
    // The port alone would be refused otherwise, and nothing would be said of the address.
    enact(&alice, |body| {
        let network = &mut body["data"]["config"]["network"];
        network["ports"].as_array_mut().unwrap().push(json!(trap.port));
        network["allowed_endpoints"] = json!([allowed]);
    })
    .await;
    assert!(TRICKS.len() >= 40);
    let run = alice.start_client_run().await;
    let path = format!("/v1/runs/{run}/tool-calls");
    let mut wrong = Vec::new();
    for (url, code) in TRICKS {
        let url = url.replace("PORT", &trap.port.to_string());
        let answer = alice.post(&path, &json!({"tool": "http_fetch", "arguments": {"url": url}})).await.expect(201);
        let codes: Vec<_> = answer["deny"].as_array().unwrap().iter().map(|reason| reason["code"].clone()).collect();
        if answer["status"] != "denied" || !codes.contains(&json!(code)) {
            wrong.push(format!("{url}: {} {codes:?}, not {code}", answer["status"]));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(alice.count(&run, "ToolCallStarted").await, 0);

    // A place that may be reached points inside: it is said, and not followed; whoever follows it is judged again.
    let steps = json!([
        {"id": "there", "tool": "http_fetch", "arguments": {"url": format!("http://{allowed}/")}},
        {"id": "further", "tool": "http_fetch", "arguments": {"url": "{{there.output.location}}"}},
    ]);
    let run = alice.start_plan(steps, &world.workspace).await;
    let ended = alice.run_ended(&run).await;
    assert_eq!(output(&ended, "there")["status"], 302, "the allowed place is reached: {ended:#}");
    assert_eq!(ended["state"]["results"]["further"]["reasons"][0]["code"], "network_blocked");
    assert_eq!((redirecting.connections(), trap.connections()), (1, 0));
}

/// A name server that changes its mind: each question is answered with the next of its answers.
#[derive(Debug)]
struct Rebinding {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Resolver for Rebinding {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers[number.min(self.answers.len() - 1)].clone();
        Box::pin(std::future::ready(answer))
    }
}

/// Fetches `url` in a run of its own, resolved by `resolver` under a law for which 127.0.0.1 is outside and 127.0.0.2 inside.
async fn fetched(bare: &Bare, resolver: Arc<Rebinding>, port: u16) -> Run {
    let body = bundle(|body| {
        let network = &mut body["data"]["config"]["network"];
        network["ports"] = json!([port]);
        network["blocked_ipv4"] = json!(["127.0.0.2/32"]);
    });
    let modules = serde_json::from_value(body["modules"].clone()).unwrap();
    let law_bundle = Bundle::from_parts(modules, &body["data"].to_string()).unwrap();
    let limits = Limits { timeout_ms: 5000 };
    let engine = Arc::new(Embedded::new(limits));
    let executor = Executor::new(bare.ledger.clone(), Law::new(engine.clone(), limits, 4), Arc::new(Now));
    let options = CommandsOptions {
        workspaces: Vec::new(),
        approval_ttl_us: 60_000_000,
        resolver,
        model: None,
        upstream_programs: Vec::new(),
        kit: None,
    };
    let commands = Commands::new(executor, engine, options);
    commands.bring_law_into_force(law_bundle).await.unwrap();
    let tenant = Tenant::default_tenant();
    let scopes = ["*", "tool:*"].map(str::to_owned).into();
    let principal = Principal { id: "alice".to_owned(), tenant: tenant.clone(), scopes, roles: [].into() };
    let caller = Caller { principal, traceparent: String::new(), key: None, credential: None };
    let url = format!("http://rebinding.example:{port}/");
    let plan = json!({"steps": [{"id": "fetch", "tool": "http_fetch", "arguments": {"url": url}}]});
    let planner = PlannerRequest::Scripted(serde_json::from_value(plan).unwrap());
    let request =
        RunRequest { agent: "a".into(), goal: "g".into(), planner, workspace: None, priority: Priority::Normal };
    let run = commands.start_run(&caller, request).await.unwrap().run.to_string();
    let kit = Toolkit::new(ToolSettings::default(), Err(xagent_sandbox::SandboxError::Stopped));
    let stop = CancellationToken::new();
    let worker =
        tokio::spawn(Worker::new(commands, kit, WorkerOptions::default()).run(Arc::new(NoQueue), stop.clone()));
    let ended = until("the run has ended", async || {
        let run = bare.ledger.load::<Run>(&tenant, &run).await.unwrap().state;
        (run.status() != RunStatus::Running).then_some(run)
    })
    .await;
    stop.cancel();
    worker.await.unwrap();
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_resolved_once_and_the_connection_goes_to_the_address_that_was_decided_on() {
    let [outside, inside]: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let good = Trap::answering("127.0.0.1", 0, answer).await;
    let trap = Trap::answering("127.0.0.2", good.port, answer).await;
    let cases: [(&[&[IpAddr]], &str, usize); 5] = [
        (&[&[outside], &[inside]], "succeeded", 1),
        (&[&[inside], &[outside]], "denied", 0),
        (&[&[outside, inside], &[outside]], "denied", 0),
        (&[&["::ffff:127.0.0.2".parse().unwrap()], &[outside]], "denied", 0),
        (&[&[], &[outside]], "denied", 0),
    ];
    let mut reached = 0;
    for (answers, status, connections) in cases {
        let bare = Bare::new().await;
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        let resolver = Arc::new(Rebinding { answers, asked: AtomicUsize::new(0) });
        let run = fetched(&bare, resolver.clone(), good.port).await;
        let result = serde_json::to_value(run.results().get("fetch").unwrap()).unwrap();
        assert_eq!(result["status"], status, "{result:#}");
        reached += connections;
        assert_eq!((good.connections(), trap.connections()), (reached, 0));
        assert_eq!(resolver.asked.load(Ordering::SeqCst), 1, "a name is resolved once");
    }
}
