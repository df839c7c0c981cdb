//! Asking the server for a list and printing it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::table::lines;
use super::{Common, Query, Shape};
use crate::cli::client::Client;
use crate::cli::terminal::Paint;
use crate::cli::{CliError, Context};

/// Rows shown unless told otherwise, and of one page at most.
const SHOWN: u32 = 50;
const PAGE: u32 = 1000;
/// A server that sends nothing for so long is dead.
const SILENCE: Duration = Duration::from_secs(60);

/// A list of the server.
pub struct List {
    pub path: &'static str,
    /// The scope it needs.
    pub scope: &'static str,
    /// What a table shows of it.
    pub columns: &'static [&'static str],
    /// What is said where there is nothing.
    pub empty: &'static str,
}

/// Prints a list.
pub async fn show(context: &Context, list: List, query: Query, common: Common) -> Result<ExitCode, CliError> {
    let client = common.remote.client(context, &[list.scope])?;
    let query = query.with("since", common.since.clone()).with("until", common.until.clone());
    let shape = shape(context, &common)?;
    if let Some(format) = shape.file() {
        let query = query.with("format", [format]).with("limit", common.limit);
        file(&client, &path(list.path, &query), common.output.as_deref()).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let page = page(&client, &list, &query, common.limit.unwrap_or(SHOWN)).await?;
    let text = match shape {
        Shape::Json => page.to_string(),
        _ => told(&list, &page),
    };
    match &common.output {
        Some(file) => write(file, format!("{text}\n").as_bytes())?,
        None => say!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// How to print: as asked for, or as the file's name says.
fn shape(context: &Context, common: &Common) -> Result<Shape, CliError> {
    let named = common.output.as_deref().and_then(Path::extension).and_then(|extension| match extension.to_str() {
        Some("csv") => Some(Shape::Csv),
        Some("ndjson" | "jsonl") => Some(Shape::Ndjson),
        Some("parquet") => Some(Shape::Parquet),
        Some("json") => Some(Shape::Json),
        _ => None,
    });
    let asked = if context.json { Shape::Json } else { common.format };
    let shape = if asked == Shape::Table { named.unwrap_or(asked) } else { asked };
    if shape == Shape::Parquet && common.output.is_none() && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        return Err(CliError::new("Parquet is not for a terminal", "name a file with -o, or send it on with a pipe"));
    }
    Ok(shape)
}

fn path(path: &str, query: &Query) -> String {
    let mut text = Serializer::new(String::new());
    text.extend_pairs(&query.0);
    match text.finish() {
        text if text.is_empty() => path.to_owned(),
        text => format!("{path}?{text}"),
    }
}

/// So many rows, from as many pages as that takes.
async fn page(client: &Client, list: &List, query: &Query, wanted: u32) -> Result<Value, CliError> {
    let (mut items, mut cursor, mut position) = (Vec::new(), None::<String>, Value::Null);
    loop {
        let left = wanted.saturating_sub(u32::try_from(items.len()).unwrap_or(u32::MAX));
        let query = Query(query.0.clone()).with("limit", [left.clamp(1, PAGE)]).with("cursor", cursor.clone());
        let mut page = client.get(&path(list.path, &query)).await?;
        items.extend(page["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        position = if position.is_null() { page["position"].take() } else { position };
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() || items.len() >= wanted as usize {
            return Ok(json!({"items": items, "next": cursor, "position": position}));
        }
    }
}

fn told(list: &List, page: &Value) -> String {
    let rows = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return list.empty.to_owned();
    }
    let mut text = lines(list.columns, rows, Paint::stdout()).join("\n");
    if !page["next"].is_null() {
        text += &format!("\n{} of more; --limit shows more, --format csv all", rows.len());
    }
    text
}

/// Brings a file, as it comes.
async fn file(client: &Client, path: &str, output: Option<&Path>) -> Result<(), CliError> {
    let mut response = client.open(path, None, SILENCE).await?;
    let Some(output) = output else { return copy(&mut response, &mut std::io::stdout().lock()).await };
    // Beside it, and renamed once it is whole: nobody finds half a file.
    let part = output.with_extension(format!("{}.part", std::process::id()));
    let mut file = std::fs::File::create(&part).map_err(|error| failed(&part, &error))?;
    let copied = copy(&mut response, &mut file).await;
    let done = copied.and_then(|()| std::fs::rename(&part, output).map_err(|error| failed(output, &error)));
    if done.is_err() {
        // What is left of it is of no use; that it could not be removed does not matter beside why.
        let _left = std::fs::remove_file(&part);
    }
    done
}

async fn copy(response: &mut reqwest::Response, to: &mut impl Write) -> Result<(), CliError> {
    let broken = |error: reqwest::Error| {
        CliError::new(format!("the answer broke off: {error}"), "try again; what came so far is not all").passing()
    };
    while let Some(bytes) = response.chunk().await.map_err(broken)? {
        match to.write_all(&bytes) {
            Ok(()) => {}
            // Whoever reads has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(CliError::new(format!("cannot write: {error}"), "make room, or write elsewhere")),
        }
    }
    to.flush().map_err(|error| CliError::new(format!("cannot write: {error}"), "make room, or write elsewhere"))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    std::fs::write(path, bytes).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(format!("{}: {error}", path.display()), "check the folder and its permissions")
}
