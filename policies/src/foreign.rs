//! Asking a bundle what a stock OPA was asked: any rule, not strict where OPA was not, and what it once got from outside
//! given again from the record. For replays of decision logs and for masks; nothing of it is a decision of this system.

use std::collections::BTreeMap;

use regorus::{Engine, Value as Rego};
use serde_json::Value;
use xagent_domain::{CanonicalJson, Limits};

use crate::answer::bounded;
use crate::embedded::compile;
use crate::{Bundle, BundleError};

/// The builtins OPA keeps the answers of, with how many arguments each takes.
const RECORDED: [(&str, u8); 9] = [
    ("http.send", 1),
    ("io.jwt.decode_verify", 2),
    ("io.jwt.encode_sign", 3),
    ("io.jwt.encode_sign_raw", 3),
    ("net.lookup_ip_addr", 1),
    ("opa.runtime", 0),
    ("rand.intn", 2),
    ("time.now_ns", 0),
    ("uuid.rfc4122", 1),
];

/// A bundle to be asked so.
pub struct Foreign(Engine);

/// Why there is no telling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswerable(String);

impl Foreign {
    /// Over a bundle.
    pub fn new(bundle: &Bundle, limits: Limits) -> Result<Self, BundleError> {
        let mut engine = compile(bundle, false, limits)?;
        engine.set_strict_builtin_errors(false);
        Ok(Self(engine))
    }

    /// As [`Foreign::new`], with builtin errors as errors.
    pub fn strict(bundle: &Bundle, limits: Limits) -> Result<Self, BundleError> {
        compile(bundle, false, limits).map(Self)
    }

    /// The value of the rule at `path`, none where it has none; `recorded` is the `nd_builtin_cache` of the decision.
    pub fn value(
        &self,
        path: &str,
        input: Option<&Value>,
        recorded: Option<&Value>,
    ) -> Result<Option<CanonicalJson>, Unanswerable> {
        let failed = |error: anyhow::Error| Unanswerable(bounded(&format!("{error:#}")));
        let mut engine = self.0.clone();
        give_again(&mut engine, recorded).map_err(failed)?;
        // Without an input there is none, as with OPA: what refers to it is undefined.
        let input = input.map(|input| Rego::from_json_str(&input.to_string())).transpose().map_err(failed)?;
        engine.set_input(input.unwrap_or(Rego::Undefined));
        let results = engine.eval_query(query(path), false).map_err(failed)?;
        let value = results.result.first().and_then(|result| result.expressions.first()).map(|found| &found.value);
        let value = value.filter(|value| **value != Rego::Undefined);
        value.map(CanonicalJson::of).transpose().map_err(|error| Unanswerable(error.to_string()))
    }
}

/// `a/b` is `data["a"]["b"]`.
fn query(path: &str) -> String {
    let steps = path.split('/').filter(|step| !step.is_empty()).map(|step| format!("[{}]", Value::from(step)));
    format!("data{}", steps.collect::<String>())
}

/// Answers such calls from the record, and fails where it holds none.
fn give_again(engine: &mut Engine, recorded: Option<&Value>) -> anyhow::Result<()> {
    for (name, arguments) in RECORDED {
        let mut answers = BTreeMap::new();
        for (call, answer) in recorded.and_then(|recorded| recorded.get(name)?.as_object()).into_iter().flatten() {
            answers.insert(
                CanonicalJson::of(&serde_json::from_str::<Value>(call)?)?,
                Rego::from_json_str(&answer.to_string())?,
            );
        }
        let answer = move |given: Vec<Rego>| {
            let call = CanonicalJson::of(&given)?;
            let missing = || anyhow::anyhow!("{name}{} has no recorded answer", call.as_str());
            answers.get(&call).cloned().ok_or_else(missing)
        };
        engine.add_extension(name.to_owned(), arguments, Box::new(answer))?;
    }
    Ok(())
}
