//! Keeping what history came to under another bundle.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xagent_domain::bundle::{BundleAct, Bundles, Replayed};
use xagent_domain::{CanonicalJson, Content, Digest, EngineIdentity};

use super::law::STREAM;
use super::{Caller, Commands, Done, Subject};
use crate::{CommandError, InvalidInput};

/// Kinds of changes that one report tells apart at most.
const MOST_CLASSES: usize = 32;
/// Characters of the name of one.
const LONGEST_NAME: usize = 64;

/// What is to be kept.
#[derive(Clone, Debug)]
pub struct ReplayReport {
    /// The bundle that history was held to.
    pub bundle: Digest,
    /// The position after which history was looked at.
    pub after: u64,
    /// The last position.
    pub to: u64,
    /// The engine that decided again.
    pub engine: EngineIdentity,
    /// Decisions made again.
    pub decided: u64,
    /// Decisions that could not be made again.
    pub undecided: u64,
    /// Decisions that the engine alone changes.
    pub engine_changed: u64,
    /// Decisions that the bundle changes, by class.
    pub changes: BTreeMap<String, u64>,
    /// The whole of it.
    pub report: Value,
}

impl Commands {
    /// Keeps a report of history under another bundle, so that it can be cited.
    pub async fn record_replay(&self, caller: &Caller, replay: ReplayReport) -> Result<Done, CommandError> {
        let ReplayReport { bundle, after, to, engine, decided, undecided, engine_changed, changes, report } = replay;
        if changes.len() > MOST_CLASSES || changes.keys().any(|name| name.is_empty() || name.len() > LONGEST_NAME) {
            let message = format!("name at most {MOST_CLASSES} classes, each in 1 to {LONGEST_NAME} bytes");
            return Err(InvalidInput::new("/changes", message).into());
        }
        if after > to {
            return Err(InvalidInput::new("/to", format!("{to} is before {after}, after which history begins")).into());
        }
        let report =
            CanonicalJson::of_value(&report).map_err(|error| InvalidInput::new("/report", error.to_string()))?;
        let attributes = vec![("bundle", bundle.to_string()), ("changes", changes.values().sum::<u64>().to_string())];
        let body = json!({"after": after, "bundle": bundle, "report": report.digest(), "to": to});
        let (report, blob) = Content::json(report);
        let replayed = Replayed { bundle, after, to, engine, decided, undecided, engine_changed, changes, report };
        let subject = Subject { name: "bundle.record_replay", id: STREAM.to_owned(), attributes, body };
        let act = BundleAct::RecordReplay(Box::new(replayed));
        let executed = self.carry_out::<Bundles>(caller, subject, act, blob.into_iter().collect()).await?;
        Ok(Done { receipt: executed.receipt })
    }
}
