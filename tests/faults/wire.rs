//! As much of Postgres' protocol (version 3, section 55 of its manual) as it takes to tell appends from the rest.

use std::collections::HashMap;
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;

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

/// Messages out of one direction of a connection. Whoever stops waiting for one loses nothing of it.
pub struct Incoming {
    from: BufReader<OwnedReadHalf>,
    begun: Vec<u8>,
}

impl Incoming {
    pub fn of(from: BufReader<OwnedReadHalf>) -> Self {
        Self { from, begun: Vec::new() }
    }

    /// The next one.
    pub async fn next(&mut self) -> io::Result<Message> {
        loop {
            if let Some(length) = self.begun.get(1..5) {
                let length = 1 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
                if self.begun.len() >= length {
                    let rest = self.begun.split_off(length);
                    let bytes = std::mem::replace(&mut self.begun, rest);
                    return Ok(Message { kind: bytes[0], bytes });
                }
            }
            let read = self.from.fill_buf().await?;
            let count = read.len();
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.begun.extend_from_slice(read);
            self.from.consume(count);
        }
    }

    /// The whole of a request that begins with `first`.
    pub async fn rest_of(&mut self, first: Message) -> io::Result<Vec<u8>> {
        let (mut request, mut last) = (first.bytes, first.kind);
        while last != b'S' {
            let message = self.next().await?;
            last = message.kind;
            request.extend(message.bytes);
        }
        Ok(request)
    }
}

impl Message {
    /// Whether the server will say after it that it is ready again.
    pub fn asks(&self) -> bool {
        matches!(self.kind, b'S' | b'Q')
    }

    /// The first one of a connection, which has no kind.
    pub async fn read_first(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
        let length = from.read_u32().await?;
        let mut bytes = length.to_be_bytes().to_vec();
        let rest = u64::from(length.saturating_sub(4));
        let read = from.take(rest).read_to_end(&mut bytes).await?;
        if read as u64 == rest { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
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
