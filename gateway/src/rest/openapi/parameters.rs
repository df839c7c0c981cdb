//! Parameters: those of queries from their types, those of paths from one list.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Required, path};

use super::schema::{Way, embedded, generator};
use crate::rest::extract::{Commanding, CommandingRun, Creating, CreatingInRun, Parameters, Wait};

const MOST: u64 = (1 << 53) - 1;
/// Level, index and width of a tile as the tree writes them, each in one way.
const TILE: &str = concat!(
    "^([0-9]|[1-5][0-9]|6[0-3])/((x[0-9]{2}[1-9]|x[0-9][1-9]0|x[1-9]00)/(x[0-9]{3}/){0,4})?[0-9]{3}",
    r"(\.p/([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$",
);

impl<T: JsonSchema> IntoParams for Parameters<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut generator = generator(Way::Read);
        let mut schema = generator.root_schema_for::<T>();
        let definitions = Value::from(generator.take_definitions(true));
        let required = schema.remove("required").unwrap_or_default();
        let Some(Value::Object(properties)) = schema.remove("properties") else { return Vec::new() };
        let is_required = |name: &str| required.as_array().is_some_and(|all| all.iter().any(|one| one == name));
        let parameter = |(name, mut schema): (String, Value)| {
            let said = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let required = if is_required(&name) { Required::True } else { Required::False };
            ParameterBuilder::from(query(&name, required))
                .description(said.as_ref().and_then(Value::as_str))
                .example(schema.get("examples").and_then(|all| all.get(0)).cloned())
                .schema(Some(embedded(without_null(schema), definitions.clone())))
                .build()
        };
        properties.into_iter().map(parameter).collect()
    }
}

/// Where a client of a live stream left off.
pub struct LastEvent;

impl IntoParams for LastEvent {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = embedded(json!({"type": "integer", "minimum": 0, "maximum": MOST}), json!({}));
        let header =
            ParameterBuilder::new().name("Last-Event-ID").parameter_in(ParameterIn::Header).schema(Some(schema));
        vec![header.description(Some("The last `id` received: the stream goes on behind it.")).build()]
    }
}

impl IntoParams for Commanding {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![key(Required::False)]
    }
}

impl IntoParams for Creating {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![key(Required::True)]
    }
}

impl IntoParams for CommandingRun {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![key(Required::False), state()]
    }
}

impl IntoParams for CreatingInRun {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![key(Required::True), state()]
    }
}

impl IntoParams for Wait {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let said = "`wait=SECONDS` (RFC 7240), 10 at most: wait for what becomes of it.";
        vec![header("Prefer", said, json!({"type": "string"}), "wait=5", Required::False)]
    }
}

fn key(required: Required) -> Parameter {
    let said = "Names this command, so that repeating it is safe: the first receipt comes back, marked as such.";
    let schema = json!({"type": "string", "pattern": "^[!-~]{1,200}$"});
    header("Idempotency-Key", said, schema, "5f0c9a3e-8d5b-4c61-9b8e-1a2b3c4d5e6f", required)
}

fn state() -> Parameter {
    let said = "The `ETag` of the run the command is meant for: elsewhere it is refused. `*` is any.";
    let schema = json!({"anyOf": [{"const": "*"}, {"type": "string", "pattern": "^\"[0-9]{1,15}\"$"}]});
    header("If-Match", said, schema, "*", Required::False)
}

fn header(name: &str, said: &str, schema: Value, example: &str, required: Required) -> Parameter {
    let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(required);
    let header = header.description(Some(said)).schema(Some(embedded(schema, json!({}))));
    header.example(Some(example.into())).build()
}

fn query(name: &str, required: Required) -> path::Parameter {
    let mut parameter = Parameter::new(name);
    parameter.parameter_in = ParameterIn::Query;
    parameter.required = required;
    parameter
}

/// A query cannot hold null: what may be null in JSON may be left out of a query.
fn without_null(mut schema: Value) -> Value {
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [one] = kinds.as_slice() {
            schema["type"] = one.clone();
        }
    }
    if let Some(either) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        either.retain(|one| one["type"] != "null");
        if let [one] = either.as_slice() {
            return one.clone();
        }
    }
    if let Some(fields) = schema.as_object_mut() {
        fields.retain(|name, value| name != "default" || !value.is_null());
    }
    schema
}

/// The parameter of a path, wherever it stands: its meaning, schema and example.
pub fn of_path(name: &str) -> Option<Value> {
    let id = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let (said, schema, example) = match name {
        "run" => ("The run.", id("RunId"), "run_01a20ad9e4557094b7b7432819d909fb"),
        "call" => ("The tool call.", id("CallId"), "call_01a20ad9e4a07d1296bfa4a40b5e7f39"),
        "approval" => ("The approval.", id("ApprovalId"), "appr_01a20ad9e4a07d1296bfa4a40b5e7f3a"),
        "key" => ("The api key.", id("ApiKeyId"), "key_01a20ad9e4a07d1296bfa4a40b5e7f3b"),
        "digest" => ("The bundle.", id("Digest"), "4f8a2a5c1f6d0f0d3b8a4f5e6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9f"),
        "code" => ("The code of a kind of problem.", json!({"type": "string", "enum": codes()}), "denied"),
        "tile" => (
            "`LEVEL/INDEX[.p/WIDTH]`, the index in groups of three digits (C2SP tlog-tiles).",
            json!({"type": "string", "pattern": TILE}),
            "0/000.p/49",
        ),
        "upstream" => ("The upstream.", json!({"type": "string"}), "files"),
        "bundle" => ("An entry bundle.", json!({"type": "string"}), "000"),
        _ => return None,
    };
    Some(json!({
        "name": name, "in": "path", "required": true, "description": said, "schema": schema, "example": example,
    }))
}

fn codes() -> Vec<&'static str> {
    crate::problem::ProblemType::ALL.iter().map(|kind| kind.code()).collect()
}

/// The names in a path's template.
pub fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

/// The schemas that parameters of paths refer to.
pub fn definitions() -> Map<String, Value> {
    let mut generator = generator(Way::Read);
    generator.subschema_for::<xagent_domain::RunId>();
    generator.subschema_for::<xagent_domain::CallId>();
    generator.subschema_for::<xagent_domain::ApprovalId>();
    generator.subschema_for::<xagent_domain::Digest>();
    generator.take_definitions(true)
}
