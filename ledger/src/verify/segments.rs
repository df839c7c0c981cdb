//! Which stretches the ledger consists of, and where the events of each are: in the database, in the file of an archived
//! range, or in a file that is not at hand, of which the leaf hashes were kept.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::fault::Fault;
use super::findings::Findings;
use crate::archive::{Archive, MovedRange};
use crate::{Ledger, LedgerError};

/// A range whose events were moved to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArchivedRange {
    /// Its first position.
    pub first: u64,
    /// Its last position.
    pub last: u64,
    /// The file's name.
    pub file: String,
    /// Whether the file was given, and its events were checked; else their leaf hashes were.
    pub read: bool,
}

pub(super) struct Segment {
    pub first: u64,
    pub last: u64,
    pub content: Content,
}

pub(super) enum Content {
    Database,
    File(Box<Archive>),
    Hashes,
}

impl Ledger {
    /// The stretches up to `end`, and what is archived of it.
    pub(super) async fn segments(
        &self,
        end: u64,
        files: &[PathBuf],
        findings: &mut Findings,
    ) -> Result<(Vec<Segment>, Vec<ArchivedRange>), LedgerError> {
        let (moved, attached_from) = (self.archives().await?, self.attached_from().await?);
        let mut files = opened(files)?;
        let (mut segments, mut archived, mut next) = (Vec::new(), Vec::new(), 1);
        for range in moved.iter().filter(|range| range.past <= attached_from) {
            if range.first > next {
                segments.push(Segment { first: next, last: range.first - 1, content: Content::Hashes });
            }
            let (first, last) = (range.first, range.past - 1);
            let file = files.remove(&first).inspect(|file| check(range, file, findings));
            archived.push(ArchivedRange { first, last, file: range.file.clone(), read: file.is_some() });
            segments.push(Segment {
                first,
                last,
                content: file.map_or(Content::Hashes, |file| Content::File(Box::new(file))),
            });
            next = range.past;
        }
        if let Some(file) = files.into_values().next() {
            let problem = format!("the range from position {} is not archived here", file.header.first);
            return Err(LedgerError::Archive { file: file.name(), problem });
        }
        if next < attached_from {
            segments.push(Segment { first: next, last: attached_from - 1, content: Content::Hashes });
        }
        segments.push(Segment { first: attached_from, last: end, content: Content::Database });
        Ok((segments, archived))
    }
}

fn opened(paths: &[PathBuf]) -> Result<BTreeMap<u64, Archive>, LedgerError> {
    let opened = paths.iter().map(|path| Archive::open(path).map(|archive| (archive.header.first, archive)));
    opened.collect()
}

/// The file is the one that was written when the range was moved.
fn check(range: &MovedRange, file: &Archive, findings: &mut Findings) {
    let (header, sealed) = (&file.header, file.trailer.sha256);
    let detail = match (header.past == range.past, sealed == range.sha256) {
        (true, true) => return,
        (false, _) => format!("its file {} ends at {}, not at {}", file.name(), header.past - 1, range.past - 1),
        (true, false) => format!("its file {} is sealed with {sealed}, and was with {}", file.name(), range.sha256),
    };
    findings.add(Fault::Archive { position: range.first, detail });
}
