//! What a scripted chat server answers: the first rule that fits and is not used up.

use serde::Deserialize;
use serde_json::Value;

/// Rules, in order.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// When it fits; always where nothing is said.
    #[serde(default)]
    when: When,
    /// How often it is used; always where nothing is said.
    times: Option<u32>,
    reply: Option<ReplyRule>,
    fault: Option<Fault>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    /// How many turns of the model the request holds.
    turn: Option<usize>,
    /// What the last message holds.
    last: Option<String>,
    /// What any message holds.
    any: Option<String>,
}

/// What the model says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReplyRule {
    pub content: Option<String>,
    pub calls: Vec<CallRule>,
    /// Tokens in and out; none are told where this is absent.
    pub usage: Option<(u64, u64)>,
    pub finish_reason: Option<String>,
}

/// A function call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallRule {
    pub id: Option<String>,
    pub name: String,
    /// A text is sent as it is, anything else as JSON.
    #[serde(default)]
    pub arguments: Value,
}

/// What goes wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Fault {
    /// A status other than 200.
    Status { code: u16, retry_after: Option<u32>, body: Option<String> },
    /// Nothing is ever answered.
    Stall {},
    /// The reply that `reply` gives waits until it is released.
    Hold {},
    /// The connection breaks off in the middle of the reply that `reply` gives.
    Cut {},
    /// Something else than a reply.
    Body { content_type: String, text: String },
    /// A stream that has no end.
    Endless {},
}

/// What is to be answered.
pub(super) enum Answer {
    Reply(ReplyRule),
    CutReply(ReplyRule),
    HeldReply(ReplyRule),
    Fault(Fault),
}

impl Script {
    /// A script from its JSON.
    pub fn of(value: Value) -> Self {
        serde_json::from_value(value).unwrap()
    }

    /// A script from a file's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    pub(super) fn answer(&mut self, request: &Value) -> Answer {
        let fits = |rule: &&mut Rule| rule.times != Some(0) && rule.when.fits(request);
        let Some(rule) = self.rules.iter_mut().find(fits) else {
            let body = Some("{\"error\":{\"message\":\"no rule of the script fits\"}}".to_owned());
            return Answer::Fault(Fault::Status { code: 400, retry_after: None, body });
        };
        rule.times = rule.times.map(|times| times - 1);
        let reply = rule.reply.clone().unwrap_or_default();
        match rule.fault.clone() {
            None => Answer::Reply(reply),
            Some(Fault::Cut {}) => Answer::CutReply(reply),
            Some(Fault::Hold {}) => Answer::HeldReply(reply),
            Some(fault) => Answer::Fault(fault),
        }
    }
}

impl When {
    fn fits(&self, request: &Value) -> bool {
        let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let holds =
            |message: &Value, text: &str| message["content"].as_str().is_some_and(|content| content.contains(text));
        let turns = messages.iter().filter(|message| message["role"] == "assistant").count();
        self.turn.is_none_or(|turn| turn == turns)
            && self.last.as_ref().is_none_or(|text| messages.last().is_some_and(|last| holds(last, text)))
            && self.any.as_ref().is_none_or(|text| messages.iter().any(|message| holds(message, text)))
    }
}
