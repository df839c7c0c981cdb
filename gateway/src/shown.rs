//! An event as the doors show it: in pages (`rest`) and live (`stream`); and as it is read back from there (`cli`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use xagent_domain::{Digest, Recorded, Tenant};

use crate::problem::{Problem, ProblemType};

/// An event as it was recorded. All but `leaf_hash`, in RFC 8785 form, is what its leaf hash covers.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct ShownEvent {
    position: u64,
    tenant: Tenant,
    aggregate_type: String,
    aggregate_id: String,
    sequence: u64,
    event_type: String,
    event_version: String,
    /// Microseconds since 1970, UTC.
    recorded_at_us: i64,
    leaf_hash: Digest,
    /// Who caused it, by which command, in which trace.
    #[schemars(with = "Value")]
    metadata: Box<RawValue>,
    /// What happened, under the name of its type.
    #[schemars(with = "Value")]
    payload: Box<RawValue>,
}

/// The event as it is shown.
pub fn shown(event: Recorded) -> Result<ShownEvent, Problem> {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).map_err(|_| unreadable(&event));
    Ok(ShownEvent {
        metadata: raw(&event.metadata)?,
        payload: raw(&event.payload)?,
        position: event.position,
        sequence: event.sequence,
        recorded_at_us: event.recorded_at_us,
        leaf_hash: event.leaf_hash,
        tenant: event.tenant,
        aggregate_type: event.aggregate_type,
        aggregate_id: event.aggregate_id,
        event_type: event.event_type,
        event_version: event.event_version,
    })
}

impl From<ShownEvent> for Recorded {
    fn from(shown: ShownEvent) -> Self {
        Self {
            position: shown.position,
            tenant: shown.tenant,
            aggregate_type: shown.aggregate_type,
            aggregate_id: shown.aggregate_id,
            sequence: shown.sequence,
            event_type: shown.event_type,
            event_version: shown.event_version,
            payload: shown.payload.get().to_owned(),
            metadata: shown.metadata.get().to_owned(),
            recorded_at_us: shown.recorded_at_us,
            leaf_hash: shown.leaf_hash,
        }
    }
}

/// The problem of an event whose text is not what was recorded.
pub fn unreadable(event: &Recorded) -> Problem {
    let detail = format!("the event at position {} cannot be read; run `xagent replay`", event.position);
    Problem::new(ProblemType::Tampered, detail)
}
