//! NDJSON: one JSON object a line.

use std::io::Write;

use xagent_projections::Listed;

use super::channel::ChannelWriter;
use super::{ExportError, Incoming};

pub fn write<R: Listed>(writer: &mut ChannelWriter, mut rows: Incoming<R>) -> Result<(), ExportError> {
    while let Some(row) = rows.blocking_recv() {
        serde_json::to_writer(&mut *writer, &row?)?;
        writer.write_all(b"\n")?;
    }
    Ok(writer.flush()?)
}
