//! The pages behind the types of problems.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

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
pub async fn page(Path(code): Path<String>) -> Response {
    match problem::page(&code) {
        Some(page) => ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page).into_response(),
        None => Problem::new(ProblemType::NotFound, "there is no such kind of problem").into_response(),
    }
}
