//! Canonical bytes: RFC 8785 (JCS). What is hashed or compared is these bytes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::Digest;

/// The largest integer magnitude that survives a round trip through an IEEE 754 double (RFC 7493 section 2.2).
const SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A JSON text in RFC 8785 form. Written in events as a string, so that the bytes themselves are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CanonicalJson(String);

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// The value could not be serialised.
    #[error("cannot write the value as canonical JSON: {0}")]
    Serialise(String),
    /// An integer that would change on its way through other JSON readers.
    #[error("the number {number} at `{at}` is outside ±(2^53 - 1); send it as a string")]
    UnsafeInteger {
        /// JSON pointer of the number.
        at: String,
        /// The number as written.
        number: String,
    },
    /// Not JSON at all.
    #[error("not valid JSON: {0}")]
    Parse(String),
}

impl CanonicalJson {
    /// The canonical form of `value`.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, CanonicalError> {
        let failed = |error: String| CanonicalError::Serialise(error);
        let bytes = crate::jcs::to_vec(value).map_err(|error| failed(error.to_string()))?;
        String::from_utf8(bytes).map(Self).map_err(|error| failed(error.to_string()))
    }

    /// Parses any JSON text, refusing integers that other readers would round, and canonicalises it.
    pub fn parse(text: &str) -> Result<Self, CanonicalError> {
        let value: Value = serde_json::from_str(text).map_err(|e| CanonicalError::Parse(e.to_string()))?;
        Self::of_value(&value)
    }

    /// As [`CanonicalJson::parse`], for a value already parsed.
    pub fn of_value(value: &Value) -> Result<Self, CanonicalError> {
        refuse_unsafe_integers(value, &mut String::new())?;
        Self::of(value)
    }

    /// Takes text read back from a record. The caller compares its digest; nothing is re-serialised.
    pub fn recorded(text: String) -> Self {
        Self(text)
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself.
    pub fn into_string(self) -> String {
        self.0
    }

    /// SHA-256 of the canonical bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// The value the text stands for.
    pub fn value(&self) -> Result<Value, CanonicalError> {
        serde_json::from_str(&self.0).map_err(|e| CanonicalError::Parse(e.to_string()))
    }
}

/// Policy inputs hold strings and integers only: a whole float becomes an integer, any other the
/// decimal string ECMAScript would print. Engines differ in how they print floats; strings do not.
pub fn without_floats(value: Value) -> Value {
    match value {
        Value::Number(n) if n.is_f64() => float_as_exact(n),
        Value::Array(items) => Value::Array(items.into_iter().map(without_floats).collect()),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(k, v)| (k, without_floats(v))).collect()),
        other => other,
    }
}

fn float_as_exact(number: Number) -> Value {
    let text = CanonicalJson::of(&number).map_or_else(|_| number.to_string(), CanonicalJson::into_string);
    match text.parse::<i64>() {
        Ok(whole) if whole.unsigned_abs() <= SAFE_INTEGER => Value::from(whole),
        _ => Value::String(text),
    }
}

fn refuse_unsafe_integers(value: &Value, at: &mut String) -> Result<(), CanonicalError> {
    match value {
        Value::Number(n) => {
            let unsafe_integer = n.as_u64().is_some_and(|u| u > SAFE_INTEGER)
                || n.as_i64().is_some_and(|i| i.unsigned_abs() > SAFE_INTEGER);
            if unsafe_integer {
                return Err(CanonicalError::UnsafeInteger { at: at.clone(), number: n.to_string() });
            }
            Ok(())
        }
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, item)| descend(item, at, &index.to_string()))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(name, item)| descend(item, at, name)),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

fn descend(item: &Value, at: &mut String, step: &str) -> Result<(), CanonicalError> {
    let length = at.len();
    at.push('/');
    at.push_str(step);
    refuse_unsafe_integers(item, at)?;
    at.truncate(length);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_and_numbers_written_as_ecmascript_does() {
        let text = CanonicalJson::parse("{\"b\": 1.0, \"a\": [1e2, \"\\u00e9\"]}").unwrap();
        assert_eq!(text.as_str(), "{\"a\":[100,\"é\"],\"b\":1}");
    }

    #[test]
    fn an_integer_beyond_a_double_is_refused_by_its_place() {
        let error = CanonicalJson::parse("{\"a\":[1,9007199254740993]}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the number 9007199254740993 at `/a/1` is outside ±(2^53 - 1); send it as a string"
        );
    }

    #[test]
    fn a_policy_input_holds_no_floats() {
        assert_eq!(without_floats(json!({"a": 98.7, "b": [100.0, 3]})), json!({"a": "98.7", "b": [100, 3]}));
    }
}
