//! Taking a file apart: strictly, line by line, in one order and one form, so that there is one file of one content.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use xagent_domain::{CanonicalJson, Digest, Recorded, Tenant, canonical_event};

use super::LARGEST;
use super::package::{FORMAT, Law, Line, Manifest, Proof, VERSION};
use super::verdict::{Fault, Finding, find};

/// Bytes of a line at most.
const LONGEST: usize = 64 * 1024 * 1024;

/// What could be read.
#[derive(Default)]
pub(super) struct Parsed {
    pub manifest: Option<Manifest>,
    /// With the leaf hashes of what stands there.
    pub events: Vec<Recorded>,
    pub bundles: BTreeMap<Digest, Law>,
    pub blobs: BTreeMap<Digest, String>,
    pub proof: Option<Proof>,
    sealed: bool,
}

/// An event as its line has it: what its leaf hash covers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine {
    aggregate_id: String,
    aggregate_type: String,
    event_type: String,
    event_version: String,
    metadata: Box<RawValue>,
    payload: Box<RawValue>,
    position: u64,
    recorded_at_us: i64,
    sequence: u64,
    tenant: Tenant,
}

/// The parts of a file, in their order.
const PARTS: [(&str, &str); 6] = [
    ("manifest", "{\"manifest\":"),
    ("event", "{\"aggregate_id\":"),
    ("bundle", "{\"bundle\":"),
    ("blob", "{\"blob\":"),
    ("proof", "{\"proof\":"),
    ("seal", "{\"seal\":"),
];

pub(super) fn parse(bytes: &[u8], findings: &mut Vec<Finding>) -> Parsed {
    let mut parsed = Parsed::default();
    if bytes.len() > LARGEST {
        find(findings, Fault::Form, "file", format!("it has more than {LARGEST} bytes"));
        return parsed;
    }
    let Some(text) = bytes.strip_suffix(b"\n") else {
        find(findings, Fault::Form, "file", "it does not end with a line break: it was cut off, or is no evidence");
        return parsed;
    };
    let (mut part, mut begin) = (0, 0);
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1_u64..) {
        let before = bytes.get(..begin).unwrap_or_default();
        begin += line.len() + 1;
        let place = |name: &str| format!("line {number}{name}");
        let Some(text) = std::str::from_utf8(line).ok().filter(|line| line.len() <= LONGEST) else {
            find(findings, Fault::Form, place(""), "it is no UTF-8, or too long");
            continue;
        };
        let Some(found) = PARTS.iter().position(|(_, start)| text.starts_with(start)) else {
            find(findings, Fault::Form, place(""), "it is no line of evidence");
            continue;
        };
        let (name, _) = PARTS.get(found).copied().unwrap_or_default();
        if found < part || (found == part && !matches!(name, "event" | "bundle" | "blob") && number > 1) {
            find(findings, Fault::Form, place(&format!(" ({name})")), "it is not in its place");
        }
        part = part.max(found);
        if let Err((fault, detail)) = parsed.take(text, name, before) {
            find(findings, fault, place(&format!(" ({name})")), detail);
        }
    }
    parsed.whole(findings);
    parsed
}

type Wrong = (Fault, String);

impl Parsed {
    fn take(&mut self, text: &str, name: &str, before: &[u8]) -> Result<(), Wrong> {
        if name == "event" {
            return self.event(text);
        }
        let form = |detail: String| (Fault::Form, detail);
        let line: Line = serde_json::from_str(text).map_err(|error| form(error.to_string()))?;
        if CanonicalJson::of(&line).map_err(|error| form(error.to_string()))?.as_str() != text {
            return Err(form("it is not in canonical form (RFC 8785), or has members that are not known".to_owned()));
        }
        let ascending = || form("it is there twice, or not in the order of digests".to_owned());
        match line {
            Line::Manifest(manifest) if (manifest.format.as_str(), manifest.version) == (FORMAT, VERSION) => {
                self.manifest = Some(manifest);
            }
            Line::Manifest(Manifest { format, version, .. }) => {
                return Err(form(format!(
                    "it is {format} version {version}; {FORMAT} version {VERSION} is understood"
                )));
            }
            Line::Bundle(law) => {
                let digest = law.digest().map_err(|error| form(error.to_string()))?;
                let last = self.bundles.last_key_value().is_none_or(|(last, _)| *last < digest);
                self.bundles.insert(digest, law);
                last.then_some(()).ok_or_else(ascending)?;
            }
            Line::Blob(blob) => {
                let last = self.blobs.last_key_value().is_none_or(|(last, _)| *last < blob.digest);
                let found = Digest::of(blob.text.as_bytes());
                self.blobs.insert(blob.digest, blob.text);
                last.then_some(()).ok_or_else(ascending)?;
                if found != blob.digest {
                    return Err((Fault::Blob, format!("the text named {} has the digest {found}", blob.digest)));
                }
            }
            Line::Proof(proof) => self.proof = Some(proof),
            Line::Seal(seal) => {
                self.sealed = true;
                let found = Digest::of(before);
                if found != seal {
                    return Err((Fault::Seal, format!("sealed with {seal}, and the bytes before have {found}")));
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, text: &str) -> Result<(), Wrong> {
        let form = |detail: String| (Fault::Form, detail);
        let line: EventLine = serde_json::from_str(text).map_err(|error| form(error.to_string()))?;
        let mut event = Recorded {
            position: line.position,
            tenant: line.tenant,
            aggregate_type: line.aggregate_type,
            aggregate_id: line.aggregate_id,
            sequence: line.sequence,
            event_type: line.event_type,
            event_version: line.event_version,
            payload: line.payload.get().to_owned(),
            metadata: line.metadata.get().to_owned(),
            recorded_at_us: line.recorded_at_us,
            leaf_hash: Digest::from_bytes([0; 32]),
        };
        if canonical_event(&event).map_err(|error| form(error.to_string()))? != text {
            return Err(form("it is not in the form that is hashed".to_owned()));
        }
        event.leaf_hash = xagent_tree::leaf_hash(&event).map_err(|error| form(error.to_string()))?;
        let ascends = self.events.last().is_none_or(|last| last.position < event.position);
        let position = event.position;
        self.events.push(event);
        ascends.then_some(()).ok_or_else(|| form(format!("position {position} is not behind the one before")))
    }

    /// All parts are there, in the numbers that are announced.
    fn whole(&self, findings: &mut Vec<Finding>) {
        let missing = [
            ("manifest", self.manifest.is_none()),
            ("events", self.events.is_empty()),
            ("proof", self.proof.is_none()),
            ("seal", !self.sealed),
        ];
        for (part, _) in missing.iter().filter(|(_, missing)| *missing) {
            find(findings, Fault::Form, *part, "there is none that can be read");
        }
        let Some(manifest) = &self.manifest else { return };
        let counts = [
            ("events", manifest.events, self.events.len()),
            ("bundles", manifest.bundles, self.bundles.len()),
            ("blobs", manifest.blobs, self.blobs.len()),
        ];
        for (name, announced, found) in counts {
            if announced != found as u64 {
                find(findings, Fault::Count, name, format!("{announced} are announced, and {found} are there"));
            }
        }
    }
}
