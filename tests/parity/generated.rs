//! Inputs such as occur: templates with members changed to other values that occur.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use xagent_domain::{CanonicalJson, Entrypoint, without_floats};

use crate::contest::Question;
use crate::templates::Templates;

/// Makes inputs. The same seed makes the same ones.
pub struct Generator {
    templates: Templates,
    /// What occurs under a member's name.
    known: BTreeMap<String, Vec<Value>>,
    pub random: StdRng,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let templates = Templates::stock();
        let mut known = BTreeMap::new();
        templates.api.iter().chain(&templates.tools).for_each(|template| collect(template, "", &mut known));
        collect(&templates.data, "", &mut known);
        for (name, values) in occurring() {
            known.entry(name.to_owned()).or_default().extend(values);
        }
        Self { templates, known, random: StdRng::seed_from_u64(seed) }
    }

    /// A template as it is, for one of the entrypoints.
    pub fn template(&mut self) -> (Entrypoint, Value) {
        let entrypoint = if self.random.random_bool(0.35) { Entrypoint::api() } else { Entrypoint::tools() };
        let template = self.templates.of(&entrypoint).choose(&mut self.random).unwrap().clone();
        (entrypoint, template)
    }

    /// An input such as occurs.
    pub fn input(&mut self) -> (Entrypoint, Value) {
        let (entrypoint, mut input) = self.template();
        self.resources(&mut input);
        for _ in 0..self.random.random_range(0..4) {
            let known = &self.known;
            change(&mut input, &mut self.random, |name, old, random| {
                let leaf = !old.is_array() && !old.is_object();
                known.get(name).filter(|_| leaf).and_then(|values| values.choose(random)).cloned()
            });
        }
        (entrypoint, input)
    }

    /// What a tool call touches.
    fn resources(&mut self, input: &mut Value) {
        let Some(resources) = input.get_mut("resources") else { return };
        let random = &mut self.random;
        let mut some = |name: &str| self.known[name].choose(random).unwrap().clone();
        let paths = json!([{"argument": "path", "normal": some("normal"), "problem": some("problem"), "raw": "r"}]);
        let addresses = json!([some("address"), some("address")]);
        let urls = json!([{"addresses": addresses, "argument": "url", "host": some("host"), "port": some("port"),
            "problem": some("problem"), "raw": "r", "scheme": some("scheme")}]);
        let code = json!([{"argument": "code", "language": some("language"), "text": some("text")}]);
        for (name, value) in [("paths", paths), ("urls", urls), ("code", code)] {
            if random.random_bool(0.3) {
                resources[name] = value;
            }
        }
    }
}

pub fn question((entrypoint, input): (Entrypoint, Value)) -> Question {
    (entrypoint, CanonicalJson::of_value(&without_floats(input)).unwrap())
}

/// Puts another value, which `draw` may have for its name and the old one, in the place of one leaf.
pub fn change(
    input: &mut Value,
    random: &mut StdRng,
    mut draw: impl FnMut(&str, &Value, &mut StdRng) -> Option<Value>,
) {
    let (mut at, mut name) = (input, String::new());
    loop {
        let steps = match at {
            Value::Object(members) if !members.is_empty() => members.len(),
            Value::Array(items) if !items.is_empty() => items.len(),
            _ => break,
        };
        // Now and then a whole branch is replaced.
        if !name.is_empty() && random.random_bool(0.05) {
            break;
        }
        let step = random.random_range(0..steps);
        at = match at {
            Value::Object(members) => {
                let (key, value) = members.iter_mut().nth(step).unwrap();
                name.clone_from(key);
                value
            }
            Value::Array(items) => &mut items[step],
            _ => unreachable!("a leaf has no steps"),
        };
    }
    if let Some(value) = draw(&name, at, random) {
        *at = value;
    }
}

fn collect(value: &Value, name: &str, known: &mut BTreeMap<String, Vec<Value>>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| collect(value, name, known)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, known)),
        leaf => known.entry(name.to_owned()).or_default().push(leaf.clone()),
    }
}

fn occurring() -> [(&'static str, Vec<Value>); 16] {
    let texts = |texts: &[&str]| texts.iter().map(|text| Value::from(*text)).collect::<Vec<_>>();
    let numbers = |numbers: &[i64]| numbers.iter().map(|number| Value::from(*number)).collect::<Vec<_>>();
    [
        ("normal", texts(&["a.md", "scratch/a.md", "src/.env", ".git/config", "secrets/x", "id_rsa", "a/b.pem", ""])),
        ("problem", texts(&["", "", "", "", "it leaves the workspace"])),
        ("host", texts(&["example.com", "127.0.0.1", "10.0.0.1", "::1", "xn--bcher-kva.example"])),
        ("port", numbers(&[80, 443, 8080, 22, 0, 65535])),
        ("scheme", texts(&["http", "https", "https", "ftp", "file"])),
        (
            "address",
            texts(&["1.1.1.1", "93.184.216.34", "10.1.2.3", "169.254.169.254", "::1", "2606:4700::1111", "fe80::1"]),
        ),
        ("language", texts(&["python", "python", "shell", "javascript", "sql", "cobol"])),
        (
            "text",
            texts(&[
                "print(1)",
                "import os\nos.system('x')",
                "eval (x)",
                "x = my_eval(y)",
                "import socket",
                "rm -rf /",
            ]),
        ),
        ("roles", texts(&["auditor", "operator", "viewer"])),
        ("scopes", texts(&["*", "tool:*", "tool:read_file", "run:read", "audit:read", "approval:decide"])),
        ("risk", texts(&["low", "medium", "high", "critical", "none"])),
        ("status", texts(&["running", "paused", "completed", "cancelled"])),
        ("total", numbers(&[0, 1, 999, 1000, 1001])),
        ("commands_last_minute", numbers(&[0, 11_999, 12_000])),
        ("tool_calls_last_minute", numbers(&[0, 5_999, 6_000])),
        ("expires_at_us", numbers(&[0, 999, 1000, 1001])),
    ]
}
