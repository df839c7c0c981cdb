//! What changed between two states of a run: a JSON Patch (RFC 6902) that leads from one to the other.

use json_patch::PatchOperation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One operation of the patch. `was` is no part of RFC 6902, whose readers ignore it (section 4): it says what there was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Change {
    /// Something is there that was not.
    Add {
        /// Where, as a JSON Pointer (RFC 6901).
        path: String,
        /// What.
        value: Value,
    },
    /// Something is gone.
    Remove {
        /// Where.
        path: String,
        /// What there was.
        was: Value,
    },
    /// Something is something else.
    Replace {
        /// Where.
        path: String,
        /// What there was.
        was: Value,
        /// What is there now.
        value: Value,
    },
}

/// The changes from `before` to `after`, the same for the same states. Each is said of what those before it have left.
pub fn diff(before: &Value, after: &Value) -> Vec<Change> {
    let mut present = before.clone();
    let mut changes = Vec::new();
    for operation in json_patch::diff(before, after).0 {
        let path = operation.path().to_string();
        let was = present.pointer(&path).cloned().unwrap_or_default();
        let applied = json_patch::patch(&mut present, std::slice::from_ref(&operation));
        changes.extend(change(operation, path, was).filter(|_| applied.is_ok()));
    }
    changes
}

/// A difference of two values adds, removes and replaces; moving, copying and testing say nothing of a change.
fn change(operation: PatchOperation, path: String, was: Value) -> Option<Change> {
    match operation {
        PatchOperation::Add(add) => Some(Change::Add { path, value: add.value }),
        PatchOperation::Remove(_) => Some(Change::Remove { path, was }),
        PatchOperation::Replace(replace) => Some(Change::Replace { path, was, value: replace.value }),
        PatchOperation::Move(_) | PatchOperation::Copy(_) | PatchOperation::Test(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_leads_from_one_state_to_the_other_and_says_what_there_was() {
        let before = json!({"goals": [{"id": "g", "status": "open"}], "open": {"c": 1}, "status": "running"});
        let after = json!({
            "goals": [{"id": "g", "status": "achieved"}, {"id": "h", "status": "open"}], "open": {}, "status": "running",
        });
        let changes = diff(&before, &after);
        assert_eq!(
            json!(changes),
            json!([
                {"op": "replace", "path": "/goals/0/status", "was": "open", "value": "achieved"},
                {"op": "add", "path": "/goals/1", "value": {"id": "h", "status": "open"}},
                {"op": "remove", "path": "/open/c", "was": 1},
            ])
        );
        let patch: json_patch::Patch = serde_json::from_value(json!(changes)).unwrap();
        let mut patched = before;
        json_patch::patch(&mut patched, &patch).unwrap();
        assert_eq!(patched, after);
        assert_eq!(diff(&after, &after), []);
    }
}
