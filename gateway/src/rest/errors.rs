//! The pages behind the types of problems.

use axum::extract::RawPathParams;
use axum::extract::rejection::RawPathParamsRejection;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::extract;
use super::openapi::NoPage;
use crate::problem::{self, Problem, ProblemType};

/// What a kind of problem means
///
/// What happened, why, what to do.
#[utoipa::path(
    get, path = "/errors/{code}", operation_id = "read_error", tag = "Service", security(()),
    responses(
        (status = 200, description = "Its page.", body = String, content_type = "text/markdown"),
        NoPage,
    ),
)]
pub async fn page(path: Result<RawPathParams, RawPathParamsRejection>, headers: HeaderMap) -> Response {
    let code = path.as_ref().ok().and_then(|path| path.iter().next()).map(|(_, code)| code).unwrap_or_default();
    match problem::page(code) {
        Some(page) => ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page).into_response(),
        None => {
            let problem = Problem::new(ProblemType::NotFound, "there is no such kind of problem").at("code");
            let known = ProblemType::ALL.iter().map(|kind| kind.code()).collect::<Vec<_>>().join(", ");
            let problem = problem.with_value(code).remedied(format!("there are: {known}"));
            problem.traced(&extract::trace(&headers)).into_response()
        }
    }
}
