//! Tool calls and approvals.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ArgumentRole, ArgumentUse};
use crate::{ApprovalId, CallId, CanonicalJson, Content, DecisionId, Digest, RunId};

/// Who runs a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    /// A worker of ours.
    Builtin,
    /// The client that proposed the call, which posts the result.
    Client,
    /// A worker of ours, through the MCP server that offers the tool.
    Upstream,
}

/// A tool as it was registered when the call was proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolFacts {
    /// Its name.
    pub name: String,
    /// Digest of the registration.
    #[schemars(with = "String")]
    pub digest: Digest,
    /// `low`, `medium` or `high`.
    pub risk: String,
    /// Whether running it twice is the same as once.
    pub idempotent: bool,
    /// Whether it changes something outside the run.
    pub consequential: bool,
    /// Whether its output comes from sources nobody vouches for.
    pub reads_untrusted: bool,
    /// Who runs it.
    pub executor: Executor,
    /// Whether its output is the principal's own data, so that values in it are vouched for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trusted_source: bool,
    /// What its arguments are for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, ArgumentRole>,
}

/// A path among the arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathUse {
    /// The argument.
    pub argument: String,
    /// As given.
    pub raw: String,
    /// Relative to the workspace, without `.` and `..`; empty where it could not be normalised.
    pub normal: String,
    /// Why it could not be normalised; empty where it could.
    pub problem: String,
}

/// A URL among the arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UrlUse {
    /// The argument.
    pub argument: String,
    /// As given.
    pub raw: String,
    /// Lower case.
    pub scheme: String,
    /// ASCII, lower case.
    pub host: String,
    /// Given or the scheme's own.
    pub port: u16,
    /// What the name resolved to; the connection goes there and nowhere else.
    pub addresses: Vec<String>,
    /// Why it could not be normalised; empty where it could.
    pub problem: String,
}

/// Code among the arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CodeText {
    /// The argument.
    pub argument: String,
    /// For example `python`.
    pub language: String,
    /// The code.
    pub text: String,
}

/// What a call would touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Paths.
    pub paths: Vec<PathUse>,
    /// URLs.
    pub urls: Vec<UrlUse>,
    /// Code.
    pub code: Vec<CodeText>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolOutcome {
    /// Whether the tool did what it was asked.
    pub succeeded: bool,
    /// Its output, or what went wrong, as canonical JSON.
    pub output: Content,
    /// The recording that answered in the tool's place, in a run that continues another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
}

/// The recorded end of a call of another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recording {
    /// The run.
    pub run: RunId,
    /// The sequence of the event.
    pub sequence: u64,
    /// Its position.
    pub position: u64,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// Not yet decided.
    Proposed,
    /// May start.
    Allowed,
    /// May not.
    Denied,
    /// Waits for a person.
    AwaitingApproval,
    /// A person said yes; it is decided again when it starts.
    Approved,
    /// A person said no.
    Refused,
    /// Under way, or its outcome is unknown.
    Started,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Its outcome will never be known.
    Interrupted,
}

/// A tool call of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// The step's name.
    pub label: String,
    /// The tool.
    pub tool: ToolFacts,
    /// Canonical arguments.
    pub arguments: Content,
    /// Digest of tool and arguments.
    pub arguments_digest: Digest,
    /// What it would touch.
    pub resources: Resources,
    /// Values among its arguments that somebody must vouch for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ArgumentUse>,
    /// Who proposed it; empty where a planner did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub proposed_by: String,
    /// Where it stands.
    pub status: CallStatus,
    /// The approval it asked for.
    pub approval: Option<ApprovalId>,
    /// The last decision on it.
    pub decision: Option<DecisionId>,
    /// Attempts begun.
    pub attempts: u32,
}

/// Where an approval stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Nobody has answered.
    Waiting,
    /// Granted by this principal, and not yet used.
    Granted(String),
    /// Refused by this principal.
    Refused(String),
    /// Granted, and used up by a started call.
    Used,
}

/// A person's answer to one call with exactly these arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// The call.
    pub call: CallId,
    /// What it binds to.
    pub arguments_digest: Digest,
    /// Why it was asked for.
    pub reason: String,
    /// When it lapses, in microseconds since 1970.
    pub expires_at_us: i64,
    /// Where it stands.
    pub state: ApprovalState,
}

impl Approval {
    /// Who granted it, while it can still be used.
    pub fn granted_by(&self) -> Option<&str> {
        match &self.state {
            ApprovalState::Granted(by) => Some(by),
            ApprovalState::Waiting | ApprovalState::Refused(_) | ApprovalState::Used => None,
        }
    }
}

/// Digest of a tool's registration and canonical arguments: what an approval binds to.
pub fn call_digest(tool: &Digest, arguments: &CanonicalJson) -> Digest {
    Digest::of(format!("{{\"arguments\":{},\"tool\":\"{tool}\"}}", arguments.as_str()).as_bytes())
}
