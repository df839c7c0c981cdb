//! A trace in a real Jaeger, asked back by its query API: the whole path of a governed tool call.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use xagent_tests::JaegerProcess;

use crate::telemetry::PATH;
use crate::world::{World, until};

const TRACE: &str = "5af7651916cd43dd8448eb211c80319d";

/// The spans of a trace, as Jaeger gives them.
async fn asked(jaeger: &JaegerProcess) -> Option<Vec<Value>> {
    let answer = reqwest::get(format!("{}/api/traces/{TRACE}", jaeger.query())).await.ok()?;
    let answer: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    answer["data"][0]["spans"].as_array().cloned()
}

fn parent(span: &Value) -> &str {
    let references = span["references"].as_array().unwrap();
    references.iter().find(|it| it["refType"] == "CHILD_OF").and_then(|it| it["spanID"].as_str()).unwrap_or_default()
}

fn tag<'a>(span: &'a Value, name: &str) -> &'a Value {
    let tags = span["tags"].as_array().unwrap();
    tags.iter().find(|tag| tag["key"] == name).map_or(&Value::Null, |tag| &tag["value"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_jaeger_shows_the_whole_path_of_a_governed_tool_call() {
    let Some(jaeger) = JaegerProcess::start("a_real_jaeger_shows_the_whole_path_of_a_governed_tool_call") else {
        return;
    };
    until("Jaeger answers", async || reqwest::get(format!("{}/api/services", jaeger.query())).await.ok()).await;
    let mut world = World::new().await;
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    world.restart_with(|server| _ = server.envs(settings)).await;
    std::fs::write(world.workspace.join("README.md"), "# Sample\n").unwrap();
    let alice = world.everything("alice");
    let steps = json!([{"id": "read", "tool": "read_file", "arguments": {"path": "README.md"}}]);
    let body = json!({"agent": "reader", "goal": "g", "plan": {"steps": steps}, "workspace": world.workspace});
    let request = alice.command("/v1/runs").header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"));
    let run = alice.answer(request.json(&body)).await.expect(201)["run"].as_str().unwrap().to_owned();
    assert_eq!(alice.run_ended(&run).await["status"], "completed");

    let events = alice.events(&run).await.len();
    let spans = until("Jaeger has the whole path", async || {
        let spans = asked(&jaeger).await?;
        let named = |name: &str| spans.iter().filter(|span| span["operationName"] == name).count();
        (PATH.iter().all(|name| named(name) > 0) && named("xagent.view") == events).then(|| spans.clone())
    })
    .await;
    let by_id: BTreeMap<&str, &Value> = spans.iter().map(|span| (span["spanID"].as_str().unwrap(), span)).collect();
    let above = |span: &Value| {
        let (mut names, mut at) = (Vec::new(), parent(span));
        while let Some(span) = by_id.get(at) {
            names.push(span["operationName"].as_str().unwrap());
            at = parent(span);
        }
        names
    };
    for span in &spans {
        let root = above(span).last().copied().unwrap_or_default();
        assert!(span["operationName"] == PATH[0] || root == PATH[0], "{span:#} does not hang on the request");
    }
    let named = |name: &str| spans.iter().find(|span| span["operationName"] == name).unwrap();
    assert_eq!(above(named("execute_tool")), ["invoke_agent", "POST /v1/runs"]);
    assert_eq!(tag(named("execute_tool"), "gen_ai.tool.name"), "read_file");
    assert_eq!(above(named("xagent.view"))[0], "xagent.relay");
    let verdicts: BTreeSet<_> = spans.iter().filter_map(|span| tag(span, "xagent.verdict").as_str()).collect();
    assert_eq!(verdicts, BTreeSet::from(["allow"]));
}
