//! Evidence: recordings in one file that a stranger can check with a public key alone (`docs/evidence.md`).
//!
//! Whoever exports fills a [`Package`] and writes it; [`examine`] holds a file to its checkpoint, to its own word on what it
//! covers, and decides all its decisions again. Bytes in, verdict out: no file is opened here.

mod decide;
mod package;
mod parse;
mod references;
mod seals;
mod streams;
mod verdict;

pub use package::{Earlier, Law, Manifest, Package, Positions, RunName, SignedTree, Subject};
pub use references::{Refers, refers};
pub use verdict::{Continues, Decided, Fault, Finding, RunProven, Tail, Tree, Verdict};

use xagent_policies::Bulk;
use xagent_tree::{Checkpoint, Verifier};

/// Bytes of a file at most: who opens one reads no more.
pub const LARGEST: usize = 1024 * 1024 * 1024;

/// Examines the bytes of an evidence file. `keys` are those the reader trusts; `kept`, where there is one, is the
/// checkpoint the file must prove to follow on.
pub fn examine(bytes: &[u8], keys: &[Verifier], kept: Option<&Checkpoint>, engine: &Bulk) -> Verdict {
    let mut verdict = Verdict { bytes: bytes.len() as u64, ..Verdict::default() };
    let parsed = parse::parse(bytes, &mut verdict.findings);
    if let Some(manifest) = &parsed.manifest {
        seals::hold(manifest, &parsed, (keys, kept), &mut verdict);
        streams::complete(manifest, &parsed.events, &mut verdict);
        references::complete(&parsed, &mut verdict.findings);
    }
    // What was changed is not worth deciding, and a bundle that nobody vouches for is not run.
    if verdict.findings.is_empty() {
        decide::all(&parsed, engine, &mut verdict);
    }
    verdict.events = parsed.events.len() as u64;
    verdict.holds = verdict.findings.is_empty();
    verdict
}
