//! As much of Postgres' protocol (version 3, section 55 of its manual) as it takes to tell appends from the rest.

use std::collections::HashSet;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A message, as it came.
pub struct Message {
    pub kind: u8,
    pub bytes: Vec<u8>,
}

/// A call of `append_batch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It asks where everything is.
    Ask,
    /// It writes events.
    Write,
}

/// What the client of a connection has prepared.
#[derive(Default)]
pub struct Prepared(HashSet<Vec<u8>>);

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

    /// In a row of `append_batch`, the first column: whether the batch is in.
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
    /// Takes note of a client's message; tells whether it calls `append_batch`.
    pub fn hear(&mut self, message: &Message) -> Option<Call> {
        let (first, rest) = text(message.body())?;
        match message.kind {
            b'P' if text(rest)?.0.windows(12).any(|window| window == b"append_batch") => {
                self.0.insert(first.to_vec());
                None
            }
            b'B' => {
                let (statement, rest) = text(rest)?;
                self.0.contains(statement).then(|| call(rest)).flatten()
            }
            _ => None,
        }
    }
}

/// What a binding of `append_batch` is for: its first argument is the position it follows on, which a question has none of,
/// and its last one where it ends.
fn call(formats_and_arguments: &[u8]) -> Option<Call> {
    let (formats, rest) = number::<2>(formats_and_arguments)?;
    let (count, mut rest) = number::<2>(rest.get(2 * usize::try_from(formats).ok()?..)?)?;
    let (mut first, mut last) = (None, None);
    for _ in 0..count {
        let (length, after) = number::<4>(rest)?;
        let (argument, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        rest = after;
        last = number::<8>(argument).map(|(number, _)| number);
        first = first.or(last);
    }
    match first? {
        ..0 => Some(Call::Ask),
        first if last > Some(first) => Some(Call::Write),
        _ => None,
    }
}

/// A text that ends with a NUL, and what follows on it.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn number<const BYTES: usize>(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<BYTES>()?;
    Some((number.iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte)), rest))
}
