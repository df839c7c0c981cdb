//! From what the routes say of themselves to the document: schemas in their places, parameters of paths, examples.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::schema::{DEFINITIONS, SCHEMA, Way, generator};
use super::{examples, parameters, problems};

/// The document of these routes (OpenAPI 3.1).
pub fn document(routes: &OpenApi) -> Value {
    let mut document = serde_json::to_value(routes).unwrap_or_default();
    let mut schemas = Map::new();
    hoist(&mut document, &mut schemas);
    if let Some(Value::Object(named)) = document.pointer_mut("/components/schemas").map(Value::take) {
        schemas.extend(named);
    }
    schemas.extend(parameters::definitions());
    schemas.extend(problem());
    let mut paths = document.get_mut("paths").map(Value::take).unwrap_or_default();
    if let Some(paths) = paths.as_object_mut() {
        *paths = std::mem::take(paths).into_iter().map(|(path, item)| described(&path, item)).collect();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "X-Agent",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Governs AI agents and keeps the proof.",
            "description": include_str!("introduction.md"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": tags(),
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "examples": problems::examples(),
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A signed token (RFC 7519) with `scope`, `tenant` and `roles`.",
                },
            },
        },
    })
}

/// Puts every embedded schema in its place, and what it refers to among the named ones.
fn hoist(value: &mut Value, named: &mut Map<String, Value>) {
    if let Some(embedded) = value.get_mut(SCHEMA).map(Value::take) {
        if let Some(Value::Object(definitions)) = value.get_mut(DEFINITIONS).map(Value::take) {
            named.extend(definitions);
        }
        *value = embedded;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| hoist(item, named)),
        Value::Object(fields) => fields.values_mut().for_each(|field| hoist(field, named)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A path as the document writes it, with its parameters, and each operation with its examples.
fn described(path: &str, mut item: Value) -> (String, Value) {
    let path = path.replace("{*", "{");
    for operation in item.as_object_mut().into_iter().flat_map(|item| item.values_mut()) {
        let of_path = parameters::names(&path).filter_map(parameters::of_path);
        let given = operation.get_mut("parameters").map(Value::take).unwrap_or_default();
        let given = given.as_array().cloned().unwrap_or_default();
        let all: Vec<_> = of_path.chain(given).collect();
        operation["parameters"] = all.into();
        if operation.get("security") == Some(&json!([{}])) {
            operation["security"] = json!([]);
        }
        examples::add(operation);
    }
    (path, item)
}

fn problem() -> Map<String, Value> {
    let mut generator = generator(Way::Sent);
    generator.subschema_for::<crate::problem::Problem>();
    generator.take_definitions(true)
}

fn tags() -> Value {
    json!([
        {"name": "Runs", "description": "One pursuit of a goal by an agent."},
        {"name": "Tool calls", "description": "Proposed, decided, approved where asked, started, completed."},
        {"name": "Approvals", "description": "What a person answers before a call may start."},
        {"name": "Tools", "description": "What agents may call, and how the law sees it."},
        {"name": "Policies", "description": "The law: bundles of Rego modules and data."},
        {"name": "Decisions", "description": "OPA's decision logs, in and out."},
        {"name": "Live", "description": "Events as they are committed."},
        {"name": "Ledger", "description": "What a stranger needs to check a receipt. Hashes only, never payloads."},
        {"name": "Evidence", "description": "A run in one file that a stranger can examine."},
        {"name": "Service", "description": "Health, errors, this description."},
    ])
}
