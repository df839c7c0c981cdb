//! Events as Postgres' binary COPY carries them, all columns: what is verified, and what an archive holds. For `verify`
//! and `archive`.
//!
//! A tuple is a count of fields, and per field its length and bytes
//! (<https://www.postgresql.org/docs/current/sql-copy.html>, Binary Format).

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use xagent_domain::{Digest, Place, Placeless, Tenant};

/// The columns, in the order of their fields.
pub(crate) const COLUMNS: [&str; 14] = [
    "position",
    "tenant",
    "aggregate_type",
    "aggregate_id",
    "sequence",
    "event_type",
    "event_version",
    "payload",
    "metadata",
    "recorded_at",
    "leaf_hash",
    "command_id",
    "command_body",
    "command_events",
];
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Bytes of a tuple at most; an append takes far less.
const TUPLE: usize = 64 * 1024 * 1024;
/// A chunk is full once it has this many rows or bytes.
const ROWS: usize = 1024;
const BYTES: usize = 1024 * 1024;
/// Microseconds from 1970 to 2000, where Postgres counts from.
const EPOCH_US: i64 = 946_684_800_000_000;

/// The bytes are no tuples of events.
#[derive(Debug, thiserror::Error)]
#[error("not the rows of events: {0}")]
pub(crate) struct Malformed(&'static str);

/// One row of `events`.
#[derive(Clone)]
pub(crate) struct Row {
    fields: [Option<Bytes>; COLUMNS.len()],
    pub position: i64,
    pub sequence: i64,
    pub recorded_at_us: i64,
}

/// The command that a row is the first event of.
pub(crate) struct RowCommand<'a> {
    pub id: Option<&'a [u8]>,
    pub body: Option<&'a [u8]>,
    pub events: Option<i32>,
}

impl Row {
    fn new(fields: [Option<Bytes>; COLUMNS.len()]) -> Result<Self, Malformed> {
        let number = |place: usize| {
            let bytes = fields.get(place).and_then(Option::as_deref);
            bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()).map(i64::from_be_bytes)
        };
        let missing = Malformed("a number is missing");
        let (Some(position), Some(sequence), Some(at)) = (number(0), number(4), number(9)) else { return Err(missing) };
        Ok(Self { position, sequence, recorded_at_us: at.saturating_add(EPOCH_US), fields })
    }

    fn bytes(&self, place: usize) -> Option<&[u8]> {
        self.fields.get(place).and_then(Option::as_deref)
    }

    fn text(&self, place: usize) -> Result<&str, &'static str> {
        let column = COLUMNS.get(place).copied().unwrap_or_default();
        self.bytes(place).and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(column)
    }

    pub(crate) fn tenant(&self) -> Result<Tenant, &'static str> {
        self.text(1)?.parse().map_err(|_| "tenant")
    }

    /// Type and id of its aggregate.
    pub(crate) fn stream(&self) -> Result<(&str, &str), &'static str> {
        Ok((self.text(2)?, self.text(3)?))
    }

    pub(crate) fn metadata(&self) -> Result<&str, &'static str> {
        self.text(8)
    }

    /// What it says, or the column that cannot be read.
    pub(crate) fn placeless<'a>(&'a self, tenant: &'a Tenant) -> Result<Placeless<'a>, &'static str> {
        Ok(Placeless {
            tenant,
            aggregate_type: self.text(2)?,
            aggregate_id: self.text(3)?,
            event_type: self.text(5)?,
            event_version: self.text(6)?,
            payload: self.text(7)?,
            metadata: self.text(8)?,
        })
    }

    pub(crate) fn place(&self) -> Place {
        let unsigned = |number| u64::try_from(number).unwrap_or(0);
        let (position, sequence) = (unsigned(self.position), unsigned(self.sequence));
        Place { position, recorded_at_us: self.recorded_at_us, sequence }
    }

    /// The leaf hash it was sealed with.
    pub(crate) fn leaf_hash(&self) -> Option<Digest> {
        self.bytes(10).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).map(Digest::from_bytes)
    }

    pub(crate) fn command(&self) -> RowCommand<'_> {
        let events = self.bytes(13).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(i32::from_be_bytes);
        RowCommand { id: self.bytes(11), body: self.bytes(12), events }
    }

    fn len(&self) -> usize {
        self.fields.iter().flatten().map(|field| field.len() + 4).sum()
    }
}

impl fmt::Debug for Row {
    /// Its place only: what it says may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({})", self.position)
    }
}

/// Makes rows of the bytes of a COPY, however they are cut.
#[derive(Default)]
pub(crate) struct Rows {
    buffer: BytesMut,
    begun: bool,
    ended: bool,
    chunk: Vec<Row>,
    chunk_bytes: usize,
}

