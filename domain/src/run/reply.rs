//! A chat model's reply as it was understood, and what it proposes. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Functions, GoalStatus, PlannedCall, Proposal, Run};
use crate::{CanonicalError, CanonicalJson};

/// Function calls in one reply at most.
const CALLS: usize = 16;
/// Characters of a summary or reason the model writes.
const SENTENCES: usize = 4000;
/// Goals of a run at most.
const GOALS: usize = 32;

/// A function call in a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The model's own id of it.
    pub id: String,
    /// The function, as it was offered.
    pub name: String,
    /// What should be a JSON object.
    pub arguments: String,
}

/// A reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// What it says.
    pub content: String,
    /// Why it ended, for example `stop`, `tool_calls` or `length`.
    pub finish_reason: String,
    /// The functions it wants called.
    pub tool_calls: Vec<FunctionCall>,
}

/// A change of goals that the model asks for, before a goal has an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoalWish {
    /// A goal under the present one.
    Set(String),
    /// A sub-goal is reached, and how.
    Achieved(u32, String),
    /// A sub-goal is given up, and why.
    Failed(u32, String),
}

/// What a reply comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it proposes.
    pub proposal: Proposal,
    /// What it does to the run's goals, in order.
    pub goals: Vec<GoalWish>,
}

impl Reply {
    /// The reply as it is recorded.
    pub fn canonical(&self) -> Result<CanonicalJson, CanonicalError> {
        CanonicalJson::of(self)
    }

    /// A recorded reply.
    pub fn recorded(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The arguments of a function call, if they are an object.
    pub fn arguments(&self, index: u32) -> Result<Value, String> {
        let call = usize::try_from(index).ok().and_then(|index| self.tool_calls.get(index));
        object(&call.ok_or("the reply has no such call")?.arguments)
    }

    /// What the reply comes to as the answer to consultation `step` of `run`. Whatever it holds, it comes to something.
    pub fn reading(&self, step: u32, run: &Run, functions: &Functions) -> Reading {
        let unusable = |reason: String| Reading { proposal: Proposal::Unusable { reason }, goals: Vec::new() };
        if self.tool_calls.is_empty() {
            return Reading { proposal: self.said(), goals: Vec::new() };
        }
        if let Err(reason) = self.sound() {
            return unusable(reason);
        }
        if let Some(call) = self.tool_calls.iter().find(|call| call.name == "finish") {
            return match finished(call).filter(|_| self.tool_calls.len() == 1) {
                Some(proposal) => Reading { proposal, goals: Vec::new() },
                None => unusable("`finish` takes `achieved` and `summary`, and stands alone in a reply".to_owned()),
            };
        }
        let mut goals = Vec::new();
        let mut calls = Vec::new();
        for (call, index) in self.tool_calls.iter().zip(0_u32..) {
            if Functions::is_of_goals(&call.name) {
                match wish(call, run, &goals) {
                    Ok(wish) => goals.push(wish),
                    Err(reason) => return unusable(format!("`{}`: {reason}", call.name)),
                }
            } else {
                let (label, tool) = (format!("{step}.{}", calls.len() + 1), functions.tool(&call.name));
                calls.push(PlannedCall { label, tool, index });
            }
        }
        Reading { proposal: Proposal::CallTools { calls }, goals }
    }

    /// A reply that calls nothing is the model's last word.
    fn said(&self) -> Proposal {
        let unusable = |reason: &str| Proposal::Unusable { reason: reason.to_owned() };
        match self.finish_reason.as_str() {
            "length" => unusable("it was cut off: it was longer than the tokens of one reply"),
            "content_filter" => unusable("the model's server held it back"),
            _ if self.content.trim().is_empty() => unusable("it neither calls a function nor says anything"),
            _ => Proposal::Achieved { summary: cut(&self.content, SENTENCES) },
        }
    }

    fn sound(&self) -> Result<(), String> {
        if self.finish_reason == "length" {
            return Err("it was cut off: it was longer than the tokens of one reply".to_owned());
        }
        if self.tool_calls.len() > CALLS {
            return Err(format!("it calls {} functions; at most {CALLS} at once", self.tool_calls.len()));
        }
        let mut seen = BTreeSet::new();
        match self.tool_calls.iter().find(|call| call.id.is_empty() || !seen.insert(call.id.as_str())) {
            Some(call) => {
                Err(format!("each function call needs an id of its own, and `{}` is none", cut(&call.id, 40)))
            }
            None => Ok(()),
        }
    }
}

fn finished(call: &FunctionCall) -> Option<Proposal> {
    let arguments = object(&call.arguments).ok()?;
    let text = cut(arguments["summary"].as_str().filter(|text| !text.trim().is_empty())?, SENTENCES);
    Some(match arguments["achieved"].as_bool()? {
        true => Proposal::Achieved { summary: text },
        false => Proposal::GiveUp { reason: text },
    })
}

fn wish(call: &FunctionCall, run: &Run, before: &[GoalWish]) -> Result<GoalWish, String> {
    let arguments = object(&call.arguments)?;
    let text = |name: &str| match arguments[name].as_str().filter(|text| !text.trim().is_empty()) {
        Some(text) => Ok(cut(text, SENTENCES)),
        None => Err(format!("`{name}` must be a text")),
    };
    if call.name == "goal_set" {
        let set = before.iter().filter(|wish| matches!(wish, GoalWish::Set(_))).count();
        return if run.goals().len() + set < GOALS {
            text("text").map(GoalWish::Set)
        } else {
            Err(format!("there are {GOALS} goals already"))
        };
    }
    let open = |number: u32| {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).filter(|index| *index > 0);
        index.and_then(|index| run.goals().get(index)).is_some_and(|goal| goal.status == GoalStatus::Open)
    };
    let number = arguments["number"].as_u64().and_then(|number| u32::try_from(number).ok());
    let again = |number: u32| {
        before.iter().any(|wish| matches!(wish, GoalWish::Achieved(n, _) | GoalWish::Failed(n, _) if *n == number))
    };
    let number =
        number.filter(|number| open(*number) && !again(*number)).ok_or("`number` must be that of an open sub-goal")?;
    match call.name.as_str() {
        "goal_achieved" => Ok(GoalWish::Achieved(number, text("summary")?)),
        _ => Ok(GoalWish::Failed(number, text("reason")?)),
    }
}

fn object(text: &str) -> Result<Value, String> {
    // Some models send nothing at all where there are no arguments.
    let text = if text.trim().is_empty() { "{}" } else { text };
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(Value::Object(fields)),
        Ok(_) => Err("the arguments are not a JSON object".to_owned()),
        Err(error) => Err(format!("the arguments are not JSON: {error}")),
    }
}

/// At most `most` characters of a text, without NUL, which not every reader of the record can hold.
pub(super) fn cut(text: &str, most: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(most).collect()
}

/// What is recorded of a reply that is none: why, and how it began.
pub fn malformed(reason: &str, received: &str) -> Result<CanonicalJson, CanonicalError> {
    CanonicalJson::of(&json!({"malformed": reason, "received": cut(received, SENTENCES)}))
}
