//! JSON files as OPA hashes them for signatures: parsed, names in order, written again as Go's encoder writes values.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Values within each other.
const DEEPEST: usize = 64;

/// Whether OPA hashes what a file means, not its bytes.
pub(super) fn is_structured(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("data.json" | ".manifest" | ".signatures.json"))
}

/// The bytes OPA hashes in place of a JSON file's own.
pub(super) fn written(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let value: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
    write(value, 0, &mut bytes)?;
    Ok(bytes)
}

fn write(value: &RawValue, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let text = value.get().trim();
    if depth > DEEPEST {
        return Err(format!("it is nested more than {DEEPEST} deep"));
    }
    match text.as_bytes().first() {
        Some(b'{') => {
            let fields: BTreeMap<String, &RawValue> = parse(text)?;
            out.push(b'{');
            for (index, (name, value)) in fields.into_iter().enumerate() {
                separate(index, out);
                string(&name, out);
                out.push(b':');
                write(value, depth + 1, out)?;
            }
            out.push(b'}');
        }
        Some(b'[') => {
            out.push(b'[');
            for (index, value) in parse::<Vec<&RawValue>>(text)?.into_iter().enumerate() {
                separate(index, out);
                write(value, depth + 1, out)?;
            }
            out.push(b']');
        }
        Some(b'"') => string(&parse::<String>(text)?, out),
        // Numbers keep the form they have; true, false and null have only one.
        _ => out.extend_from_slice(text.as_bytes()),
    }
    Ok(())
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn separate(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

/// Go escapes control characters and the two line separators that JavaScript minds.
fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend(b"\\\""),
            '\\' => out.extend(b"\\\\"),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            '\u{8}' => out.extend(b"\\b"),
            '\u{c}' => out.extend(b"\\f"),
            '\u{0}'..='\u{1f}' | '\u{2028}' | '\u{2029}' => out.extend(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            other => out.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_space_is_gone_and_numbers_stay_as_written() {
        let text = "{ \"b\" : [1.50, 1e3, {\"y\":null,\"x\":true}],\n \"a\":\"<é\\u2028\\u0001\\/\" }";
        let expected = "{\"a\":\"<é\\u2028\\u0001/\",\"b\":[1.50,1e3,{\"x\":true,\"y\":null}]}";
        assert_eq!(String::from_utf8(written(text).unwrap()).unwrap(), expected);
    }
}
