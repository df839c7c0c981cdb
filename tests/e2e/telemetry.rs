//! Traces and logs: one trace from the request to the view, over both protocols of OTLP; nothing secret in it; nothing that
//! waits for a receiver.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Child;
use xagent_tests::{ChatServer, PATIENCE, Script};

use crate::receivers::{OtlpReceiver, Seen};
use crate::world::{Api, SlowServer, World, until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A name that must not be in any span.
const PRIVATE: &str = "private-notes-4711.md";

async fn world(settings: &[(&str, &str)]) -> World {
    let mut world = World::new().await;
    world.restart_with(|server| _ = server.envs(settings.iter().copied())).await;
    world
}

/// A command in the trace of a caller.
async fn traced(api: &Api, path: &str, body: &Value) -> Value {
    let request = api.command(path).header("traceparent", format!("00-{TRACE}-{CALLER}-01")).json(body);
    api.answer(request).await.expect(201)
}

/// Waits until the trace has spans of all these names, and gives it.
async fn spans(otlp: &OtlpReceiver, names: &[&str]) -> Vec<Seen> {
    let wanted: BTreeSet<&str> = names.iter().copied().collect();
    until("the trace has every span", async || {
        let spans = otlp.trace(TRACE);
        let found: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        wanted.is_subset(&found).then(|| spans.clone())
    })
    .await
}

fn named<'a>(spans: &'a [Seen], name: &str) -> &'a Seen {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

/// Every span but the caller's is in the trace, and hangs together with the others.
fn is_whole(spans: &[Seen]) {
    let known: BTreeSet<&str> = spans.iter().map(|span| span.span.as_str()).chain([CALLER]).collect();
    for span in spans {
        assert!(known.contains(span.parent.as_str()), "{span:#?} hangs on nothing");
        assert_eq!((span.service.as_str(), span.events.len()), ("xagent", 0), "{span:#?}");
    }
}

fn tells_nothing(otlp: &OtlpReceiver, secrets: &[&str]) {
    let told = format!("{:?}", otlp.spans());
    for secret in secrets {
        assert!(!told.contains(secret), "{secret}");
    }
}

