//! What a replay found.

use std::fmt;

use serde::Serialize;
use xagent_domain::Recorded;

use crate::Cause;

/// What does not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An event of the stream is missing.
    SequenceGap,
    /// The event cannot be read.
    Undecodable,
    /// The event is not the one that was sealed.
    LeafHash,
    /// A content is not what its digest says.
    ContentDigest,
    /// A content is not recorded any more.
    MissingBlob,
    /// A bundle is not recorded, or cannot be loaded.
    MissingBundle,
    /// The policy input cannot be rebuilt or is another one.
    Input,
    /// What a model was asked cannot be built again, or what it proposed is not what it replied.
    Consultation,
    /// The recorded engine is not the one that decides here.
    Engine,
    /// The same input under the same bundle gives another result.
    Result,
    /// The verdict is not what the recorded result says.
    Verdict,
    /// A tool call was started that no decision allows.
    StartWithoutAllow,
    /// A decision on a tool call was made by another bundle than the one its run is under.
    Law,
    /// What was taken over from another run is not what that one recorded.
    Inheritance,
    /// The recording that answered is not the one that is said.
    Recording,
    /// The command that was given, fed again, brings about something else.
    Command,
    /// The state folded from the events is not the one that was served.
    State,
}

/// The first place where recording and replay part, with both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// What.
    pub kind: Kind,
    /// What it most likely comes from.
    pub cause: Cause,
    /// The position of the event.
    pub position: u64,
    /// Its sequence in the run.
    pub sequence: u64,
    /// Its type.
    pub event_type: String,
    /// The decision, where the event is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// What is recorded.
    pub recorded: String,
    /// What replay finds.
    pub replayed: String,
}

/// Whether the folded state was compared with a served one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateCheck {
    /// It is the same.
    Identical,
    /// There was none to compare with.
    #[default]
    NothingToCompare,
}

/// The outcome of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The run.
    pub run: String,
    /// Whether all of it is as it was recorded.
    pub identical: bool,
    /// Events read.
    pub events: u64,
    /// Commands fed again.
    pub commands: u64,
    /// Events of commands this version does not know, which are folded and not fed again.
    pub commands_unknown: u64,
    /// Decisions among them.
    pub decisions: u64,
    /// Decisions made again.
    pub decided_again: u64,
    /// Those among them that another engine had made: the authority says the same.
    pub by_another_engine: u64,
    /// Recorded denials for want of an answer (timeout, engine away): the input was compared, but no answer can be.
    pub not_decidable_again: Vec<String>,
    /// Whether the state was compared with a served one.
    pub state: StateCheck,
    /// The first divergence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
}

impl Divergence {
    pub(crate) fn at(
        event: &Recorded,
        kind: Kind,
        recorded: impl Into<String>,
        replayed: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self {
            kind,
            cause: Cause::of(event, kind),
            position: event.position,
            sequence: event.sequence,
            event_type: event.event_type.clone(),
            decision: decision_of(&event.payload),
            recorded: recorded.into(),
            replayed: replayed.into(),
        })
    }
}

/// The decision's id, even from a payload that is no longer a decision in all its parts.
fn decision_of(payload: &str) -> Option<String> {
    match serde_json::from_str::<serde_json::Value>(payload) {
        Ok(value) => value["DecisionMade"]["decision"].as_str().map(str::to_owned),
        Err(_) => {
            let start = payload.find("\"dec_")? + 1;
            payload.get(start..start + 36).map(str::to_owned)
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SequenceGap => "an event is missing",
            Self::Undecodable => "the event cannot be read",
            Self::LeafHash => "the event is not the one that was sealed",
            Self::ContentDigest => "a content is not what its digest says",
            Self::MissingBlob => "a content is not recorded any more",
            Self::MissingBundle => "a policy bundle is not recorded",
            Self::Input => "the policy input is another one",
            Self::Consultation => "what the model was asked or proposed is something else",
            Self::Engine => "another engine decided",
            Self::Result => "the decision's result is another one",
            Self::Verdict => "the verdict is not what the result says",
            Self::StartWithoutAllow => "a tool call was started that no decision allows",
            Self::Law => "another bundle decided than the one the run is under",
            Self::Inheritance => "what was taken over is not what the other run recorded",
            Self::Recording => "the recording that answered is another one",
            Self::Command => "the command brings about something else",
            Self::State => "the state is not the one that was served",
        })
    }
}
