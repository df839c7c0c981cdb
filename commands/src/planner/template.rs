//! `{{step.output.field}}` in a plan's arguments: results of earlier steps.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What later steps can see of earlier ones, by step name: `{"status", "output", "reasons"}`.
pub(crate) type Results = BTreeMap<String, Value>;

/// Fills in every reference. A text that is one reference becomes the value itself; in a longer text
/// it is written out.
pub(crate) fn fill(value: &Value, results: &Results) -> Result<Value, String> {
    match value {
        Value::String(text) => fill_text(text, results),
        Value::Array(items) => items.iter().map(|item| fill(item, results)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, item)| Ok((name.clone(), fill(item, results)?))).collect::<Result<_, String>>()
        }
        other => Ok(other.clone()),
    }
}

/// The step names a value refers to.
pub(crate) fn references(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => parts(text)
            .filter_map(|part| match part {
                Part::Reference(path) => path.split('.').next().map(str::to_owned),
                Part::Text(_) => None,
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(fields) => fields.values().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

enum Part<'a> {
    Text(&'a str),
    Reference(&'a str),
}

fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let opened = rest.find("{{");
        match opened.and_then(|start| rest[start..].find("}}").map(|length| (start, start + length))) {
            Some((0, end)) => {
                let path = rest[2..end].trim();
                rest = &rest[end + 2..];
                Some(Part::Reference(path))
            }
            Some((start, _)) => {
                let (before, after) = rest.split_at(start);
                rest = after;
                Some(Part::Text(before))
            }
            None => Some(Part::Text(std::mem::take(&mut rest))),
        }
    })
}

fn fill_text(text: &str, results: &Results) -> Result<Value, String> {
    let found: Vec<_> = parts(text).collect();
    if let [Part::Reference(path)] = found.as_slice() {
        return look_up(path, results);
    }
    let mut filled = String::new();
    for part in found {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Reference(path) => match look_up(path, results)? {
                Value::String(text) => filled.push_str(&text),
                other => filled.push_str(&readable(&other)),
            },
        }
    }
    Ok(json!(filled))
}

fn readable(value: &Value) -> String {
    match value {
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).map(|item| format!("- {item}\n")).collect()
        }
        other => other.to_string(),
    }
}

fn look_up(path: &str, results: &Results) -> Result<Value, String> {
    let mut steps = path.split('.');
    let name = steps.next().unwrap_or_default();
    let mut value = results.get(name).ok_or_else(|| format!("`{{{{{path}}}}}` names no earlier step"))?;
    for step in steps {
        let next = match value {
            Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            other => other.get(step),
        };
        let Some(next) = next else { return Ok(Value::String(String::new())) };
        value = next;
    }
    Ok(value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        Results::from([("list".to_owned(), json!({"output": {"files": ["a", "b"], "count": 2}}))])
    }

    #[test]
    fn a_lone_reference_keeps_its_type_and_a_longer_text_is_written_out() {
        let filled = fill(&json!({"n": "{{list.output.count}}", "t": "first {{ list.output.files.0 }}."}), &results());
        assert_eq!(filled, Ok(json!({"n": 2, "t": "first a."})));
    }

    #[test]
    fn an_unknown_step_is_an_error_and_an_absent_field_is_empty() {
        assert!(fill(&json!("{{other.output}}"), &results()).is_err());
        assert_eq!(fill(&json!("{{list.output.none}}"), &results()), Ok(json!("")));
    }
}
