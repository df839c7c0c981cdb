//! The trail as JSON lines, on standard output or in a file, for a collector to carry on (Alloy, Promtail): the entry's
//! timestamp, labels and metadata beside its very line, so that what arrives is what would have been pushed.

use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;

use super::entry::{Entry, Metadata};
use super::target::{Sent, Target};

/// Standard output or a file as a target of the audit trail.
pub struct Lines {
    /// None for standard output.
    file: Option<PathBuf>,
    job: String,
}

#[derive(Serialize)]
struct Envelope<'a> {
    /// Nanoseconds since 1970, as a text: they do not fit into a JavaScript number.
    timestamp: String,
    labels: Labels<'a>,
    metadata: &'a Metadata,
    line: &'a str,
}

#[derive(Serialize)]
struct Labels<'a> {
    job: &'a str,
    tenant: &'a str,
    event_type: &'a str,
    level: &'a str,
}

impl Lines {
    /// Into `file`, or on standard output, with this label `job`.
    pub fn new(file: Option<PathBuf>, job: String) -> Self {
        Self { file, job }
    }

    /// The file is opened for each batch: whoever moves it away finds another one in its place.
    async fn write(&self, text: Vec<u8>) -> std::io::Result<()> {
        let Some(path) = &self.file else {
            let written = tokio::task::spawn_blocking(move || {
                let mut out = std::io::stdout().lock();
                out.write_all(&text)?;
                out.flush()
            });
            return written.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        };
        let mut file = OpenOptions::new().create(true).append(true).open(path).await?;
        file.write_all(&text).await?;
        file.flush().await?;
        file.sync_data().await
    }
}

fn text(job: &str, entries: &[Entry]) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::new();
    for Entry { at_ns, tenant, event_type, level, metadata, line, .. } in entries {
        let labels = Labels { job, tenant, event_type, level: level.as_str() };
        serde_json::to_writer(&mut text, &Envelope { timestamp: at_ns.to_string(), labels, metadata, line })?;
        text.push(b'\n');
    }
    Ok(text)
}

impl Target for Lines {
    const READER: &'static str = "audit/lines";
    const NAME: &'static str = "lines";

    async fn send(&self, entries: &[Entry]) -> Sent {
        let text = match text(&self.job, entries) {
            Ok(text) => text,
            Err(error) => return Sent::Refused(error.to_string()),
        };
        match self.write(text).await {
            Ok(()) => Sent::Stored,
            Err(error) => {
                let place = self.file.as_ref().map_or_else(|| "standard output".into(), |path| path.to_string_lossy());
                Sent::Later(format!("{place}: {error}"), None)
            }
        }
    }
}
