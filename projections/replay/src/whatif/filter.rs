//! Which part of history is decided again, and what a decision is about.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use xagent_domain::{DecisionMade, Question};

/// Which decisions are looked at, beside what their events' columns say. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Of runs of this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Of what this principal asked, or a run of theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Of calls of this tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// By this rule, for example `xagent/tools/decision`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<String>,
}

/// What a decision is about, as far as its input says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    pub agent: Option<String>,
    pub principal: String,
    pub tool: Option<String>,
    /// The command, or `tool call`.
    pub asked: String,
}

/// The parts of an input that say so; the rest is passed over.
#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    principal: Option<Named<'a>>,
    #[serde(borrow)]
    run: Option<Run<'a>>,
    #[serde(borrow)]
    tool: Option<Tool<'a>>,
    #[serde(borrow)]
    approval: Option<Approval<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Run<'a> {
    #[serde(borrow)]
    agent: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// The approval of a tool call names no tool: the call does.
#[derive(Deserialize)]
struct Approval<'a> {
    #[serde(borrow, default)]
    tool: Cow<'a, str>,
}

impl Filter {
    /// Whether nothing is left out by it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a decision is looked at, as far as it can be told without its input.
    pub(super) fn may_take(&self, made: &DecisionMade) -> bool {
        self.entrypoint.as_ref().is_none_or(|wanted| made.evaluation.entrypoint.as_str() == wanted)
    }

    pub(super) fn takes(&self, about: &About) -> bool {
        let fits = |wanted: &Option<String>, found: Option<&String>| wanted.is_none() || wanted.as_ref() == found;
        fits(&self.agent, about.agent.as_ref())
            && fits(&self.principal, Some(&about.principal))
            && fits(&self.tool, about.tool.as_ref())
    }
}

/// What a decision is about. An input of another form than ours says nothing.
pub(super) fn about(made: &DecisionMade, input: &str) -> About {
    let read = serde_json::from_str::<Input<'_>>(input).ok();
    let (principal, run, tool, approval) =
        read.map_or((None, None, None, None), |input| (input.principal, input.run, input.tool, input.approval));
    let named = approval.map(|approval| approval.tool.into_owned()).filter(|tool| !tool.is_empty());
    let (asked, attributed) = match &made.question {
        Question::Command(intent) => (intent.name.clone(), intent.attributes.get("tool").cloned()),
        Question::ToolCall { .. } => ("tool call".to_owned(), None),
    };
    About {
        agent: run.map(|run| run.agent.into_owned()),
        principal: principal.map(|principal| principal.id.into_owned()).unwrap_or_default(),
        tool: tool.map(|tool| tool.name.into_owned()).or(named).or(attributed),
        asked,
    }
}
