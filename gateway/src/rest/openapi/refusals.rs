//! What a route answers when it does not do what was asked: the kinds of problems, by the kind of route.

use std::collections::BTreeMap;

use serde_json::json as value;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, RefOr, Response, ResponseBuilder};

use super::answers::json;
use super::schema::embedded;
use crate::problem::ProblemType::{self, *};
use crate::rest::health::Readiness;

/// What any route behind the law may answer.
const GOVERNED: [ProblemType; 8] =
    [Unauthenticated, Denied, RateLimited, InvalidInput, Starting, Unavailable, Tampered, Internal];

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: [$($more:ident),*];)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let all: Vec<_> = GOVERNED.iter().chain(&[$($more),*]).copied().collect();
                by_status(&all)
            }
        }
    )*};
}

refusals! {
    /// Of a query.
    Query: [];
    /// Of a query for one thing, or for events that may be in an archive.
    Lookup: [NotFound, Archived, TooLarge];
    /// Of a command.
    Command: [NotFound, Archived, TooLarge, Conflict, KeyReused];
    /// Of a command to a run.
    RunCommand: [NotFound, Archived, TooLarge, Conflict, KeyReused];
    /// Of a command that brings a bundle.
    Publication: [NotFound, Archived, TooLarge, Conflict, KeyReused, BundleRefused];
}

fn by_status(kinds: &[ProblemType]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status = BTreeMap::<String, Vec<ProblemType>>::new();
    for kind in kinds {
        by_status.entry(kind.status().as_u16().to_string()).or_default().push(*kind);
    }
    by_status.into_iter().map(|(status, kinds)| (status, RefOr::T(response(&kinds)))).collect()
}

/// Of a route that anybody may call.
pub struct Open;

impl IntoResponses for Open {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        by_status(&[Unavailable, Internal])
    }
}

/// Of a page that may be missing.
pub struct NoPage;

impl IntoResponses for NoPage {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        by_status(&[NotFound, Unavailable, Internal])
    }
}

/// Of readiness: 503 tells what is missing.
pub struct Unready;

impl IntoResponses for Unready {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut responses = by_status(&[Unavailable, Internal]);
        let told = json::<Readiness>().build().content;
        if let Some(RefOr::T(busy)) = responses.get_mut("503") {
            busy.content.extend(told);
        }
        responses
    }
}

/// A response that is one of these problems, which have one status.
pub fn response(kinds: &[ProblemType]) -> Response {
    let titles: Vec<_> = kinds.iter().map(|kind| kind.title()).collect();
    let types: Vec<_> = kinds.iter().map(|kind| kind.uri()).collect();
    let schema =
        value!({"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"type": {"enum": types}}}]});
    let examples = kinds.iter().map(|kind| {
        let reference = utoipa::openapi::Ref::new(format!("#/components/examples/{}", kind.code()));
        (kind.code(), RefOr::Ref(reference))
    });
    let content = ContentBuilder::new().schema(Some(embedded(schema, value!({})))).examples_from_iter(examples).build();
    ResponseBuilder::new().description(titles.join(", or ")).content("application/problem+json", content).build()
}
