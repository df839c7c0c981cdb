//! An event as an entry of the trail: a timestamp, labels of few values, metadata by which entries are found, and a line.
//! What stands in the labels or the metadata does not stand in the line: LogQL's `json` would rename it.

use serde::Serialize;
use serde_json::value::RawValue;
use xagent_domain::Recorded;

use super::level::{Level, told};
use super::target::AuditError;

/// An event on its way into the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub position: u64,
    /// Nanoseconds since 1970, each more than the one before.
    pub at_ns: i64,
    pub tenant: String,
    pub event_type: String,
    pub level: Level,
    pub metadata: Metadata,
    /// A JSON object.
    pub line: String,
}

/// By what an entry is found, beside its labels. Absent where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// A text: structured metadata holds nothing else.
    pub position: String,
}

#[derive(Serialize)]
struct Line<'a> {
    aggregate_type: &'a str,
    aggregate_id: &'a str,
    sequence: u64,
    event_version: &'a str,
    /// RFC 3339 in UTC with microseconds.
    recorded_at: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    actor: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    command_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    causation_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    credential: &'a str,
    leaf_hash: String,
    /// As it was recorded.
    payload: &'a RawValue,
}

impl Entry {
    /// The entry of an event, which has this timestamp.
    pub fn of(event: &Recorded, at_ns: i64) -> Result<Self, AuditError> {
        let unreadable =
            |error: serde_json::Error| AuditError::Unreadable { position: event.position, detail: error.to_string() };
        let caused: xagent_domain::Metadata = serde_json::from_str(&event.metadata).map_err(unreadable)?;
        let payload: &RawValue = serde_json::from_str(&event.payload).map_err(unreadable)?;
        let told = told(event);
        let (trace_id, span_id) =
            xagent_trace::ids(&caused.traceparent).map(|(trace, span)| (trace.to_owned(), span.to_owned())).unzip();
        let run = if event.aggregate_type == "run" { &event.aggregate_id } else { &caused.correlation_id };
        let line = Line {
            aggregate_type: &event.aggregate_type,
            aggregate_id: &event.aggregate_id,
            sequence: event.sequence,
            event_version: &event.event_version,
            recorded_at: rfc3339(event.recorded_at_us),
            actor: &caused.actor,
            command_id: &caused.command_id,
            causation_id: &caused.causation_id,
            credential: &caused.credential,
            leaf_hash: event.leaf_hash.to_string(),
            payload,
        };
        Ok(Self {
            position: event.position,
            at_ns,
            tenant: event.tenant.to_string(),
            event_type: event.event_type.clone(),
            level: told.level,
            metadata: Metadata {
                run_id: Some(run.clone()).filter(|run| !run.is_empty()),
                decision_id: told.decision,
                trace_id,
                span_id,
                position: event.position.to_string(),
            },
            line: serde_json::to_string(&line).map_err(unreadable)?,
        })
    }

    /// About how many bytes it takes up where it is sent.
    pub fn bytes(&self) -> usize {
        // Quotes in the line are escaped; names and ids of labels and metadata come on top.
        self.line.len() + self.line.len() / 8 + 300
    }
}

impl Metadata {
    /// What there is of it, by name.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let optional = [
            ("run_id", &self.run_id),
            ("decision_id", &self.decision_id),
            ("trace_id", &self.trace_id),
            ("span_id", &self.span_id),
        ];
        let known = optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        known.chain([("position", self.position.as_str())])
    }
}

fn rfc3339(us: i64) -> String {
    let at = chrono::DateTime::from_timestamp_micros(us).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use xagent_domain::Digest;

    /// An event of a run.
    pub fn event(position: u64, event_type: &str, payload: &str) -> Recorded {
        Recorded {
            position,
            tenant: "acme".parse().unwrap(),
            aggregate_type: "run".into(),
            aggregate_id: "run_1".into(),
            sequence: 2,
            event_type: event_type.into(),
            event_version: "1".into(),
            payload: payload.into(),
            metadata:
                "{\"actor\":\"alice\",\"causation_id\":\"\",\"command_id\":\"cmd_1\",\"correlation_id\":\"run_1\",\
                       \"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}"
                    .into(),
            recorded_at_us: 1_790_000_000_000_001,
            leaf_hash: Digest::of(b"leaf"),
        }
    }

    #[test]
    fn no_name_stands_in_two_places_and_the_payload_is_as_recorded() {
        let payload = "{\"ToolCallStarted\":{\"attempt\":1,\"call\":\"call_1\",\"decision\":\"dec_1\"}}";
        let entry = Entry::of(&event(7, "ToolCallStarted", payload), 1_790_000_000_000_001_003).unwrap();
        let leaf = Digest::of(b"leaf");
        assert_eq!(
            entry.line,
            format!(
                "{{\"aggregate_type\":\"run\",\"aggregate_id\":\"run_1\",\"sequence\":2,\"event_version\":\"1\",\
                 \"recorded_at\":\"2026-09-21T14:13:20.000001Z\",\"actor\":\"alice\",\"command_id\":\"cmd_1\",\
                 \"leaf_hash\":\"{leaf}\",\"payload\":{payload}}}"
            )
        );
        let metadata: Vec<_> = entry.metadata.pairs().collect();
        let expected = [
            ("run_id", "run_1"),
            ("decision_id", "dec_1"),
            ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
            ("span_id", "b7ad6b7169203331"),
            ("position", "7"),
        ];
        assert_eq!(metadata, expected);
        let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&entry.line).unwrap();
        for (name, _) in metadata.into_iter().chain([("tenant", ""), ("event_type", ""), ("level", ""), ("job", "")]) {
            assert!(!line.contains_key(name), "{name}");
        }
    }
}
