//! `GET /docs`: the reference, written from the document. No script, and nothing from elsewhere.

mod curl;
mod html;
mod operation;
mod schema;

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use serde_json::Value;

use html::{code, escaped, prose};

const STYLE: &str = include_str!("style.css");
/// Nothing is loaded and nothing runs; the style is in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

static PAGE: LazyLock<String> = LazyLock::new(|| page(&super::document(&crate::rest::described())));

/// The reference for people
///
/// This description as a page, with an example of every operation.
#[utoipa::path(
    get, path = "/docs", operation_id = "read_docs", tag = "Service", security(()),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"), super::Open),
)]
pub async fn docs() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, PAGE.as_str())
}

/// The document as a page.
pub fn page(document: &Value) -> String {
    let (title, version) = (text(&document["info"]["title"]), text(&document["info"]["version"]));
    let tags = document["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sections: String = tags.iter().map(|tag| section(document, tag)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title} {version}: reference</title>\
         <style>{STYLE}</style></head><body>\
         <nav aria-label=\"Operations\"><a class=\"home\" href=\"#top\">{title} <small>{version}</small></a>{}\
         <h2>More</h2><ul><li><a href=\"#problems\">Problems</a></li><li><a href=\"#schemas\">Schemas</a></li>\
         <li><a href=\"/openapi.json\">openapi.json</a></li></ul></nav>\
         <main id=\"top\"><h1>{title}: reference</h1>{}{sections}{}{}</main></body></html>\n",
        tags.iter().map(|tag| contents(document, tag)).collect::<String>(),
        prose(text(&document["info"]["description"])),
        problems(document),
        schema::all(document),
    )
}

/// The operations of a tag, with method and path.
fn operations<'a>(document: &'a Value, tag: &'a str) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, item)| {
        item.as_object()
            .into_iter()
            .flatten()
            .map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    });
    all.filter(move |(_, _, operation)| operation["tags"][0] == tag)
}

fn contents(document: &Value, tag: &Value) -> String {
    let name = text(&tag["name"]);
    let entry = |(method, _, operation): (&str, &str, &Value)| {
        let (id, summary) = (text(&operation["operationId"]), escaped(text(&operation["summary"])));
        format!("<li><a href=\"#{id}\"><span class=\"method {method}\">{method}</span> {summary}</a></li>")
    };
    let entries: String = operations(document, name).map(entry).collect();
    format!("<h2>{}</h2><ul>{entries}</ul>", escaped(name))
}

fn section(document: &Value, tag: &Value) -> String {
    let name = text(&tag["name"]);
    let all = operations(document, name).map(|(method, path, told)| operation::section(document, method, path, told));
    format!(
        "<section><h2>{}</h2>{}{}</section>",
        escaped(name),
        prose(text(&tag["description"])),
        all.collect::<String>()
    )
}

fn problems(document: &Value) -> String {
    let examples = document["components"]["examples"].as_object().into_iter().flatten();
    let problem = |(name, example): (&String, &Value)| {
        let (status, title) = (&example["value"]["status"], escaped(text(&example["summary"])));
        let page = format!("<a href=\"/errors/{name}\">what to do</a>");
        format!(
            "<details id=\"problem-{name}\"><summary><b>{status}</b> {title} <code>/errors/{name}</code></summary>\
             <p>{page}</p>{}</details>",
            code(&example["value"])
        )
    };
    let all: String = examples.map(problem).collect();
    let told =
        "Every error is problem details (RFC 9457), `application/problem+json`; its `type` is a page on this server.";
    format!("<section id=\"problems\"><h2>Problems</h2>{}{all}</section>", prose(told))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
