//! Lists as files: CSV, NDJSON and Parquet, written row by row in bounded memory. For `rest`.

mod channel;
mod comma;
mod lines;
mod parquet;

use axum::body::{Body, Bytes};
use futures::stream::{StreamExt, unfold};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use xagent_projections::{Listed, TablesError};

use channel::ChannelWriter;

/// Chunks on their way to a client that have not been taken yet.
const UNDER_WAY: usize = 4;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A page, as JSON.
    Json,
    /// RFC 4180, with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// All of them, as they are asked for.
    pub const NAMES: [(&str, Self); 4] =
        [("json", Self::Json), ("csv", Self::Csv), ("ndjson", Self::Ndjson), ("parquet", Self::Parquet)];

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, format)| format)
    }

    /// The first format that an `Accept` header names; a page where it names none.
    pub fn accepted(accept: &str) -> Self {
        let types = accept.split(',').map(|one| one.split(';').next().unwrap_or_default().trim());
        let known = types.filter_map(|one| match one {
            "text/csv" => Some(Self::Csv),
            "application/x-ndjson" | "application/jsonl" => Some(Self::Ndjson),
            "application/vnd.apache.parquet" => Some(Self::Parquet),
            "application/json" => Some(Self::Json),
            _ => None,
        });
        known.into_iter().next().unwrap_or(Self::Json)
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// What its files end with.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }
}

/// Why a file could not be written to its end.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Tables(#[from] TablesError),
    #[error("the client has gone")]
    Gone(#[from] std::io::Error),
    #[error(transparent)]
    Csv(#[from] csv::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Parquet(#[from] ::parquet::errors::ParquetError),
}

/// Rows on their way into a file.
type Incoming<R> = mpsc::Receiver<Result<R, TablesError>>;

/// The body of an answer that holds all of `rows`. It breaks off, so that nobody takes it for whole, where they do.
pub fn body<R: Listed>(format: Format, rows: Incoming<R>) -> Body {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(UNDER_WAY);
    tokio::task::spawn_blocking(move || {
        let mut writer = ChannelWriter::new(sender);
        let written = match format {
            Format::Csv => comma::write::<R>(&mut writer, rows),
            Format::Json | Format::Ndjson => lines::write(&mut writer, rows),
            Format::Parquet => parquet::write::<R>(&mut writer, rows),
        };
        if let Err(error) = written {
            tracing::warn!(error = %error, list = R::NAME, "export.broken");
            writer.fail(&error.to_string());
        }
    });
    let chunks = unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    Body::from_stream(chunks.fuse())
}

/// A row's fields by name.
fn fields<R: Listed>(row: &R) -> Result<Map<String, Value>, ExportError> {
    match serde_json::to_value(row)? {
        Value::Object(fields) => Ok(fields),
        other => Ok([("value".to_owned(), other)].into_iter().collect()),
    }
}
