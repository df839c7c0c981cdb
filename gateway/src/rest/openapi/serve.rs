//! `GET /openapi.json`.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;

/// Made once: it is a constant of the code.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document = super::document(&crate::rest::described());
    serde_json::to_string(&document).unwrap_or_default()
});

/// This description
///
/// OpenAPI 3.1.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "read_openapi", tag = "Service", security(()),
    responses(
        (status = 200, description = "The document.", body = serde_json::Value, content_type = "application/json"),
        super::Open,
    ),
)]
pub async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], DOCUMENT.as_str())
}
