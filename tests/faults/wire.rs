//! As much of Postgres' protocol (version 3, section 55 of its manual) as it takes to tell appends from the rest.

use std::collections::HashMap;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A message, as it came.
pub struct Message {
    pub kind: u8,
    pub bytes: Vec<u8>,
}

/// What a client asks of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `ask_ledger`: where everything is.
    Ask,
    /// `append_batch`, or the statement that adds a plain batch.
    Write,
}

/// What the client of a connection has prepared.
#[derive(Default)]
pub struct Prepared(HashMap<Vec<u8>, Call>);

impl Message {
    /// The next one.
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let kind = from.read_u8().await?;
        let mut bytes = vec![kind];
        length_and_rest(from, &mut bytes).await?;
        Ok(Self { kind, bytes })
    }

    /// The first one of a connection, which has no kind.
    pub async fn read_first(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        length_and_rest(from, &mut bytes).await?;
        Ok(bytes)
    }

    fn body(&self) -> &[u8] {
        &self.bytes[5..]
    }

    /// Whether the server is ready for the next request: what came before has been committed.
    pub fn is_ready(&self) -> bool {
        self.kind == b'Z'
    }

    /// In the row a write answers, the first column: whether the batch is in.
    pub fn says_done(&self) -> Option<bool> {
        // Two bytes of columns, four of length, and one of truth.
        (self.kind == b'D').then(|| self.body().get(6) == Some(&1))
    }
}

async fn length_and_rest(from: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> io::Result<()> {
    let length = from.read_u32().await?;
    bytes.extend(length.to_be_bytes());
    let rest = u64::from(length.saturating_sub(4));
    let read = from.take(rest).read_to_end(bytes).await?;
    if read as u64 == rest { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

impl Prepared {
    /// Takes note of a client's message; tells what it asks of the ledger.
    pub fn hear(&mut self, message: &Message) -> Option<Call> {
        let (first, rest) = text(message.body())?;
        match message.kind {
            b'P' => {
                let sql = String::from_utf8_lossy(text(rest)?.0).into_owned();
                let call =
                    [("append_batch", Call::Write), ("UPDATE ledger_head", Call::Write), ("ask_ledger", Call::Ask)];
                let call = call.into_iter().find(|(name, _)| sql.contains(name));
                self.0.extend(call.map(|(_, call)| (first.to_vec(), call)));
                None
            }
            b'B' => self.0.get(text(rest)?.0).copied(),
            _ => None,
        }
    }
}

/// A text that ends with a NUL, and what follows on it.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}
