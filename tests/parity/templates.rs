//! Policy inputs to start from: those the rule tests are written on, so that they follow the rules, and recorded ones.

use regorus::{Engine, Value as Rego};
use serde_json::Value;
use xagent_domain::Entrypoint;
use xagent_policies::Bundle;

const RECORDED: &str = include_str!("../../projections/replay/tests/fixtures/repo_review_v1.json");

/// Inputs for each entrypoint, and the data they are decided with.
pub struct Templates {
    pub api: Vec<Value>,
    pub tools: Vec<Value>,
    pub data: Value,
}

impl Templates {
    pub fn stock() -> Self {
        let bundle = Bundle::stock().unwrap();
        let mut engine = Engine::new();
        for (path, text) in bundle.modules() {
            engine.add_policy(path.clone(), text.clone()).unwrap();
        }
        engine.add_data_json(bundle.data()).unwrap();
        let data: Value = serde_json::from_str(bundle.data()).unwrap();
        let commands = data["config"]["commands"].as_object().unwrap().keys();
        let asks = |name: &String| rule(&mut engine.clone(), &format!("data.xagent.api_test.asks({name:?}, [\"*\"])"));
        let mut api: Vec<_> = commands.map(asks).collect();
        let mut tools: Vec<_> = ["call", "tainted"].map(|name| rule(&mut engine, &tools_test(name))).into();
        assert!(api.iter().chain(&tools).all(Value::is_object), "the rule tests name their inputs otherwise");
        let recorded: Value = serde_json::from_str(RECORDED).unwrap();
        for event in recorded["events"].as_array().unwrap().iter().filter(|e| e["event_type"] == "DecisionMade") {
            let payload: Value = serde_json::from_str(event["payload"].as_str().unwrap()).unwrap();
            let made = &payload["DecisionMade"];
            let input = serde_json::from_str(made["input"]["text"].as_str().unwrap()).unwrap();
            let is_api = made["evaluation"]["entrypoint"] == Entrypoint::api().as_str();
            if is_api { api.push(input) } else { tools.push(input) }
        }
        Self { api, tools, data }
    }

    pub fn of(&self, entrypoint: &Entrypoint) -> &[Value] {
        if *entrypoint == Entrypoint::api() { &self.api } else { &self.tools }
    }
}

fn tools_test(name: &str) -> String {
    format!("data.xagent.tools_test.{name}")
}

fn rule(engine: &mut Engine, query: &str) -> Value {
    let results = engine.eval_query(query.to_owned(), false).unwrap();
    let value = results.result.first().and_then(|result| result.expressions.first()).map(|found| &found.value);
    serde_json::to_value(value.unwrap_or(&Rego::Undefined)).unwrap()
}
