//! The file of an archived range: a line of JSON that says what it is, the rows as a binary COPY under zstd, a line of JSON
//! that seals both. `docs/archive.md` describes it.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use xagent_domain::Digest;

use crate::LedgerError;
use crate::row::{COLUMNS, Row, Rows};

/// What the first line calls it.
const FORMAT: &str = "xagent-archive";
/// The version of the form that is written and read.
const VERSION: u32 = 1;
/// Bytes that the first line has at most: some hundred hashes and a checkpoint.
const HEADER: u64 = 64 * 1024;
/// Bytes that the last line has at most.
const TRAILER: u64 = 4 * 1024;
/// Bytes that are unpacked at once.
const PIECE: usize = 256 * 1024;

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    format: String,
    version: u32,
    /// The first position.
    pub first: u64,
    /// The position after the last.
    pub past: u64,
    columns: Vec<String>,
    /// The tree over all events before: roots of its perfect subtrees, largest first.
    pub before: Vec<Digest>,
    /// The signed checkpoint that the proof leads to, and the key that checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Anchor>,
}

/// A signed checkpoint, and the proof that the tree up to the range's end is a prefix of its tree.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Anchor {
    pub note: String,
    pub verifier: String,
    pub consistency: Vec<Digest>,
}

/// The last line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trailer {
    /// Events in it.
    pub events: u64,
    /// SHA-256 of all bytes before this line.
    pub sha256: Digest,
}

/// A file that was opened; its rows are still to be read.
pub(crate) struct Archive {
    path: PathBuf,
    pub header: Header,
    pub trailer: Trailer,
    rows_at: u64,
    rows_end: u64,
}

/// Why a file is not read: the file at fault, or what came of its rows.
pub(crate) type Failure = LedgerError;

impl Header {
    pub(crate) fn new(first: u64, past: u64, before: Vec<Digest>, checkpoint: Option<Anchor>) -> Self {
        let columns = COLUMNS.map(str::to_owned).to_vec();
        Self { format: FORMAT.to_owned(), version: VERSION, first, past, columns, before, checkpoint }
    }

    fn check(&self) -> Result<(), String> {
        let whole = |position: u64| position % 256 == 1;
        if self.format != FORMAT || self.version != VERSION {
            return Err(format!(
                "its format is `{}` version {}, not `{FORMAT}` version {VERSION}",
                self.format, self.version
            ));
        }
        if self.columns != COLUMNS {
            return Err("its columns are not those of events".to_owned());
        }
        if !whole(self.first) || !whole(self.past) || self.first >= self.past {
            return Err(format!("its positions {} to {} are no whole range", self.first, self.past));
        }
        Ok(())
    }
}

impl Archive {
    /// Reads the first and the last line.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let wrong = |problem: String| failure(path, problem);
        let io = |error: std::io::Error| failure(path, error.to_string());
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let (header, rows_at) = first_line(&mut file).map_err(wrong)?;
        let (trailer, rows_end) = last_line(&mut file, length).map_err(wrong)?;
        header.check().map_err(wrong)?;
        if rows_end < rows_at {
            return Err(wrong("it ends early".to_owned()));
        }
        Ok(Self { path: path.to_owned(), header, trailer, rows_at, rows_end })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, without the folders it lies in.
    pub(crate) fn name(&self) -> String {
        name(&self.path)
    }

    /// Hands its bytes, as a binary COPY, and its rows to `each`, some at a time. Blocks.
    pub(crate) fn read(
        &self,
        mut each: impl FnMut(&[u8], Option<Vec<Row>>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let io = |error: std::io::Error| failure(&self.path, error.to_string());
        let mut file = File::open(&self.path).map_err(io)?;
        let mut sha256 = Sha256::new();
        std::io::copy(&mut (&mut file).take(self.rows_at), &mut sha256).map_err(io)?;
        let hashed = Hashed { inner: file.take(self.rows_end - self.rows_at), sha256 };
        let mut unpacked = zstd::stream::read::Decoder::new(hashed).map_err(io)?.single_frame();
        let (mut rows, mut piece) = (Rows::default(), vec![0; PIECE]);
        loop {
            let read = unpacked.read(&mut piece).map_err(io)?;
            let bytes = piece.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            rows.feed(bytes).map_err(|error| failure(&self.path, error.to_string()))?;
            each(bytes, rows.full())?;
        }
        each(&[], Some(rows.finish().map_err(|error| failure(&self.path, error.to_string()))?))?;
        let mut rest = unpacked.finish();
        std::io::copy(&mut rest, &mut std::io::sink()).map_err(io)?;
        let sha256 = rest.into_inner().sha256.chain_update(b"\n").finalize();
        if Digest::from_bytes(sha256.into()) != self.trailer.sha256 {
            return Err(failure(&self.path, "its bytes are not those its last line seals".to_owned()));
        }
        Ok(())
    }
}

/// Hashes what is read through it.
struct Hashed<R> {
    inner: R,
    sha256: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sha256.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

fn first_line(file: &mut File) -> Result<(Header, u64), String> {
    let mut begin = Vec::new();
    (&mut *file).take(HEADER).read_to_end(&mut begin).map_err(|error| error.to_string())?;
    let end = begin.iter().position(|byte| *byte == b'\n').ok_or("it does not begin with a line of JSON")?;
    let line = begin.get(..end).unwrap_or_default();
    let header = serde_json::from_slice(line).map_err(|error| format!("its first line cannot be read: {error}"))?;
    Ok((header, end as u64 + 1))
}

/// The last line, and where the line break before it stands.
fn last_line(file: &mut File, length: u64) -> Result<(Trailer, u64), String> {
    let from = length.saturating_sub(TRAILER);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from)).map_err(|error| error.to_string())?;
    BufReader::new(file).take(TRAILER).read_to_end(&mut tail).map_err(|error| error.to_string())?;
    let line = tail.strip_suffix(b"\n").ok_or("it does not end with a line")?;
    let begin = line.iter().rposition(|byte| *byte == b'\n').ok_or("it does not end with a line of JSON")?;
    let line = line.get(begin + 1..).unwrap_or_default();
    let trailer = serde_json::from_slice(line).map_err(|error| format!("its last line cannot be read: {error}"))?;
    Ok((trailer, from + begin as u64))
}

pub(crate) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

pub(crate) fn failure(path: &Path, problem: String) -> LedgerError {
    LedgerError::Archive { file: name(path), problem }
}
