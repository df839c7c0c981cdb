//! An event as it stands in the ledger, and the bytes its leaf hash covers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CanonicalError, CanonicalJson, Digest, Tenant};

/// Who caused an event and in what context. Flat strings, so that stock cqrs-es readers can load it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The principal, or `system:...` for the worker's own recordings.
    pub actor: String,
    /// The command that brought the event about.
    pub command_id: String,
    /// The run, where there is one.
    pub correlation_id: String,
    /// The event that caused the command, as `aggregate_type/aggregate_id/sequence`; empty for a caller's command.
    pub causation_id: String,
    /// W3C Trace Context.
    pub traceparent: String,
    /// The api key the actor came with; empty where it was a token, or the worker.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub credential: String,
}

/// An event read from the ledger, payload and metadata as the exact recorded text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Place in the whole ledger, from 1.
    pub position: u64,
    /// Whose event.
    pub tenant: Tenant,
    /// Type of aggregate.
    pub aggregate_type: String,
    /// Id of the aggregate.
    pub aggregate_id: String,
    /// Place in the stream, from 1.
    pub sequence: u64,
    /// Name of the fact.
    pub event_type: String,
    /// Version of the payload's shape.
    pub event_version: String,
    /// Canonical JSON.
    pub payload: String,
    /// Canonical JSON.
    pub metadata: String,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub recorded_at_us: i64,
    /// SHA-256(0x00 || canonical event), RFC 6962 section 2.1.
    pub leaf_hash: Digest,
}

/// Where an event stands, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Place in the whole ledger, from 1.
    pub position: u64,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub recorded_at_us: i64,
    /// Place in the stream, from 1.
    pub sequence: u64,
}

/// What an event says, without its place. `payload` and `metadata` are canonical JSON.
#[derive(Clone, Copy, Debug)]
pub struct Placeless<'a> {
    /// Whose event.
    pub tenant: &'a Tenant,
    /// Type of aggregate.
    pub aggregate_type: &'a str,
    /// Id of the aggregate.
    pub aggregate_id: &'a str,
    /// Name of the fact.
    pub event_type: &'a str,
    /// Version of the payload's shape.
    pub event_version: &'a str,
    /// Canonical JSON.
    pub payload: &'a str,
    /// Canonical JSON.
    pub metadata: &'a str,
}

impl Placeless<'_> {
    /// Tells the canonical event up to its place piece by piece, and gives what comes behind it.
    pub fn around_place(&self, mut tell: impl FnMut(&str)) -> Result<String, CanonicalError> {
        let texts = [
            ("{\"aggregate_id\":", self.aggregate_id),
            (",\"aggregate_type\":", self.aggregate_type),
            (",\"event_type\":", self.event_type),
            (",\"event_version\":", self.event_version),
        ];
        for (name, value) in texts {
            tell(name);
            quoted(value, &mut tell)?;
        }
        for piece in [",\"metadata\":", self.metadata, ",\"payload\":", self.payload, ","] {
            tell(piece);
        }
        let mut after = ",\"tenant\":".to_owned();
        quoted(self.tenant.as_str(), &mut |piece| after.push_str(piece))?;
        after.push('}');
        Ok(after)
    }
}

/// Tells a text in canonical form. What needs no escape, as nearly all here, is told as it is.
fn quoted(text: &str, tell: &mut impl FnMut(&str)) -> Result<(), CanonicalError> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        ["\"", text, "\""].into_iter().for_each(tell);
        return Ok(());
    }
    tell(CanonicalJson::of(&text)?.as_str());
    Ok(())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, recorded_at_us, sequence } = self;
        write!(f, "\"position\":{position},\"recorded_at_us\":{recorded_at_us},\"sequence\":{sequence}")
    }
}

impl Recorded {
    /// The event without its place.
    pub fn placeless(&self) -> Placeless<'_> {
        Placeless {
            tenant: &self.tenant,
            aggregate_type: &self.aggregate_type,
            aggregate_id: &self.aggregate_id,
            event_type: &self.event_type,
            event_version: &self.event_version,
            payload: &self.payload,
            metadata: &self.metadata,
        }
    }

    /// Its place.
    pub fn place(&self) -> Place {
        Place { position: self.position, recorded_at_us: self.recorded_at_us, sequence: self.sequence }
    }
}

/// The canonical event: one JSON object in RFC 8785 form whose `payload` and `metadata` are the recorded texts.
///
/// Keys are written in order and both texts are canonical already, so nothing is parsed or re-serialised.
pub fn canonical_event(event: &Recorded) -> Result<String, CanonicalError> {
    let mut text = String::new();
    let after = event.placeless().around_place(|piece| text.push_str(piece))?;
    Ok(format!("{text}{}{after}", event.place()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_event_is_its_own_canonical_form() {
        let event = Recorded {
            position: 3,
            tenant: Tenant::default_tenant(),
            aggregate_type: "run".into(),
            aggregate_id: "run_\"1\"".into(),
            sequence: 2,
            event_type: "GoalSet".into(),
            event_version: "1".into(),
            payload: "{\"GoalSet\":{\"text\":\"é\"}}".into(),
            metadata: "{\"actor\":\"alice\"}".into(),
            recorded_at_us: 1_790_000_000_000_000,
            leaf_hash: Digest::of(b""),
        };
        let text = canonical_event(&event).unwrap();
        assert_eq!(CanonicalJson::parse(&text).unwrap().as_str(), text);
    }
}