/// What a governed tool call is made of, from the request to the view.
pub const PATH: [&str; 8] = [
    "POST /v1/runs",
    "xagent.decide",
    "xagent.append",
    "invoke_agent",
    "plan",
    "execute_tool",
    "xagent.relay",
    "xagent.view",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_governed_tool_call_is_one_trace_from_the_request_to_the_view() {
    let otlp = OtlpReceiver::http().await;
    let world = world(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &otlp.url()), ("OTEL_BSP_SCHEDULE_DELAY", "100")]).await;
    std::fs::write(world.workspace.join(PRIVATE), "what nobody is to read").unwrap();
    let alice = world.everything("alice");
    let steps = json!([{"id": "read", "tool": "read_file", "arguments": {"path": PRIVATE}}]);
    let body = json!({"agent": "reader", "goal": "g", "plan": {"steps": steps}, "workspace": world.workspace});
    let run = traced(&alice, "/v1/runs", &body).await["run"].as_str().unwrap().to_owned();
    assert_eq!(alice.run_ended(&run).await["status"], "completed");

    let spans = until("every event is followed into the view", async || {
        let (spans, events) = (spans(&otlp, &PATH).await, alice.events(&run).await.len());
        let viewed = spans.iter().filter(|span| span.name == "xagent.view").count();
        (viewed == events && spans.iter().filter(|span| span.name == "invoke_agent").count() == 1).then_some(spans)
    })
    .await;
    is_whole(&spans);
    let request = named(&spans, "POST /v1/runs");
    assert_eq!((request.parent.as_str(), request.attributes["http.response.status_code"].as_str()), (CALLER, "201"));
    let agent = named(&spans, "invoke_agent");
    assert_eq!((&agent.parent, agent.attributes["gen_ai.agent.name"].as_str()), (&request.span, "reader"));
    assert_eq!(agent.attributes["gen_ai.conversation.id"], run);
    let tool = named(&spans, "execute_tool");
    assert_eq!((&tool.parent, tool.attributes["gen_ai.tool.name"].as_str()), (&agent.span, "read_file"));
    assert_eq!(named(&spans, "plan").parent, agent.span);
    let decided = spans
        .iter()
        .find(|span| span.attributes.get("xagent.entrypoint").is_some_and(|e| e == "xagent/tools/decision"));
    assert_eq!(decided.unwrap().attributes["xagent.verdict"], "allow");
    let is_relay = |id: &str| spans.iter().any(|span| span.name == "xagent.relay" && span.span == id);
    assert!(spans.iter().filter(|span| span.name == "xagent.view").all(|span| is_relay(&span.parent)));

    // What is recorded says where in the trace it came to be.
    let known: BTreeSet<&str> = spans.iter().map(|span| span.span.as_str()).collect();
    for event in alice.events(&run).await {
        let parts: Vec<_> = event["metadata"]["traceparent"].as_str().unwrap().split('-').collect();
        assert!(parts[1] == TRACE && known.contains(parts[2]) && parts[3] == "01", "{event:#}");
    }
    tells_nothing(&otlp, &[PRIVATE, "what nobody is to read", alice.bearer()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_asked_in_the_same_trace_and_grpc_carries_it() {
    let otlp = OtlpReceiver::grpc().await;
    let model = ChatServer::start(Script::parse(include_str!("../data/chat/repo_review.json")).unwrap()).await;
    let (url, to) = (model.url(), otlp.url());
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", to.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("XAGENT_MODEL_URL", &url),
        ("XAGENT_MODEL_KEY", "sk-telemetry-test"),
        ("XAGENT_MODEL", "scripted"),
    ];
    let world = world(&settings).await;
    let alice = world.everything("alice");
    let body = json!({"agent": "a", "goal": "review this folder and write a report", "planner": {"chat": {}}, "workspace": world.workspace});
    traced(&alice, "/v1/runs", &body).await;
    let spans = spans(&otlp, &["POST /v1/runs", "plan", "chat", "execute_tool", "xagent.view"]).await;
    let chat = named(&spans, "chat");
    assert_eq!(chat.attributes["gen_ai.request.model"], "scripted");
    assert!(chat.attributes["gen_ai.usage.input_tokens"].parse::<u64>().unwrap() > 0);
    assert!(spans.iter().any(|span| span.name == "plan" && span.span == chat.parent));
    tells_nothing(&otlp, &["sk-telemetry-test", "review this folder", alice.bearer()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_holds_up_neither_commands_nor_the_end() {
    let deaf = SlowServer::start().await;
    let world = World::new().await;
    let to = deaf.url();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", to.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
    ];
    let (server, url): (Child, String) = world.server_with(|server| _ = server.envs(settings)).await;
    let alice = Api::new(&url, "default", "alice", &["*", "tool:*"], &[]);
    for _ in 0..50 {
        alice.start_client_run().await;
    }
    until("spans were sent", async || (deaf.hits() > 0).then_some(())).await;
    let pid = server.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut server = server;
    assert!(tokio::time::timeout(PATIENCE, server.wait()).await.unwrap().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_sent_at_the_end() {
    let otlp = OtlpReceiver::http().await;
    let world = World::new().await;
    let never = Duration::from_secs(3600).as_millis().to_string();
    let to = otlp.url();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", to.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", never.as_str()),
        ("OTEL_SERVICE_NAME", "another"),
    ];
    let (mut server, url) = world.server_with(|server| _ = server.envs(settings)).await;
    Api::new(&url, "default", "alice", &["*"], &[]).start_client_run().await;
    assert_eq!(otlp.spans().len(), 0);
    let pid = server.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(tokio::time::timeout(PATIENCE, server.wait()).await.unwrap().unwrap().success());
    let sent = otlp.spans();
    assert!(sent.iter().any(|span| span.name == "POST /v1/runs" && span.service == "another"), "{sent:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_log_in_a_span_has_its_ids_at_the_top() {
    let mut world = World::new().await;
    let log = world.workspace.with_file_name("server.log");
    world
        .restart_with(|server| {
            server
                .env("XAGENT_LOG", "xagent_gateway=debug,xagent_commands=debug")
                .stderr(std::fs::File::create(&log).unwrap());
        })
        .await;
    let alice = world.everything("alice");
    for _ in 0..20 {
        alice.start_client_run().await;
    }
    let run = traced(&alice, "/v1/runs", &json!({"agent": "a", "goal": "g"})).await["run"].clone();
    let answered = until("the request is in the log", async || {
        let text = std::fs::read_to_string(&log).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
        let requests = lines.iter().filter(|line| line["target"] == "xagent_gateway::telemetry::spans");
        let mut missing = requests.filter(|line| line["span_id"].as_str().is_none_or(|id| id.len() != 16));
        assert_eq!(missing.next(), None);
        lines.into_iter().find(|line| line["trace_id"] == TRACE)
    })
    .await;
    assert_eq!(
        (&answered["fields"]["message"], &answered["fields"]["status"]),
        (&json!("request.answered"), &json!(201))
    );
    assert_eq!(
        (&answered["level"], &answered["span"]["http.route"]),
        (&json!("DEBUG"), &json!("/v1/runs")),
        "{answered:#}"
    );
    // Nothing is exported here: the ids are there all the same, and are those that were recorded.
    let recorded = alice.events(run.as_str().unwrap()).await[0]["metadata"]["traceparent"].clone();
    assert_eq!(recorded, format!("00-{TRACE}-{}-00", answered["span_id"].as_str().unwrap()));
    assert!(answered["timestamp"].as_str().unwrap().ends_with('Z'));
    let bad = world
        .server_fails(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "smoke"),
        ])
        .await;
    assert!(bad.contains("OTEL_EXPORTER_OTLP_PROTOCOL: `smoke` is neither `grpc` nor `http/protobuf`"), "{bad}");
}
