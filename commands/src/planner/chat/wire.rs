//! Replies on the wire: a whole body, or the deltas of a stream put together. Pure; whatever comes is a reply or a reason.

use serde_json::Value;
use xagent_domain::run::{FunctionCall, Reply};

use super::Usage;

/// Function calls put together at most; what reads the reply allows fewer.
const CALLS: usize = 64;
/// Bytes of texts put together at most.
const BYTES: usize = 1024 * 1024;
/// More tokens than any model has are no count.
const TOKENS: u64 = 1_000_000_000;

/// A reply, with what the server says about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub reply: Reply,
    pub model: String,
    pub usage: Option<Usage>,
}

/// A whole body.
pub(super) fn whole(body: &[u8]) -> Result<Received, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON: {error}"))?;
    let mut received = Received::default();
    received.about(&value)?;
    let choice = value["choices"].get(0).ok_or("it has no `choices`")?;
    let message = choice["message"].as_object().ok_or("its choice has no `message`")?;
    received.reply.content = content(message.get("content"))?;
    received.reply.finish_reason = choice["finish_reason"].as_str().unwrap_or_default().chars().take(40).collect();
    for (index, call) in list(message.get("tool_calls"))?.iter().enumerate() {
        received.delta_of_call(index, call)?;
    }
    received.bounded()?;
    Ok(received)
}

/// A stream's deltas, put together.
#[derive(Debug, Default)]
pub(super) struct Deltas {
    received: Received,
    done: bool,
}

impl Deltas {
    /// Takes one event in. Says whether the reply is complete.
    pub(super) fn push(&mut self, data: &str) -> Result<bool, String> {
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok(true);
        }
        let value: Value = serde_json::from_str(data).map_err(|error| format!("an event is not JSON: {error}"))?;
        self.received.about(&value)?;
        let Some(choice) = value["choices"].get(0) else { return Ok(false) };
        let delta = &choice["delta"];
        let reply = &mut self.received.reply;
        reply.content.push_str(&content(delta.get("content"))?);
        if let Some(reason) = choice["finish_reason"].as_str() {
            reply.finish_reason = reason.chars().take(40).collect();
        }
        for call in list(delta.get("tool_calls"))? {
            // A server that numbers nothing sends whole calls, one after the other.
            let index = match call["index"].as_u64() {
                Some(index) => usize::try_from(index).unwrap_or(usize::MAX),
                None => self.received.reply.tool_calls.len(),
            };
            self.received.delta_of_call(index, call)?;
        }
        self.received.bounded()?;
        Ok(false)
    }

    /// The reply, where the stream came to its end.
    pub(super) fn end(self) -> Option<Received> {
        (self.done || !self.received.reply.finish_reason.is_empty()).then_some(self.received)
    }
}

impl Received {
    fn about(&mut self, value: &Value) -> Result<(), String> {
        if !value.is_object() {
            return Err("it is not a JSON object".to_owned());
        }
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            let message = error["message"].as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Err(format!("the server reports an error: {}", message.chars().take(300).collect::<String>()));
        }
        if let Some(model) = value["model"].as_str() {
            self.model = model.chars().take(200).collect();
        }
        let count = |name: &str| value["usage"][name].as_u64().filter(|tokens| *tokens <= TOKENS);
        if let (Some(input), Some(output)) = (count("prompt_tokens"), count("completion_tokens")) {
            self.usage = Some(Usage { input, output });
        }
        Ok(())
    }

    /// A call, or a further piece of it.
    fn delta_of_call(&mut self, index: usize, delta: &Value) -> Result<(), String> {
        let calls = &mut self.reply.tool_calls;
        if index >= CALLS || index > calls.len() {
            return Err(format!("its function call {index} is out of order"));
        }
        if index == calls.len() {
            calls.push(FunctionCall { id: String::new(), name: String::new(), arguments: String::new() });
        }
        let Some(call) = calls.get_mut(index) else { return Ok(()) };
        let function = delta["function"].as_object().ok_or("a tool call is not a function call")?;
        call.id.push_str(delta["id"].as_str().unwrap_or_default());
        call.name.push_str(function.get("name").and_then(Value::as_str).unwrap_or_default());
        match function.get("arguments") {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => call.arguments.push_str(text),
            // Some servers send the arguments parsed.
            Some(other) => call.arguments.push_str(&other.to_string()),
        }
        Ok(())
    }

    fn bounded(&self) -> Result<(), String> {
        let calls = self.reply.tool_calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len());
        let bytes = self.reply.content.len() + calls.sum::<usize>();
        if bytes > BYTES { Err(format!("it is longer than {BYTES} bytes")) } else { Ok(()) }
    }
}

/// Text, or parts of text.
fn content(value: Option<&Value>) -> Result<String, String> {
    match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => Ok(parts.iter().filter_map(|part| part["text"].as_str()).collect()),
        Some(_) => Err("its `content` is no text".to_owned()),
    }
}

fn list(value: Option<&Value>) -> Result<&[Value], String> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err("its `tool_calls` are no list".to_owned()),
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
