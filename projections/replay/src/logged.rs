//! A decision that a stock OPA reported, decided again from its event and its bundle.

use serde_json::Value;
use xagent_domain::CanonicalJson;
use xagent_policies::Foreign;

/// What deciding it again gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// The same.
    Identical,
    /// Something else.
    Different {
        /// What was reported; none where the rule had no value.
        recorded: Option<CanonicalJson>,
        /// What it is now.
        replayed: Option<CanonicalJson>,
    },
    /// It cannot be decided again.
    Undecidable(String),
}

/// The revision of the bundle that a reported decision was made by, where it was made by one alone.
pub fn revision(event: &Value) -> Option<&str> {
    let mut bundles = event.get("bundles")?.as_object()?.values();
    bundles.next().filter(|_| bundles.next().is_none())?.get("revision")?.as_str()
}

/// Decides a reported decision again.
pub fn decide_again(event: &Value, bundle: &Foreign) -> Again {
    let Some(path) = event.get("path").and_then(Value::as_str) else {
        return Again::Undecidable("it was a query of its own, not of a rule".to_owned());
    };
    if event.get("erased").or_else(|| event.get("masked")).is_some() {
        return Again::Undecidable("parts of it were masked before it was reported".to_owned());
    }
    if let Some(error) = event.get("error") {
        return Again::Undecidable(format!("OPA reported an error: {error}"));
    }
    let recorded = match event.get("result").map(CanonicalJson::of).transpose() {
        Ok(recorded) => recorded,
        Err(error) => return Again::Undecidable(error.to_string()),
    };
    match bundle.value(path, event.get("input"), event.get("nd_builtin_cache")) {
        Ok(replayed) if replayed == recorded => Again::Identical,
        Ok(replayed) => Again::Different { recorded, replayed },
        Err(error) => Again::Undecidable(error.to_string()),
    }
}
