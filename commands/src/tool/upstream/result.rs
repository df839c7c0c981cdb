//! What an upstream's tool gave back, bounded.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};

/// More is cut, and it is said so.
const LARGEST: usize = 512 * 1024;

/// Whether it succeeded, and its result as it is recorded: `content`, `structuredContent`, `isError`.
pub(super) fn bounded(result: CallToolResult) -> (bool, Value) {
    let failed = result.is_error.unwrap_or(false);
    let (mut room, mut cut) = (LARGEST, 0_usize);
    let mut content = Vec::new();
    for block in &result.content {
        let whole = serde_json::to_value(block).unwrap_or_default();
        let size = whole.to_string().len();
        if size <= room {
            room -= size;
            content.push(whole);
        } else if let Some(text) = block.as_text() {
            let end = boundary(&text.text, room);
            content.push(json!({"type": "text", "text": &text.text[..end]}));
            cut += text.text.len() - end;
            room = 0;
        } else {
            cut += size;
        }
    }
    let structured = result.structured_content.filter(|value| {
        let size = value.to_string().len();
        let fits = size <= room;
        if !fits {
            cut += size;
        }
        fits
    });
    if cut > 0 {
        let said =
            ContentBlock::text(format!("[truncated: {cut} bytes of the result are left out; {LARGEST} are kept]"));
        content.push(serde_json::to_value(said).unwrap_or_default());
    }
    let mut recorded = json!({"content": content, "isError": failed});
    if let Some(structured) = structured {
        recorded["structuredContent"] = structured;
    }
    (!failed, recorded)
}

/// The last end of a character at or before `most` bytes.
fn boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_is_too_large_is_cut_and_says_so() {
        let small = CallToolResult::success(vec![ContentBlock::text("é")]);
        assert_eq!(bounded(small).1, json!({"content": [{"type": "text", "text": "é"}], "isError": false}));
        let large = CallToolResult::error(vec![ContentBlock::text("é".repeat(LARGEST)), ContentBlock::text("more")]);
        let (succeeded, recorded) = bounded(large);
        assert!(!succeeded);
        let said = recorded["content"].as_array().unwrap().last().unwrap()["text"].as_str().unwrap().to_owned();
        assert!(said.starts_with("[truncated: "), "{said}");
        assert!(recorded.to_string().len() < LARGEST + 1024);
    }
}
