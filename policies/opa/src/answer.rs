//! What an answer of OPA says: the value of the rule, and which bundle gave it.

use serde_json::{Map, Value};
use xagent_domain::{FailureClass, Outcome};
use xagent_policies::answer::{document, failure, undefined};

/// An answer, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The value of the rule, from the one bundle of this revision.
    Value { revision: Option<String>, version: String, outcome: Outcome },
    /// An error. It does not say which bundle it is of.
    Error(Outcome),
    /// Nothing of this protocol.
    Nonsense(String),
}

/// Reads an answer of `POST /v1/data/...?provenance=true`.
pub(crate) fn read(status: u16, body: &[u8]) -> Answer {
    let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else {
        return Answer::Nonsense(format!("it answered {status} without a JSON object"));
    };
    match status {
        200 => Answer::Value {
            revision: revision(&body),
            version: text(body.get("provenance").and_then(|p| p.get("version"))).unwrap_or_default(),
            outcome: body.remove("result").map_or_else(undefined, |value| document(&value)),
        },
        500 if text(body.get("code")).as_deref() == Some("internal_error") => Answer::Error(error(&body)),
        other => Answer::Nonsense(format!("it answered {other}: {}", text(body.get("message")).unwrap_or_default())),
    }
}

/// The revision of its only bundle: none, or a second one, prove nothing.
fn revision(body: &Map<String, Value>) -> Option<String> {
    let bundles = body.get("provenance")?.get("bundles")?.as_object()?;
    let mut bundles = bundles.values();
    let only = bundles.next().filter(|_| bundles.next().is_none())?;
    text(only.get("revision"))
}

fn error(body: &Map<String, Value>) -> Outcome {
    let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten();
    let words =
        errors.filter_map(|error| Some(format!("{}: {}", text(error.get("code"))?, text(error.get("message"))?)));
    let words: Vec<_> = words.collect();
    let words = if words.is_empty() { text(body.get("message")).unwrap_or_default() } else { words.join("; ") };
    failure(FailureClass::EvaluationError, &words)
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(body: &str) -> (Option<String>, Outcome) {
        match read(200, body.as_bytes()) {
            Answer::Value { revision, outcome, .. } => (revision, outcome),
            other => panic!("{other:?}"),
        }
    }

    fn class(outcome: &Outcome) -> Option<FailureClass> {
        match outcome {
            Outcome::Failure { class, .. } => Some(*class),
            Outcome::Document(_) => None,
        }
    }

    #[test]
    fn a_result_that_is_missing_is_undefined_and_one_that_is_null_has_the_wrong_shape() {
        assert_eq!(class(&value("{}").1), Some(FailureClass::Undefined));
        assert_eq!(class(&value("{\"result\":null}").1), Some(FailureClass::WrongShape));
        assert_eq!(class(&value("{\"result\":true}").1), Some(FailureClass::WrongShape));
        assert_eq!(class(&value("{\"result\":{\"allow\":true}}").1), Some(FailureClass::WrongShape));
    }

    #[test]
    fn only_the_revision_of_a_single_bundle_counts() {
        let of = |bundles: &str| value(&format!("{{\"provenance\":{{\"bundles\":{bundles}}}}}")).0;
        assert_eq!(of("{\"a\":{\"revision\":\"x\"}}"), Some("x".to_owned()));
        assert_eq!(of("{\"a\":{\"revision\":\"x\"},\"b\":{\"revision\":\"x\"}}"), None);
        assert_eq!(of("{}"), None);
        assert_eq!(value("{\"provenance\":{\"revision\":\"x\"}}").0, None);
    }

    #[test]
    fn what_is_no_answer_is_nonsense() {
        for (status, body) in [(200, "[]"), (200, "x"), (404, "{}"), (302, "{}"), (500, "{\"code\":\"other\"}")] {
            assert!(matches!(read(status, body.as_bytes()), Answer::Nonsense(_)), "{status} {body}");
        }
    }
}
