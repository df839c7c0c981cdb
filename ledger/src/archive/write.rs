//! Writing the file of a range. It bears another name until all of it is on the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use xagent_domain::Digest;

use super::file::{Header, Trailer, failure};
use crate::LedgerError;

/// How much zstd tries: 3 is its usual.
const LEVEL: i32 = 3;

/// The name of a file that is being written.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// Writes what `rows` brings under the unfinished name of `path`, down to the disk. Blocks.
pub(super) fn write(
    path: &Path,
    header: &Header,
    mut rows: mpsc::Receiver<Bytes>,
    events: u64,
) -> Result<(), LedgerError> {
    let mut written = || -> io::Result<()> {
        // It holds payloads: nobody else reads it.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(unfinished(path))?;
        let mut out = Sealing { inner: BufWriter::new(file), sha256: Sha256::new() };
        serde_json::to_writer(&mut out, header)?;
        out.write_all(b"\n")?;
        let mut packed = zstd::stream::write::Encoder::new(out, LEVEL)?;
        packed.include_checksum(true)?;
        while let Some(bytes) = rows.blocking_recv() {
            packed.write_all(&bytes)?;
        }
        let mut out = packed.finish()?;
        out.write_all(b"\n")?;
        let sha256 = Digest::from_bytes(out.sha256.clone().finalize().into());
        serde_json::to_writer(&mut out, &Trailer { events, sha256 })?;
        out.write_all(b"\n")?;
        out.inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    };
    written().map_err(|error| failure(path, error.to_string()))
}

/// Gives the file its name, for good.
pub(super) fn finish(path: &Path) -> Result<(), LedgerError> {
    let finished = || -> io::Result<()> {
        // A hard link, unlike a renaming, never replaces a file that is there.
        std::fs::hard_link(unfinished(path), path)?;
        std::fs::remove_file(unfinished(path))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        File::open(folder)?.sync_all()
    };
    finished().map_err(|error| failure(path, error.to_string()))
}

/// Hashes what is written through it.
struct Sealing<W> {
    inner: W,
    sha256: Sha256,
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.sha256.update(buffer.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
