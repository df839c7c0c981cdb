//! Lists as the API describes itself: parameters, rows and files, from what the rows say of themselves.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ContentBuilder, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, PartialSchema};
use xagent_projections::{Column, Kind, Listed, Test};

use super::Page;
use super::parameters::{Asking, MOST, PAGE};
use crate::export::Format;
use crate::rest::openapi::{Bytes, embedded, json_of};

/// 200 with a page of a list of `R`, or all of it as a file.
pub struct Listing<R>(PhantomData<R>);

impl<R: Listed> IntoResponses for Listing<R> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let files = Format::NAMES.map(|(_, format)| format).into_iter().filter(|format| *format != Format::Json);
        let said = "Every event up to this position is in the answer.";
        let position =
            utoipa::openapi::header::HeaderBuilder::new().schema(Some(embedded(json!({"type": "string"}), json!({}))));
        let page = json_of::<Page<R>>().header("X-Position", position.description(Some(said)).build());
        let response = files.fold(page, |response: ResponseBuilder, format| {
            let media_type = format.media_type().split(';').next().unwrap_or_default();
            response.content(media_type, ContentBuilder::new().schema(Some(Bytes::schema())).build())
        });
        BTreeMap::from([("200".to_owned(), RefOr::T(response.build()))])
    }
}

impl<R: Listed> IntoParams for Asking<R> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let filters = R::FILTERS.iter().map(|filter| {
            let text = match filter.values {
                [] => json!({"type": "string", "minLength": 1, "maxLength": 1000}),
                values => json!({"type": "string", "enum": values}),
            };
            let schema = match filter.test {
                Test::Since(_) | Test::Until(_) => json!({"type": "string", "format": "date-time"}),
                Test::Is(_) | Test::Holds(_) | Test::Mentions(_) => {
                    json!({"type": "array", "items": text, "minItems": 1, "maxItems": 50})
                }
            };
            parameter(ParameterIn::Query, filter.name, &format!("Only those {}.", filter.about), schema)
        });
        filters.chain(common()).collect()
    }
}

/// What every list knows.
fn common() -> Vec<Parameter> {
    let formats = Format::NAMES.map(|(name, _)| name);
    let integer = |minimum: u64, maximum: u64| json!({"type": "integer", "minimum": minimum, "maximum": maximum});
    let limit =
        format!("Rows at most; {PAGE} in a page unless given, and {MOST} at most. A file has all unless given.");
    let query = |name, said, schema| parameter(ParameterIn::Query, name, said, schema);
    vec![
        query("cursor", "`next` of the page before, with the same filters and order.", json!({"type": "string"})),
        query(
            "format",
            "A page, or all of it as a file; it wins over `Accept`.",
            json!({"type": "string", "enum": formats}),
        ),
        query("limit", &limit, integer(1, MOST.into())),
        query(
            "min_position",
            "Wait until every event up to here is in: take one of a receipt.",
            integer(0, (1 << 53) - 1),
        ),
        query("order", "The youngest first, or the oldest.", json!({"type": "string", "enum": ["newest", "oldest"]})),
        parameter(
            ParameterIn::Header,
            "Prefer",
            "`wait=SECONDS` (RFC 7240): how long to wait for `min_position`, 10 at most.",
            json!({"type": "string"}),
        ),
    ]
}

fn parameter(within: ParameterIn, name: &str, said: &str, schema: Value) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(within).description(Some(said));
    parameter.schema(Some(embedded(schema, json!({})))).build()
}

impl<R: Listed> JsonSchema for Page<R> {
    fn schema_name() -> Cow<'static, str> {
        let words = R::NAME.split('_').map(|word| {
            word.chars().next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + &word[1..])
        });
        format!("PageOf{}", words.collect::<String>()).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let position = "Every event up to here is in the answer.";
        let next = "Pass it as `cursor` for the next page; none on the last one.";
        let schema = json!({
            "type": "object", "description": "A page.", "additionalProperties": false,
            "properties": {
                "items": rows::<R>(),
                "next": {"type": ["string", "null"], "description": next},
                "position": {"type": "integer", "minimum": 0, "description": position},
            },
            "required": ["items", "next", "position"],
        });
        Schema::try_from(schema).unwrap_or_default()
    }
}

/// Rows of `R`.
fn rows<R: Listed>() -> Value {
    let row = json!({
        "type": "object", "description": R::ABOUT, "additionalProperties": false,
        "properties": R::COLUMNS.iter().map(|column| (column.name.to_owned(), property::<R>(column))).collect::<Map<_, _>>(),
        "required": R::COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>(),
    });
    json!({"type": "array", "items": row})
}

/// The schema of rows of `R`.
pub fn schema_of_rows<R: Listed>(_: &mut SchemaGenerator) -> Schema {
    Schema::try_from(rows::<R>()).unwrap_or_default()
}

fn property<R: Listed>(column: &Column) -> Value {
    let mut schema = match column.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Time => json!({"type": "string", "format": "date-time"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Json => json!({"type": "object"}),
    };
    let same = |test: &Test| matches!(test, Test::Is(name) if *name == column.name);
    if let Some(filter) = R::FILTERS.iter().find(|filter| same(&filter.test) && !filter.values.is_empty()) {
        schema["enum"] = json!(filter.values);
    }
    if column.optional {
        schema["type"] = json!([schema["type"], "null"]);
    }
    schema["description"] = json!(column.about);
    schema
}
