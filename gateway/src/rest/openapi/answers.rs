//! What a route answers when all goes well.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::JsonSchema;
use utoipa::IntoResponses;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::{ContentBuilder, RefOr, Response, ResponseBuilder};

use super::schema::{Way, description, embedded, generator, of};

/// 200 with a `T` as JSON.
pub struct Shown<T>(PhantomData<T>);

/// 200 with a `T` as JSON and its entity tag.
pub struct Tagged<T>(PhantomData<T>);

/// 201 with a `T` as JSON, and where to read what was created; 202 where the caller waited for its end in vain.
pub struct Waited<T>(PhantomData<T>);

/// 201 with a `T` as JSON: something was recorded.
pub struct Recorded<T>(PhantomData<T>);

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

impl<T: JsonSchema> IntoResponses for Tagged<T> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let tag = text("The sequence, as an entity tag: send it as `If-Match` with a command.");
        BTreeMap::from([("200".to_owned(), RefOr::T(json::<T>().header("ETag", tag).build()))])
    }
}

impl<T: JsonSchema> IntoResponses for Waited<T> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let told = || {
            let told = json::<T>().header("Location", text("Where to read it."));
            let told = told.header("Preference-Applied", text("How long was waited at most (RFC 7240)."));
            told.header("Idempotency-Replayed", text("`true` where this is the answer of an earlier, equal command."))
        };
        let late = told().description("It was recorded; what was waited for has not come about yet.");
        BTreeMap::from([("201".to_owned(), RefOr::T(told().build())), ("202".to_owned(), RefOr::T(late.build()))])
    }
}

/// A header that holds a text.
pub(super) fn text(said: &str) -> Header {
    let schema = embedded(serde_json::json!({"type": "string"}), Default::default());
    HeaderBuilder::new().schema(Some(schema)).description(Some(said)).build()
}

/// A `T` as JSON.
pub fn json<T: JsonSchema>() -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(of::<T>(Way::Sent))).build();
    let text = description(&generator(Way::Sent).into_root_schema_for::<T>());
    ResponseBuilder::new().description(text).content("application/json", content)
}
