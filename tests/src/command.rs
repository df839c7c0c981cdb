//! What the commands of appenders ask for. Their key alone says it, so that whoever repeats one asks for the same.

use xagent_domain::tool::ToolEvent;
use xagent_domain::{Blob, Digest, Metadata, Tenant};
use xagent_ledger::{Append, CommandKey, Expected};

use crate::tool::registered;

/// Streams that all processes append to.
const SHARED: u8 = 4;

/// A command of an appender.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its idempotency key: process, task and number.
    pub key: String,
    /// The stream it appends to.
    pub stream: String,
    /// Whether nobody else appends to that stream.
    pub is_alone: bool,
    /// Whether it minds where the stream is.
    pub minds: bool,
    /// The events it brings about.
    pub events: Vec<ToolEvent>,
    /// Content they refer to.
    pub blob: Option<Blob>,
}

impl Command {
    /// The command with this key.
    pub fn of(key: &str) -> Self {
        let digest = Digest::of(key.as_bytes());
        let [count, whose, minds, large, ..] = *digest.as_bytes();
        let is_alone = whose % 3 == 0;
        let (owner, _) = key.rsplit_once('.').unwrap_or((key, ""));
        let stream = if is_alone { format!("own-{owner}") } else { format!("shared-{}", whose % SHARED) };
        // A few distinct ones, so that most are there already.
        let blob = large.is_multiple_of(16).then(|| blob(large));
        Self {
            key: key.to_owned(),
            stream: format!("default/{stream}"),
            is_alone,
            minds: is_alone || !minds.is_multiple_of(4),
            events: (0..=count % 4).map(|ordinal| registered(format!("{key}/{ordinal}"), "x".repeat(100))).collect(),
            blob,
        }
    }

    /// The command on its way into the ledger, decided on the stream at `sequence`.
    pub fn append(&self, sequence: u64) -> Append<ToolEvent> {
        let metadata = Metadata { actor: "appender".to_owned(), command_id: self.key.clone(), ..Metadata::default() };
        Append {
            tenant: Tenant::default_tenant(),
            aggregate_id: self.stream.clone(),
            expected: if self.minds { Expected::Exactly(sequence) } else { Expected::Any },
            events: self.events.clone(),
            blobs: self.blob.iter().cloned().collect(),
            metadata,
            command: Some(self.command_key()),
        }
    }

    /// Its key, as the ledger knows it.
    pub fn command_key(&self) -> CommandKey {
        CommandKey { id: self.key.parse().unwrap(), body: Digest::of(format!("body of {}", self.key).as_bytes()) }
    }
}

fn blob(kind: u8) -> Blob {
    let text = format!("{kind} ").repeat(8 * 1024);
    Blob { digest: Digest::of(text.as_bytes()), media_type: "text/plain".to_owned(), text }
}
