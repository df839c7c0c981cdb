//! JSON Schemas (2020-12, as OpenAPI 3.1 wants them) of the types that are sent and read.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema as JsonSchemaOf};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType};

/// Where a schema stands until the document is assembled: `utoipa`'s own schemas cannot say all that JSON Schema can.
pub const SCHEMA: &str = "x-json-schema";
/// What that schema refers to.
pub const DEFINITIONS: &str = "x-definitions";

/// Whether a type is read or sent: what may be left out differs.
#[derive(Clone, Copy)]
pub enum Way {
    /// From a request.
    Read,
    /// In an answer.
    Sent,
}

/// The schema of `T`, as a reference where it has a name.
pub fn of<T: JsonSchema + ?Sized>(way: Way) -> RefOr<Schema> {
    let mut generator = generator(way);
    let schema = generator.subschema_for::<T>();
    let definitions = generator.take_definitions(true);
    embedded(schema, definitions.into())
}

/// The schema of `T` itself.
pub fn itself<T: JsonSchema + ?Sized>(way: Way) -> RefOr<Schema> {
    let mut schema = generator(way).into_root_schema_for::<T>();
    schema.remove("$schema");
    let components = schema.remove("components").unwrap_or_default();
    embedded(schema, components.get("schemas").cloned().unwrap_or_default())
}

/// `schema`, to be put in its place when the document is assembled.
pub fn embedded(schema: impl Into<Value>, definitions: Value) -> RefOr<Schema> {
    let extensions = Extensions::from_iter([(SCHEMA, schema.into()), (DEFINITIONS, definitions)]);
    let object = ObjectBuilder::new().schema_type(SchemaType::AnyValue).extensions(Some(extensions));
    RefOr::T(Schema::Object(object.build()))
}

/// A generator whose references fit the document.
pub fn generator(way: Way) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    match way {
        Way::Read => settings.for_deserialize().into_generator(),
        Way::Sent => settings.for_serialize().into_generator(),
    }
}

/// What a schema says of a type, on one line.
pub fn description(schema: &JsonSchemaOf) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The schema of `T` where it is the body of a request.
pub fn body<T: JsonSchema>() -> RefOr<Schema> {
    itself::<T>(Way::Read)
}

/// Bytes without a structure that JSON Schema could tell of.
pub struct Bytes;

impl utoipa::PartialSchema for Bytes {
    fn schema() -> RefOr<Schema> {
        embedded(serde_json::json!({"type": "string", "format": "binary"}), Value::default())
    }
}

impl utoipa::ToSchema for Bytes {}

/// Lets types with a JSON Schema be named as `request_body`.
macro_rules! described {
    ($($name:ident),+ $(,)?) => {$(
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::rest::openapi::body::<Self>()
            }
        }

        impl utoipa::ToSchema for $name {}
    )+};
}
pub(crate) use described;
