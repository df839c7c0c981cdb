//! What no route reads is not passed over: an unknown query parameter is a mistake of its sender.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

use super::{header, invalid};
use crate::trace::Trace;

/// The query parameters of every path, by what the routes say of themselves.
#[derive(Clone)]
pub struct Strict(Arc<HashMap<String, HashSet<String>>>);

impl Strict {
    /// Of these routes.
    pub fn new(routes: &OpenApi) -> Self {
        let of_path = |(path, item): (&String, &PathItem)| (path.clone(), operations(item).flat_map(named).collect());
        Self(Arc::new(routes.paths.paths.iter().map(of_path).collect()))
    }

    /// Sends requests away whose query holds what no operation of their path knows.
    pub async fn layer(State(known): State<Self>, request: Request, next: Next) -> Response {
        let names = request.extensions().get::<MatchedPath>().and_then(|path| known.0.get(path.as_str()));
        let query = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
        let is_known = |name: &str| names.is_none_or(|names| names.contains(name));
        let Some((name, value)) = query.into_iter().find(|(name, _)| !is_known(name)) else {
            return next.run(request).await;
        };
        let trace = Trace::of(header(request.headers(), "traceparent"));
        let mut all: Vec<_> = names.into_iter().flatten().map(|name| format!("`{name}`")).collect();
        all.sort();
        let expected = if all.is_empty() { "none is read here".to_owned() } else { all.join(", ") };
        let problem = invalid(&name, &format!("there is no query parameter `{name}`: {expected}")).with_value(&value);
        problem.remedied("leave it out, or mend its name").traced(&trace).into_response()
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = &Operation> {
    [&item.get, &item.post, &item.put, &item.patch, &item.delete].into_iter().flatten()
}

fn named(operation: &Operation) -> impl Iterator<Item = String> {
    let all = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    all.filter(|parameter| parameter.parameter_in == ParameterIn::Query).map(|parameter| parameter.name.clone())
}
