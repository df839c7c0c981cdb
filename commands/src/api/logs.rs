//! Keeping decisions that stock OPA servers report.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use xagent_domain::decision_log::{DecisionLog, Logged};
use xagent_domain::{CommandId, Content, Digest};

use super::{Caller, Commands, Done, Subject};
use crate::{CommandError, InvalidInput};

/// Decisions of one batch at most; OPA sends about 100.
const MOST: usize = 2000;

/// What is looked at of a decision-log event; the rest is kept unread.
#[derive(Deserialize)]
struct Head {
    decision_id: String,
    #[serde(default)]
    path: String,
}

impl Commands {
    /// Keeps a batch: a JSON array of decision-log events. The same batch again changes nothing, for OPA repeats what it
    /// is not sure of.
    pub async fn keep_decision_log(&self, caller: &Caller, batch: &str) -> Result<Done, CommandError> {
        let events: Vec<Box<RawValue>> = serde_json::from_str(batch)
            .map_err(|error| InvalidInput::new("", format!("not an array of decision-log events: {error}")))?;
        if events.is_empty() || events.len() > MOST {
            let message = format!("a batch has 1 to {MOST} decisions, this one has {}", events.len());
            return Err(InvalidInput::new("", message).into());
        }
        let (mut logged, mut blobs) = (Vec::with_capacity(events.len()), Vec::new());
        for (index, event) in events.iter().enumerate() {
            let head: Head = serde_json::from_str(event.get())
                .map_err(|error| InvalidInput::new(format!("/{index}"), error.to_string()))?;
            let (event, blob) = Content::of(event.get().to_owned(), "application/json");
            logged.push(Logged { decision_id: head.decision_id, path: head.path, event });
            blobs.extend(blob);
        }
        let digest = Digest::of(batch.as_bytes());
        let own: CommandId = format!("decision_log.{digest}")
            .parse()
            .map_err(|error: xagent_domain::IdError| InvalidInput::new("", error.to_string()))?;
        let caller = Caller { key: Some(caller.key.clone().unwrap_or(own)), ..caller.clone() };
        let attributes = vec![("decisions", logged.len().to_string())];
        let id = format!("{}/{digest}", caller.principal.tenant);
        let subject = Subject { name: "decision_log.keep", id, attributes, body: json!({"batch": digest}) };
        let executed = self.carry_out::<DecisionLog>(&caller, subject, logged, blobs).await?;
        Ok(Done { receipt: executed.receipt })
    }
}
