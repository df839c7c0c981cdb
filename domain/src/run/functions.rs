//! The functions a chat model is offered: the tools, under names its protocol allows, and what it may do to the run's goals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::tool::Registration;
use crate::{CanonicalError, CanonicalJson, Digest};

/// The longest name of a function.
const LONGEST: usize = 64;
/// Characters of a tool's description.
const DESCRIPTION: usize = 1024;
/// Functions that are no tools.
const OWN: [&str; 4] = ["finish", "goal_achieved", "goal_failed", "goal_set"];

/// What is offered, as it is recorded once under its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Functions {
    /// As the request holds them.
    functions: Vec<Value>,
    /// The tool behind each function's name.
    tools: BTreeMap<String, String>,
}

impl Functions {
    /// Offers tools.
    pub fn of(tools: &[Registration]) -> Result<Self, CanonicalError> {
        let mut offered = Self { functions: Vec::new(), tools: BTreeMap::new() };
        for tool in tools {
            let name = offered.name_for(&tool.name);
            let description = super::reply::cut(&tool.description, DESCRIPTION);
            offered.functions.push(function(&name, &description, &tool.schema.value()?));
            offered.tools.insert(name, tool.name.clone());
        }
        offered.functions.extend(own());
        Ok(offered)
    }

    /// As they are recorded.
    pub fn canonical(&self) -> Result<CanonicalJson, CanonicalError> {
        CanonicalJson::of(self)
    }

    /// Recorded ones.
    pub fn recorded(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As the request holds them.
    pub(super) fn functions(&self) -> &[Value] {
        &self.functions
    }

    /// Whether the function is about the run's goals.
    pub(super) fn is_of_goals(name: &str) -> bool {
        matches!(name, "goal_achieved" | "goal_failed" | "goal_set")
    }

    /// The tool behind a function; of one that was not offered, its name as it was given.
    pub(super) fn tool(&self, function: &str) -> String {
        let given = || super::reply::cut(function, 128);
        self.tools.get(function).cloned().unwrap_or_else(given)
    }

    /// A name of letters, digits, `_` and `-` that no other function has.
    fn name_for(&self, tool: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
        let name: String = tool.chars().map(plain).collect();
        let taken = |name: &str| OWN.contains(&name) || self.tools.contains_key(name);
        if name.len() <= LONGEST && !name.is_empty() && !taken(&name) {
            return name;
        }
        let digest = Digest::of(tool.as_bytes()).to_string();
        let apart: String = digest.chars().rev().take(12).collect();
        format!("{}_{apart}", super::reply::cut(&name, LONGEST - 13))
    }
}

fn function(name: &str, description: &str, parameters: &Value) -> Value {
    json!({"type": "function", "function": {"description": description, "name": name, "parameters": parameters}})
}

fn own() -> [Value; 4] {
    let object = |properties: Value| {
        let required: Vec<&String> = properties.as_object().into_iter().flat_map(|fields| fields.keys()).collect();
        json!({"additionalProperties": false, "properties": properties, "required": required, "type": "object"})
    };
    let text = || json!({"type": "string"});
    let number = || json!({"minimum": 2, "type": "integer"});
    [
        function(
            "finish",
            "Ends the run: the goal is reached, or it cannot be. Stands alone in a reply.",
            &object(json!({"achieved": {"type": "boolean"}, "summary": text()})),
        ),
        function("goal_set", "Sets a sub-goal under the goal pursued now.", &object(json!({"text": text()}))),
        function(
            "goal_achieved",
            "Says that a sub-goal is reached, and how.",
            &object(json!({"number": number(), "summary": text()})),
        ),
        function(
            "goal_failed",
            "Gives a sub-goal up, and says why.",
            &object(json!({"number": number(), "reason": text()})),
        ),
    ]
}
