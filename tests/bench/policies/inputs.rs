//! Tool calls as they were recorded, each with arguments that bring its input to about 2 KB.

use serde_json::Value;
use xagent_domain::{CanonicalJson, Entrypoint};

const RECORDED: &str = include_str!("../../../projections/replay/tests/fixtures/repo_review_v1.json");
const SIZE: usize = 2048;

/// A policy input.
pub struct Input {
    pub text: CanonicalJson,
}

pub fn inputs() -> Vec<Input> {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let decisions = recorded["events"].as_array().unwrap().iter().filter(|event| event["event_type"] == "DecisionMade");
    let evaluations = decisions.map(|event| serde_json::from_str::<Value>(event["payload"].as_str().unwrap()).unwrap());
    let tools =
        evaluations.filter(|made| made["DecisionMade"]["evaluation"]["entrypoint"] == Entrypoint::tools().as_str());
    tools.map(|made| input(made["DecisionMade"]["input"]["text"].as_str().unwrap())).collect()
}

fn input(text: &str) -> Input {
    let mut value: Value = serde_json::from_str(text).unwrap();
    let lacking = SIZE.saturating_sub(text.len());
    value["arguments"]["note"] = Value::from("lorem ipsum ".repeat(lacking / 12));
    Input { text: CanonicalJson::of_value(&value).unwrap() }
}
