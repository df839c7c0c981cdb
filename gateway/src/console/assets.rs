//! The files of the pages, from the binary. Their address holds a digest of their text, so that browsers may keep them.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use xagent_domain::Digest;

use crate::problem::{Problem, ProblemType};

const FILES: [(&str, &str, &str); 3] = [
    ("console.css", "text/css; charset=utf-8", include_str!("assets/console.css")),
    ("console.js", "text/javascript; charset=utf-8", include_str!("assets/console.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

static ADDRESSES: LazyLock<[String; 3]> = LazyLock::new(|| {
    FILES.map(|(name, _, text)| {
        let digest: String =
            Digest::of(text.as_bytes()).to_string().chars().filter(char::is_ascii_hexdigit).take(16).collect();
        format!("/console/assets/{name}?v={digest}")
    })
});

/// The addresses of style, script and icon.
pub fn addresses() -> &'static [String; 3] {
    &ADDRESSES
}

/// A file.
pub async fn asset(Path(name): Path<String>) -> Response {
    let Some((_, media_type, text)) = FILES.into_iter().find(|(known, _, _)| *known == name) else {
        return Problem::new(ProblemType::NotFound, "there is no such file").into_response();
    };
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, text).into_response()
}
