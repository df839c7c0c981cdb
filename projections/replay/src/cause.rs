//! What a divergence most likely comes from.

use std::fmt;

use serde::Serialize;
use xagent_domain::Recorded;

use crate::Kind;

/// The likely cause of a divergence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The record was changed after it was sealed, or was written by something else than this system.
    Tampered,
    /// Another engine, or another version of it, decides here.
    EngineChanged,
    /// Another version of this system, whose rules are others, decides here.
    CodeChanged,
    /// The bundle is not recorded, or does not load.
    BundleMissing,
    /// A content is not recorded any more.
    BlobMissing,
    /// The view is behind, or was changed: the events agree with each other.
    ViewWrong,
}

impl Cause {
    /// The likely cause of what does not agree about an event.
    pub(crate) fn of(event: &Recorded, kind: Kind) -> Self {
        let sealed = xagent_tree::leaf_hash(event).ok() == Some(event.leaf_hash);
        match kind {
            Kind::MissingBlob => Self::BlobMissing,
            Kind::State => Self::ViewWrong,
            _ if !sealed => Self::Tampered,
            Kind::MissingBundle => Self::BundleMissing,
            Kind::Engine | Kind::Result => Self::EngineChanged,
            Kind::Undecodable | Kind::Input | Kind::Consultation | Kind::Command => Self::CodeChanged,
            Kind::SequenceGap
            | Kind::LeafHash
            | Kind::ContentDigest
            | Kind::Verdict
            | Kind::StartWithoutAllow
            | Kind::Law
            | Kind::Inheritance
            | Kind::Recording => Self::Tampered,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tampered => "the record was changed: `xagent verify` says where else",
            Self::EngineChanged => "another engine decides here: `xagent what-if` says what else it changes",
            Self::CodeChanged => "another version of this system recorded it, whose rules were others",
            Self::BundleMissing => "its policy bundle is not here: bring back the ledger's copy of it",
            Self::BlobMissing => "a content is not here: bring back the blob of that digest",
            Self::ViewWrong => "the view is wrong, the record is not: `xagent rebuild runs`",
        })
    }
}
