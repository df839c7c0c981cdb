//! Whatever a server sends is a reply or a reason, and never a panic.

use proptest::prelude::*;
use serde_json::json;
use xagent_domain::run::{Functions, Proposal, Run};

use super::super::sse::Events;
use super::*;

fn streamed(body: &[u8], size: usize) -> Result<Option<Received>, String> {
    let (mut events, mut deltas) = (Events::default(), Deltas::default());
    for chunk in body.chunks(size.max(1)) {
        for data in events.push(chunk)? {
            if deltas.push(&data)? {
                return Ok(deltas.end());
            }
        }
    }
    Ok(deltas.end())
}

#[test]
fn a_whole_reply_and_its_stream_come_to_the_same() {
    let message = json!({"content": "é", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "read_file", "arguments": "{\"path\":\"ü\"}"}},
        {"id": "b", "type": "function", "function": {"name": "list_files", "arguments": {}}},
    ]});
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 3});
    let body = json!({"model": "m", "usage": usage, "choices": [{"message": message, "finish_reason": "tool_calls"}]});
    let deltas = [
        json!({"model": "m", "choices": [{"delta": {"role": "assistant", "content": "é"}}]}),
        json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "read_file", "arguments": "{\"pa"}}]}}]}),
        json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "th\":\"ü\"}"}}]}}]}),
        json!({"choices": [{"delta": {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "list_files", "arguments": "{}"}}]}}]}),
        json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}),
        json!({"choices": [], "usage": usage}),
    ];
    let mut stream: String = deltas.iter().map(|delta| format!("data: {delta}\n\n")).collect();
    stream.push_str("data: [DONE]\n\n");
    let whole = whole(body.to_string().as_bytes()).unwrap();
    assert_eq!(whole.usage, Some(Usage { input: 10, output: 3 }));
    assert_eq!(whole.reply.tool_calls[1].arguments, "{}");
    for size in [1, 7, 10_000] {
        assert_eq!(streamed(stream.as_bytes(), size).unwrap().as_ref(), Some(&whole));
    }
    let cut = &stream.as_bytes()[..stream.len() / 2];
    assert_eq!(streamed(cut, 5), Ok(None));
}

#[test]
fn what_is_no_reply_is_named() {
    let said = |body: &str| whole(body.as_bytes()).unwrap_err();
    assert!(said("<html>").starts_with("it is not JSON"));
    assert_eq!(said("[]"), "it is not a JSON object");
    assert_eq!(said("{}"), "it has no `choices`");
    assert_eq!(said(r#"{"error":{"message":"overloaded"}}"#), "the server reports an error: overloaded");
    assert_eq!(said(r#"{"choices":[{"message":{"tool_calls":{}}}]}"#), "its `tool_calls` are no list");
    assert_eq!(said(r#"{"choices":[{"message":{"tool_calls":[{"id":"a"}]}}]}"#), "a tool call is not a function call");
    assert_eq!(said(r#"{"choices":[{"message":{"content":7}}]}"#), "its `content` is no text");
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(said(&deep).starts_with("it is not JSON"));
    let far = r#"{"choices":[{"delta":{"tool_calls":[{"index":18446744073709551615,"function":{}}]}}]}"#;
    assert!(Deltas::default().push(far).unwrap_err().contains("out of order"));
}

/// Replies that are nearly right, and wrong in one place.
fn nearly() -> impl Strategy<Value = String> {
    let text = || {
        prop_oneof![
            Just("finish".to_owned()),
            Just("goal_set".to_owned()),
            Just("read_file".to_owned()),
            any::<String>()
        ]
    };
    let arguments = prop_oneof![
        any::<String>(),
        Just("{\"achieved\":true,\"summary\":\"s\"}".to_owned()),
        Just("{\"number\":2,\"text\":\"\\u0000\"}".to_owned()),
        Just("[".repeat(500)),
    ];
    let call = (text(), text(), arguments).prop_map(|(id, name, arguments)| {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    });
    (any::<String>(), prop::collection::vec(call, 0..20), text()).prop_map(|(content, calls, reason)| {
        json!({"choices": [{"message": {"content": content, "tool_calls": calls}, "finish_reason": reason}]})
            .to_string()
    })
}

/// What a reply comes to, recorded and read back.
fn comes_to_something(received: &Received) {
    let functions = Functions::of(&[]).unwrap();
    let recorded = received.reply.canonical().unwrap();
    assert_eq!(Reply::recorded(recorded.as_str()).as_ref(), Some(&received.reply));
    let reading = received.reply.reading(1, &Run::default(), &functions);
    if let Proposal::CallTools { calls } = reading.proposal {
        assert!(calls.len() <= 16);
        for call in calls {
            assert!(
                received.reply.arguments(call.index).is_ok_and(|arguments| arguments.is_object())
                    || call.tool.len() < 1000
            );
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_reply_or_a_reason(body in prop::collection::vec(any::<u8>(), 0..400), size in 1_usize..50) {
        if let Ok(received) = whole(&body) { comes_to_something(&received); }
        if let Ok(Some(received)) = streamed(&body, size) { comes_to_something(&received); }
    }

    #[test]
    fn any_nearly_right_reply_comes_to_something(body in nearly(), size in 1_usize..50) {
        let received = whole(body.as_bytes()).unwrap();
        comes_to_something(&received);
        let delta = body.replacen("\"message\"", "\"delta\"", 1);
        if let Ok(Some(received)) = streamed(format!("data: {delta}\n\n").as_bytes(), size) { comes_to_something(&received); }
    }
}
