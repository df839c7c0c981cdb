//! A reply as the protocol writes it: one object, or a stream of deltas whose texts are broken into pieces.

use serde_json::{Value, json};

use super::script::{CallRule, ReplyRule};

/// Characters of one piece.
const PIECE: usize = 7;

fn arguments(call: &CallRule) -> String {
    match &call.arguments {
        Value::String(text) => text.clone(),
        Value::Null => "{}".to_owned(),
        other => other.to_string(),
    }
}

fn finish_reason(reply: &ReplyRule) -> String {
    let usual = if reply.calls.is_empty() { "stop" } else { "tool_calls" };
    reply.finish_reason.clone().unwrap_or_else(|| usual.to_owned())
}

fn id(call: &CallRule, index: usize) -> String {
    call.id.clone().unwrap_or_else(|| format!("fc_{index}"))
}

fn usage(reply: &ReplyRule) -> Option<Value> {
    let (input, output) = reply.usage?;
    Some(json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}))
}

fn envelope(object: &str, model: &Value, choices: &Value) -> Value {
    json!({"id": "chatcmpl-1", "object": object, "created": 1_700_000_000, "model": model, "choices": choices})
}

/// One object.
pub(super) fn whole(reply: &ReplyRule, model: &Value) -> String {
    let calls = reply.calls.iter().enumerate().map(|(index, call)| {
        json!({"id": id(call, index), "type": "function", "function": {"name": call.name, "arguments": arguments(call)}})
    });
    let mut message = json!({"role": "assistant", "content": reply.content});
    if !reply.calls.is_empty() {
        message["tool_calls"] = calls.collect();
    }
    let choice = json!([{"index": 0, "message": message, "finish_reason": finish_reason(reply)}]);
    let mut body = envelope("chat.completion", model, &choice);
    if let Some(usage) = usage(reply) {
        body["usage"] = usage;
    }
    body.to_string()
}

/// A stream: the role, the content in pieces, each call's name and then its arguments in pieces, the end, the usage.
pub(super) fn stream(reply: &ReplyRule, model: &Value) -> String {
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    deltas.extend(pieces(reply.content.as_deref().unwrap_or_default()).map(|piece| json!({"content": piece})));
    for (index, call) in reply.calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        deltas.push(
            json!({"tool_calls": [{"index": index, "id": id(call, index), "type": "function", "function": function}]}),
        );
        let arguments = arguments(call);
        let piece = |piece: String| json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]});
        deltas.extend(pieces(&arguments).map(piece));
    }
    let chunk = |choices: &Value| envelope("chat.completion.chunk", model, choices);
    let mut chunks: Vec<Value> =
        deltas.iter().map(|delta| chunk(&json!([{"index": 0, "delta": delta, "finish_reason": null}]))).collect();
    chunks.push(chunk(&json!([{"index": 0, "delta": {}, "finish_reason": finish_reason(reply)}])));
    if let Some(usage) = usage(reply) {
        let mut last = chunk(&json!([]));
        last["usage"] = usage;
        chunks.push(last);
    }
    let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    events + "data: [DONE]\n\n"
}

fn pieces(text: &str) -> impl Iterator<Item = String> {
    let characters: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = characters.chunks(PIECE).map(|piece| piece.iter().collect()).collect();
    pieces.into_iter()
}
