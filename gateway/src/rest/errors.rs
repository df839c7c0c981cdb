//! The pages behind the types of problems.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::problem::{self, Problem, ProblemType};

/// `GET /errors/{code}`: what happened, why, what to do.
pub async fn page(Path(code): Path<String>) -> Response {
    match problem::page(&code) {
        Some(page) => ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page).into_response(),
        None => Problem::new(ProblemType::NotFound, "there is no such kind of problem").into_response(),
    }
}