impl Rows {
    /// Takes more bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.buffer.extend_from_slice(bytes);
        while let Some(row) = self.next()? {
            self.chunk_bytes += row.len();
            self.chunk.push(row);
        }
        Ok(())
    }

    /// The rows so far, once they are enough for a chunk.
    pub(crate) fn full(&mut self) -> Option<Vec<Row>> {
        (self.chunk.len() >= ROWS || self.chunk_bytes >= BYTES).then(|| self.take())
    }

    /// What is left at the end.
    pub(crate) fn finish(mut self) -> Result<Vec<Row>, Malformed> {
        if !self.ended || self.buffer.has_remaining() {
            return Err(Malformed("they end early"));
        }
        Ok(self.take())
    }

    fn take(&mut self) -> Vec<Row> {
        self.chunk_bytes = 0;
        std::mem::take(&mut self.chunk)
    }

    fn next(&mut self) -> Result<Option<Row>, Malformed> {
        if !self.begun {
            let Some((head, _)) = self.buffer.split_at_checked(SIGNATURE.len() + 8) else { return Ok(None) };
            if head != [SIGNATURE, &[0; 8]].concat() {
                return Err(Malformed("they do not begin as a binary COPY"));
            }
            self.buffer.advance(SIGNATURE.len() + 8);
            self.begun = true;
        }
        let Some((count, _)) = self.buffer.split_first_chunk() else { return Ok(None) };
        match i16::from_be_bytes(*count) {
            -1 if !self.ended => {
                self.buffer.advance(2);
                self.ended = true;
                Ok(None)
            }
            count if !self.ended && usize::try_from(count) == Ok(COLUMNS.len()) => self.tuple(),
            _ => Err(Malformed("a row has another number of columns")),
        }
    }

    fn tuple(&mut self) -> Result<Option<Row>, Malformed> {
        let Some(length) = tuple_length(&self.buffer)? else { return Ok(None) };
        let mut tuple = self.buffer.split_to(length).freeze();
        tuple.advance(2);
        let mut fields = [const { None }; COLUMNS.len()];
        for field in &mut fields {
            let length = tuple.get_i32();
            *field = usize::try_from(length).ok().map(|length| tuple.split_to(length));
        }
        Row::new(fields).map(Some)
    }
}

/// How many bytes the first tuple has; nothing where not all of it is there yet.
fn tuple_length(buffer: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut at = 2;
    for _ in COLUMNS {
        let Some(length) = buffer.get(at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        at += 4 + usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        if at > TUPLE {
            return Err(Malformed("a row is too large"));
        }
    }
    Ok((buffer.len() >= at).then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy of one row at this position, whose last three columns are null.
    fn copy(position: i64) -> Vec<u8> {
        let number = |number: i64| number.to_be_bytes().to_vec();
        let texts = ["default", "run", "a"].map(|text| text.as_bytes().to_vec());
        let more = ["GoalSet", "1", "{}", "{\"actor\":\"a\"}"].map(|text| text.as_bytes().to_vec());
        let mut fields = vec![number(position)];
        fields.extend(texts);
        fields.push(number(2));
        fields.extend(more);
        fields.extend([number(7), vec![9; 32]]);
        let mut bytes = [SIGNATURE, &[0; 8], &14_i16.to_be_bytes()].concat();
        for field in fields {
            bytes.extend(i32::try_from(field.len()).unwrap().to_be_bytes());
            bytes.extend(field);
        }
        bytes.extend([0xff; 12]);
        bytes.extend([0xff; 2]);
        bytes
    }

    #[test]
    fn rows_are_read_however_their_bytes_are_cut() {
        let bytes = copy(5);
        for piece in [1, 3, bytes.len()] {
            let mut rows = Rows::default();
            bytes.chunks(piece).for_each(|piece| rows.feed(piece).unwrap());
            let rows = rows.finish().unwrap();
            let [row] = &rows[..] else { panic!("{rows:?}") };
            let place = Place { position: 5, sequence: 2, recorded_at_us: EPOCH_US + 7 };
            assert_eq!((row.place(), row.leaf_hash()), (place, Some(Digest::from_bytes([9; 32]))));
            assert_eq!((row.stream(), row.metadata()), (Ok(("run", "a")), Ok("{\"actor\":\"a\"}")));
            assert!(row.command().id.is_none() && row.command().events.is_none());
        }
    }

    #[test]
    fn what_is_no_copy_of_events_is_refused() {
        let whole = copy(5);
        for end in 0..whole.len() {
            let mut rows = Rows::default();
            rows.feed(&whole[..end]).unwrap();
            assert!(rows.finish().is_err(), "cut at {end}");
        }
        let with = |at: usize, bytes: &[u8]| {
            let mut copy = whole.clone();
            copy[at..at + bytes.len()].copy_from_slice(bytes);
            Rows::default().feed(&copy)
        };
        assert!(with(0, b"x").is_err(), "another signature");
        assert!(with(19, &13_i16.to_be_bytes()).is_err(), "a column less");
        assert!(with(21, &i32::MAX.to_be_bytes()).is_err(), "a field without end");
        assert!(with(21, &4_i32.to_be_bytes()).is_err(), "a position of four bytes");
        let mut rows = Rows::default();
        rows.feed(&[&whole[..], &[0, 14]].concat()).unwrap();
        assert!(rows.finish().is_err(), "more after the end");
    }
}
