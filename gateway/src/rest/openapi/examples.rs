//! Examples of every operation: what is sent and what is answered.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

static EXAMPLES: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let files = [
        include_str!("examples/runs.json"),
        include_str!("examples/calls.json"),
        include_str!("examples/policies.json"),
        include_str!("examples/keys.json"),
        include_str!("examples/queries.json"),
        include_str!("examples/upstreams.json"),
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
    for (media_type, content) in holder["content"].as_object_mut().into_iter().flatten() {
        let fitting = named.iter().filter(|(name, value)| fits(media_type, name, value));
        let examples: Map<_, _> = fitting.map(|(name, value)| (name.clone(), json!({"value": value}))).collect();
        if !examples.is_empty() {
            content["examples"] = examples.into();
        }
    }
}

/// Whether an example is of a media type: a list as a file is named by its form, other texts are of any that is no JSON.
fn fits(media_type: &str, name: &str, value: &Value) -> bool {
    let form = ["csv", "ndjson"].into_iter().find(|form| media_type.ends_with(form));
    match (form, value.is_string()) {
        (_, false) => form.is_none() && media_type.ends_with("json"),
        (Some(form), true) => name == form || !["csv", "ndjson"].contains(&name),
        (None, true) => !media_type.ends_with("json") && !["csv", "ndjson"].contains(&name),
    }
}
