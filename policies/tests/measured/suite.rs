//! A suite of user tasks and injected tasks, with what its tools are and what the installation's data says: all of it data.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use xagent_domain::CanonicalJson;
use xagent_domain::tool::Registration;

/// A call of the ground truth.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    pub tool: String,
    pub args: Value,
}

/// A task of the suite.
#[derive(Clone, Debug, Deserialize)]
pub struct Task {
    pub task: String,
    pub kind: String,
    pub prompt: String,
    pub calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Tool {
    name: String,
    description: String,
    parameters: Value,
}

#[derive(Deserialize)]
struct Tasks {
    tasks: Vec<Task>,
    tools: Vec<Tool>,
}

#[derive(Deserialize)]
struct Derived {
    task: String,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    #[serde(rename = "about")]
    _about: String,
    law: Value,
    outputs: BTreeMap<String, BTreeMap<String, Value>>,
    tools: BTreeMap<String, Map<String, Value>>,
    derived_injections: Vec<Derived>,
}

/// A suite, ready to be tried.
pub struct Suite {
    pub name: &'static str,
    pub users: Vec<Task>,
    pub injections: Vec<Task>,
    /// Calls written here, from the prompts of injected tasks that come without any.
    pub derived: Vec<Task>,
    pub tools: BTreeMap<String, Registration>,
    /// What the installation's data says beside the stock bundle's.
    pub law: Value,
    outputs: BTreeMap<String, BTreeMap<String, Value>>,
}

impl Suite {
    /// Reads `NAME` from a folder under `tests/data`.
    pub fn read(name: &'static str, tasks: &str, annotations: &str) -> Self {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data");
        let text = |path: &str| std::fs::read_to_string(data.join(path)).unwrap();
        let tasks: Tasks = serde_json::from_str(&text(tasks)).unwrap();
        let annotations: Annotations = serde_json::from_str(&text(annotations)).unwrap();
        let tools =
            tasks.tools.iter().map(|tool| (tool.name.clone(), registration(tool, &annotations.tools[&tool.name])));
        let tools: BTreeMap<_, _> = tools.collect();
        assert_eq!(tools.keys().collect::<Vec<_>>(), annotations.tools.keys().collect::<Vec<_>>());
        let of = |kind: &str| tasks.tasks.iter().filter(|task| task.kind == kind).cloned().collect::<Vec<_>>();
        let (users, injections) = (of("user"), of("injection"));
        let derived = annotations.derived_injections.into_iter().map(|derived| {
            let told = injections.iter().find(|task| task.task == derived.task).unwrap();
            assert!(told.calls.is_empty(), "{} has calls of its own", told.task);
            Task { calls: derived.calls, ..told.clone() }
        });
        let derived: Vec<_> = derived.collect();
        for told in injections.iter().filter(|task| task.calls.is_empty()) {
            assert!(derived.iter().any(|derived| derived.task == told.task), "{} is tried with no calls", told.task);
        }
        Self { name, users, injections, derived, tools, law: annotations.law, outputs: annotations.outputs }
    }

    /// What a tool gives back: of trusted sources what the annotations say, of all others nothing that could vouch.
    pub fn output(&self, call: &Call) -> Value {
        let asked = call.args.as_object().and_then(|args| args.values().next()).and_then(Value::as_str).unwrap_or("");
        self.outputs.get(&call.tool).and_then(|answers| answers.get(asked)).cloned().unwrap_or_else(|| json!({}))
    }

    /// Whether a call changes something outside the run.
    pub fn is_consequential(&self, call: &Call) -> bool {
        self.tools[&call.tool].consequential
    }

    /// Whether a call reads content of outsiders.
    pub fn reads_untrusted(&self, call: &Call) -> bool {
        self.tools[&call.tool].reads_untrusted
    }
}

fn registration(tool: &Tool, annotations: &Map<String, Value>) -> Registration {
    let mut fields = annotations.clone();
    fields.insert("name".to_owned(), json!(tool.name));
    fields.insert("description".to_owned(), json!(tool.description));
    fields.insert("schema".to_owned(), json!(CanonicalJson::of_value(&tool.parameters).unwrap()));
    fields.insert("executor".to_owned(), json!("client"));
    fields.entry("risk").or_insert(json!("medium"));
    serde_json::from_value(Value::Object(fields)).unwrap()
}
