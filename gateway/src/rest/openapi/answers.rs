//! What a route answers when all goes well.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::JsonSchema;
use utoipa::IntoResponses;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ContentBuilder, RefOr, Response, ResponseBuilder};

use super::schema::{Way, description, embedded, generator, of};

/// 200 with a `T` as JSON.
pub struct Shown<T>(PhantomData<T>);

/// 201 with a `T` as JSON: something was recorded.
pub struct Recorded<T>(PhantomData<T>);

/// 201 with a `T` as JSON, and where to read what was created.
pub struct Created<T>(PhantomData<T>);

impl<T: JsonSchema> IntoResponses for Shown<T> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([("200".to_owned(), RefOr::T(json::<T>().build()))])
    }
}

impl<T: JsonSchema> IntoResponses for Recorded<T> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([("201".to_owned(), RefOr::T(json::<T>().build()))])
    }
}

impl<T: JsonSchema> IntoResponses for Created<T> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let uri = embedded(serde_json::json!({"type": "string", "format": "uri-reference"}), Default::default());
        let location = HeaderBuilder::new().schema(Some(uri)).description(Some("Where to read it.")).build();
        BTreeMap::from([("201".to_owned(), RefOr::T(json::<T>().header("Location", location).build()))])
    }
}

/// A `T` as JSON.
pub(super) fn json<T: JsonSchema>() -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(of::<T>(Way::Sent))).build();
    let text = description(&generator(Way::Sent).into_root_schema_for::<T>());
    ResponseBuilder::new().description(text).content("application/json", content)
}
