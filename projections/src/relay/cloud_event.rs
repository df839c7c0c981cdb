//! Events as CloudEvents 1.0 in structured JSON. The recorded texts go through untouched.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xagent_domain::Recorded;

/// A CloudEvent (CloudEvents 1.0.2 section 3; JSON format 1.0.2). Extension attributes are lower case, numbers are texts.
#[derive(Debug, Serialize, Deserialize)]
pub struct CloudEvent {
    /// Always `1.0`.
    pub specversion: String,
    /// The position.
    pub id: String,
    /// `xagent/TENANT/AGGREGATE_TYPE`.
    pub source: String,
    /// `xagent.AGGREGATE_TYPE.EVENT_TYPE.vVERSION`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The aggregate's id.
    pub subject: String,
    /// When it was recorded, RFC 3339 in UTC with microseconds.
    pub time: String,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// Place in the stream of the aggregate.
    pub sequence: String,
    /// The leaf hash, in hex.
    pub leafhash: String,
    /// The exact recorded texts.
    pub data: Data,
}

/// What was recorded.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// Microseconds since 1970.
    pub recorded_at_us: i64,
    /// The metadata as recorded.
    pub metadata: Box<RawValue>,
    /// The payload as recorded.
    pub payload: Box<RawValue>,
}

impl CloudEvent {
    /// The JSON text of an event.
    pub fn of(event: &Recorded) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Self {
            specversion: "1.0".to_owned(),
            id: event.position.to_string(),
            source: format!("xagent/{}/{}", event.tenant, event.aggregate_type),
            kind: format!("xagent.{}.{}.v{}", event.aggregate_type, event.event_type, event.event_version),
            subject: event.aggregate_id.clone(),
            time: rfc3339(event.recorded_at_us),
            datacontenttype: "application/json".to_owned(),
            sequence: event.sequence.to_string(),
            leafhash: event.leaf_hash.to_string(),
            data: Data {
                recorded_at_us: event.recorded_at_us,
                metadata: RawValue::from_string(event.metadata.clone())?,
                payload: RawValue::from_string(event.payload.clone())?,
            },
        })
    }

    /// The event in the form it was recorded in; `None` where the text is no event of this system.
    pub fn recorded(text: &[u8]) -> Option<Recorded> {
        let event: Self = serde_json::from_slice(text).ok()?;
        let (_, tenant_and_type) = event.source.split_once('/')?;
        let (tenant, aggregate_type) = tenant_and_type.split_once('/')?;
        let kind = event.kind.strip_prefix("xagent.")?.strip_prefix(aggregate_type)?.strip_prefix('.')?;
        let (event_type, event_version) = kind.rsplit_once(".v")?;
        Some(Recorded {
            position: event.id.parse().ok()?,
            tenant: tenant.parse().ok()?,
            aggregate_type: aggregate_type.to_owned(),
            sequence: event.sequence.parse().ok()?,
            event_type: event_type.to_owned(),
            event_version: event_version.to_owned(),
            payload: event.data.payload.get().to_owned(),
            metadata: event.data.metadata.get().to_owned(),
            recorded_at_us: event.data.recorded_at_us,
            leaf_hash: event.leafhash.parse().ok()?,
            aggregate_id: event.subject,
        })
    }
}

/// The subject of an event: `xagent.events.TENANT.AGGREGATE_TYPE.AGGREGATE_ID.EVENT_TYPE`.
pub fn subject(event: &Recorded) -> String {
    let id = token(&event.aggregate_id);
    format!("xagent.events.{}.{}.{id}.{}", event.tenant, event.aggregate_type, event.event_type)
}

/// An id as one token of a subject: what NATS gives a meaning to is percent-encoded.
fn token(id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
    let mut buffer = [0; 4];
    let mut token = String::with_capacity(id.len());
    for c in id.chars() {
        if plain(c) {
            token.push(c);
        } else {
            c.encode_utf8(&mut buffer).bytes().for_each(|byte| token.push_str(&format!("%{byte:02X}")));
        }
    }
    token
}

fn rfc3339(us: i64) -> String {
    let at = chrono::DateTime::from_timestamp_micros(us).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xagent_domain::Digest;

    fn event() -> Recorded {
        Recorded {
            position: 7,
            tenant: "acme".parse().unwrap(),
            aggregate_type: "tool".into(),
            aggregate_id: "acme/a.b>c é".into(),
            sequence: 2,
            event_type: "ToolRegistered".into(),
            event_version: "1".into(),
            payload: "{\"a\":[1,\"\\u0001\"]}".into(),
            metadata: "{\"actor\":\"x\"}".into(),
            recorded_at_us: 1_790_000_000_000_001,
            leaf_hash: Digest::of(b"leaf"),
        }
    }

    #[test]
    fn the_recorded_texts_survive_the_way_there_and_back() {
        let event = event();
        assert_eq!(CloudEvent::recorded(CloudEvent::of(&event).unwrap().as_bytes()), Some(event));
    }

    #[test]
    fn an_id_is_one_token_of_the_subject() {
        assert_eq!(subject(&event()), "xagent.events.acme.tool.acme/a%2Eb%3Ec%20%C3%A9.ToolRegistered");
    }

    #[test]
    fn the_json_form_is_that_of_cloudevents() {
        let leaf = Digest::of(b"leaf");
        assert_eq!(
            CloudEvent::of(&event()).unwrap(),
            format!(
                "{{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"xagent/acme/tool\",\
                 \"type\":\"xagent.tool.ToolRegistered.v1\",\"subject\":\"acme/a.b>c é\",\
                 \"time\":\"2026-09-21T14:13:20.000001Z\",\"datacontenttype\":\"application/json\",\
                 \"sequence\":\"2\",\"leafhash\":\"{leaf}\",\"data\":{{\"recorded_at_us\":1790000000000001,\
                 \"metadata\":{{\"actor\":\"x\"}},\"payload\":{{\"a\":[1,\"\\u0001\"]}}}}}}"
            )
        );
    }
}
