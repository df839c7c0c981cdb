//! The rules that are asked: present, and of the shape of a decision document, as written and as answered.

use std::collections::BTreeSet;

use xagent_domain::{CanonicalJson, Entrypoint, FailureClass, Limits, Outcome};

use super::ast::Expr;
use super::finding::Finding;
use super::rules::Rules;
use crate::{Bundle, Embedded, PolicyEngine};

/// How long one probe may take.
const PROBE: Limits = Limits { timeout_ms: 2000 };
const SHAPE: &str = "{\"allow\": bool, \"deny\": [...], \"obligations\": [...]}";
const FIELDS: [&str; 3] = ["allow", "deny", "obligations"];

/// An input without anything, and one of each kind with everything.
const PROBES: [&str; 3] = ["{}", include_str!("probes/command.json"), include_str!("probes/tool_call.json")];

/// The rules that are asked.
pub(crate) fn all() -> [Entrypoint; 2] {
    [Entrypoint::api(), Entrypoint::tools()]
}

/// Looks at how each entrypoint is written.
pub(crate) fn written(rules: &Rules<'_>, findings: &mut Vec<Finding>) {
    for entrypoint in all() {
        let rule = entrypoint.rule();
        let definitions = rules.all.get(&rule).map(Vec::as_slice).unwrap_or_default();
        if definitions.iter().all(|defined| defined.module.is_test) {
            let message = format!("there is no rule `{rule}`: whatever is asked of it would be denied");
            findings.push(Finding::of_file("", "entrypoint_missing", message, format!("define it as {SHAPE}")));
        }
        for defined in definitions {
            if let Some((at, message)) = defined.definition.value().and_then(misshapen) {
                let finding = defined.module.finding(at.span(), "entrypoint_shape", message, format!("write {SHAPE}"));
                findings.push(finding);
            }
        }
    }
}

/// What is wrong with a value that stands there to be read.
fn misshapen(value: &Expr) -> Option<(&Expr, String)> {
    let fields = match value {
        Expr::Object { fields, .. } => fields,
        Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } | Expr::Call { .. } | Expr::BinExpr { .. } => {
            return None;
        }
        Expr::ObjectCompr { .. } => return None,
        _ => return Some((value, "a decision is an object".to_owned())),
    };
    let names: Option<BTreeSet<&str>> = fields.iter().map(|(_, key, _)| key.text()).collect();
    let names = names?;
    if let Some(missing) = FIELDS.iter().find(|name| !names.contains(*name)) {
        return Some((value, format!("a decision has the field `{missing}`")));
    }
    fields.iter().find_map(|(_, key, value)| match (key.text()?, value) {
        ("allow", Expr::String { .. } | Expr::Number { .. } | Expr::Null { .. } | Expr::Array { .. }) => {
            Some((value, "`allow` is true or false".to_owned()))
        }
        (name @ ("deny" | "obligations"), Expr::Object { .. } | Expr::Bool { .. } | Expr::Null { .. })
        | (name @ ("deny" | "obligations"), Expr::String { .. } | Expr::Number { .. }) => {
            Some((value, format!("`{name}` is a list")))
        }
        _ => None,
    })
}

/// Asks each entrypoint on inputs of every kind.
pub(crate) fn answered(bundle: &Bundle, findings: &mut Vec<Finding>) {
    let engine = Embedded::new(PROBE);
    let Ok(digest) = engine.load(bundle) else { return };
    for entrypoint in all() {
        for probe in PROBES {
            let Ok(input) = CanonicalJson::parse(probe) else { continue };
            let outcome = engine.decide(&digest, &entrypoint, &input).outcome;
            let found = match &outcome {
                Outcome::Failure { class: FailureClass::WrongShape, message } => Some((
                    "entrypoint_shape",
                    format!("answers with another shape: {message}"),
                    format!("answer {SHAPE}"),
                )),
                Outcome::Document(_) if probe == PROBES[0] && outcome.document().allow => Some((
                    "allows_nothing_known",
                    "allows an empty input: nobody, asking for nothing".to_owned(),
                    "prove who asks for what before allowing it".to_owned(),
                )),
                Outcome::Document(_) | Outcome::Failure { .. } => None,
            };
            if let Some((code, message, remedy)) = found {
                let message = format!("`{}` {message}", entrypoint.rule());
                let finding = Finding::of_file("", code, message, remedy);
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_is_a_policy_input() {
        for probe in PROBES {
            assert!(CanonicalJson::parse(probe).is_ok(), "{probe}");
        }
    }
}
