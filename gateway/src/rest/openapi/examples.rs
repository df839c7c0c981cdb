//! Examples of every operation: what is sent and what is answered.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

static EXAMPLES: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let files = [
        include_str!("examples/runs.json"),
        include_str!("examples/calls.json"),
        include_str!("examples/policies.json"),
        include_str!("examples/ledger.json"),
        include_str!("examples/service.json"),
    ];
    files.iter().filter_map(|text| serde_json::from_str::<Map<String, Value>>(text).ok()).flatten().collect()
});

/// Adds what the files hold for the operation: `request` and `answer`, by name.
pub fn add(operation: &mut Value) {
    let Some(told) = operation["operationId"].as_str().and_then(|id| EXAMPLES.get(id)) else { return };
    if let Some(body) = operation.get_mut("requestBody") {
        into_content(body, &told["request"]);
    }
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    for (_, response) in responses.into_iter().flatten().filter(|(status, _)| status.starts_with('2')) {
        into_content(response, &told["answer"]);
    }
}

fn into_content(holder: &mut Value, named: &Value) {
    let Some(named) = named.as_object() else { return };
    let examples: Map<_, _> = named.iter().map(|(name, value)| (name.clone(), json!({"value": value}))).collect();
    for (_, content) in holder["content"].as_object_mut().into_iter().flatten() {
        content["examples"] = examples.clone().into();
    }
}
