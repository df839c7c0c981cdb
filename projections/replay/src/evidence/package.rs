//! What an evidence file holds, and how it is written: the same content gives the same bytes. Exporters fill it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xagent_domain::{CanonicalError, CanonicalJson, Digest, Recorded, Tenant, canonical_event};

/// How the first line names the format.
pub(super) const FORMAT: &str = "xagent-evidence";
/// The version that is written, and the only one there is.
pub(super) const VERSION: u32 = 1;

/// A run the evidence is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunName {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub run: String,
    /// How many events of it there are up to the checkpoint; their sequences are 1 to this.
    pub events: u64,
}

/// Positions the evidence is about: all of them, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// What the evidence claims to hold all of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Runs.
    pub runs: Vec<RunName>,
    /// A range, of all tenants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<Positions>,
}

/// A signed checkpoint with the key that is said to have signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTree {
    /// C2SP signed note.
    pub note: String,
    /// `NAME+HASH+KEY`. Told, not to be trusted.
    pub verifier: String,
}

/// An earlier checkpoint, and the proof that the tree follows on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// C2SP signed note.
    pub note: String,
    /// Consistency proof (RFC 9162 section 2.1.4).
    pub path: Vec<Digest>,
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `xagent-evidence`.
    pub format: String,
    /// 1.
    pub version: u32,
    /// What it is about.
    pub subject: Subject,
    /// The tree all of it is in.
    pub checkpoint: SignedTree,
    /// The checkpoint it follows on, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Earlier>,
    /// Lines of events.
    pub events: u64,
    /// Lines of bundles.
    pub bundles: u64,
    /// Lines of blobs.
    pub blobs: u64,
}

/// A bundle by the digests of its parts, whose texts are among the blobs. In canonical form, its own digest is the
/// bundle's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Law {
    /// Of the data document.
    pub data: Digest,
    /// Of each module, by path.
    pub modules: BTreeMap<String, Digest>,
}

impl Law {
    /// The bundle's digest.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        CanonicalJson::of(self).map(|text| text.digest())
    }
}

/// All that goes into a file.
#[derive(Clone, Debug)]
pub struct Package {
    /// What it is about.
    pub subject: Subject,
    /// The tree all of it is in.
    pub checkpoint: SignedTree,
    /// The checkpoint it follows on.
    pub earlier: Option<Earlier>,
    /// In order of position.
    pub events: Vec<Recorded>,
    /// Bundles that decided, by digest.
    pub bundles: BTreeMap<Digest, Law>,
    /// Texts that events and bundles refer to, by digest.
    pub blobs: BTreeMap<Digest, String>,
    /// The batch proof of all events.
    pub path: Vec<Digest>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Blob {
    pub digest: Digest,
    pub text: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Proof {
    pub leaves: Vec<Digest>,
    pub path: Vec<Digest>,
}

/// A line that is no event.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Manifest(Manifest),
    Bundle(Law),
    Blob(Blob),
    Proof(Proof),
    Seal(Digest),
}

impl Package {
    /// The file.
    pub fn write(self) -> Result<Vec<u8>, CanonicalError> {
        let Self { subject, checkpoint, earlier, events, bundles, blobs, path } = self;
        let count = |length: usize| length as u64;
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            subject,
            checkpoint,
            earlier,
            events: count(events.len()),
            bundles: count(bundles.len()),
            blobs: count(blobs.len()),
        };
        let mut text = line(&Line::Manifest(manifest))?;
        for event in &events {
            text.push_str(&canonical_event(event)?);
            text.push('\n');
        }
        for law in bundles.into_values() {
            text.push_str(&line(&Line::Bundle(law))?);
        }
        for (digest, blob) in blobs {
            text.push_str(&line(&Line::Blob(Blob { digest, text: blob }))?);
        }
        let leaves = events.iter().map(|event| event.leaf_hash).collect();
        text.push_str(&line(&Line::Proof(Proof { leaves, path }))?);
        let seal = line(&Line::Seal(Digest::of(text.as_bytes())))?;
        text.push_str(&seal);
        Ok(text.into_bytes())
    }
}

fn line(line: &Line) -> Result<String, CanonicalError> {
    CanonicalJson::of(line).map(|text| text.into_string() + "\n")
}
