//! Masks on what is shown of a decision: `data.system.log.mask`, as OPA knows it. The record itself is never masked.

use serde_json::{Map, Value, json};
use xagent_domain::Limits;

use crate::{Bundle, BundleError, Foreign};

/// The masks of a bundle.
pub struct Mask(Option<Foreign>);

impl Mask {
    /// Those that a bundle asks for; none where it has no such rule.
    pub fn of(bundle: &Bundle, limits: Limits) -> Result<Self, BundleError> {
        let asks = bundle.modules().values().any(|text| text.contains("package system.log"));
        asks.then(|| Foreign::strict(bundle, limits)).transpose().map(Self)
    }

    /// Masks a decision-log event and notes what was erased and replaced. Where the masks cannot be known or do not fit,
    /// nothing of what was asked and answered is left.
    pub fn apply(&self, event: &mut Map<String, Value>) {
        let Some(rules) = &self.0 else { return };
        let masks = rules.value("system/log/mask", Some(&Value::Object(event.clone())), None).ok();
        let masks = masks.map(|masks| masks.and_then(|masks| masks.value().ok()).unwrap_or_else(|| json!([])));
        let masked = masks.as_ref().and_then(Value::as_array).map(|masks| masks.iter().all(|mask| one(event, mask)));
        if masked != Some(true) {
            for part in ["/input", "/result", "/nd_builtin_cache"] {
                one(event, &Value::from(part));
            }
        }
    }
}

/// Applies one mask: a path to erase, or `{"op": "remove" | "upsert", "path", "value"}`. False where it is neither.
fn one(event: &mut Map<String, Value>, mask: &Value) -> bool {
    let path = mask.as_str().or_else(|| mask.get("path")?.as_str());
    let operation = mask.get("op").map_or(Some("remove"), Value::as_str);
    let Some(path) =
        path.filter(|path| ["/input", "/result", "/nd_builtin_cache"].iter().any(|part| is_in(path, part)))
    else {
        return false;
    };
    let (done, list) = match operation {
        Some("remove") => (remove(event, path), "erased"),
        Some("upsert") => match mask.get("value") {
            Some(value) => (upsert(event, path, value.clone()), "masked"),
            None => return false,
        },
        _ => return false,
    };
    if done && let Value::Array(paths) = event.entry(list).or_insert_with(|| json!([])) {
        paths.push(Value::from(path));
    }
    true
}

fn is_in(path: &str, part: &str) -> bool {
    path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The value that holds the last step of a JSON pointer, and that step.
fn parent<'a>(event: &'a mut Map<String, Value>, path: &str) -> Option<(Parent<'a>, String)> {
    let plain = |step: &str| step.replace("~1", "/").replace("~0", "~");
    let (front, last) = path.rsplit_once('/')?;
    let mut steps = front.split('/').skip(1).map(plain);
    let Some(first) = steps.next() else { return Some((Parent::Object(event), plain(last))) };
    let mut at = event.get_mut(&first)?;
    for step in steps {
        at = match at {
            Value::Object(members) => members.get_mut(&step)?,
            Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    match at {
        Value::Object(members) => Some((Parent::Object(members), plain(last))),
        Value::Array(items) => Some((Parent::Array(items), plain(last))),
        _ => None,
    }
}

enum Parent<'a> {
    Object(&'a mut Map<String, Value>),
    Array(&'a mut Vec<Value>),
}

/// An item of an array leaves null, so that the others keep their places.
fn remove(event: &mut Map<String, Value>, path: &str) -> bool {
    match parent(event, path) {
        Some((Parent::Object(members), last)) => members.remove(&last).is_some(),
        Some((Parent::Array(items), last)) => {
            let item = last.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            item.is_some_and(|item| !std::mem::take(item).is_null())
        }
        None => false,
    }
}

fn upsert(event: &mut Map<String, Value>, path: &str, value: Value) -> bool {
    match parent(event, path) {
        Some((Parent::Object(members), last)) => {
            members.insert(last, value);
            true
        }
        Some((Parent::Array(items), last)) => {
            let item = last.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            item.map(|item| *item = value).is_some()
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(rules: &str, event: Value) -> Value {
        let modules = [("mask.rego".to_owned(), format!("package system.log\n\n{rules}"))].into();
        let bundle = Bundle::from_parts(modules, "{}").unwrap();
        let Value::Object(mut event) = event else { panic!("{event}") };
        Mask::of(&bundle, Limits { timeout_ms: 1000 }).unwrap().apply(&mut event);
        Value::Object(event)
    }

    #[test]
    fn what_a_mask_names_is_erased_or_replaced_and_named() {
        let rules = "mask contains \"/input/password\"\n\nmask contains {\"op\": \"upsert\", \"path\": \"/input/name\", \"value\": \"*\"} if \
             input.input.name\n\nmask contains \"/input/list/0/secret\"\n\nmask contains \"/input/none\"\n";
        let event = json!({"input": {"password": "p", "name": "n", "list": [{"secret": 1, "open": 2}], "other": 3}});
        let expected = json!({
            "erased": ["/input/list/0/secret", "/input/password"],
            "input": {"list": [{"open": 2}], "name": "*", "other": 3},
            "masked": ["/input/name"],
        });
        assert_eq!(masked(rules, event), expected);
    }

    #[test]
    fn masks_that_fail_or_do_not_fit_leave_nothing() {
        let event = json!({"decision_id": "d", "input": {"a": "x"}, "result": true});
        let nothing = json!({"decision_id": "d", "erased": ["/input", "/result"]});
        for rules in [
            "mask contains to_number(input.input.a)\n",
            "mask contains \"/decision_id\"\n",
            "mask contains 1\n",
            "mask contains {\"op\": \"move\", \"path\": \"/input/a\"}\n",
            "mask := \"/input\"\n",
        ] {
            assert_eq!(masked(rules, event.clone()), nothing, "{rules}");
        }
    }

    #[test]
    fn a_bundle_without_masks_masks_nothing() {
        let event = json!({"input": {"a": 1}});
        let mut shown = event.as_object().unwrap().clone();
        Mask::of(&Bundle::stock().unwrap(), Limits { timeout_ms: 1000 }).unwrap().apply(&mut shown);
        assert_eq!(Value::Object(shown), event);
    }
}
