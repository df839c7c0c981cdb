//! Every answer of the API that a test sees is held to the document that describes it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

/// The document as it was reviewed; a test of the gateway holds it to what is served.
static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap());

/// Schemas, by where they stand.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// An answer of the API.
pub struct Heard<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub content_type: &'a str,
    pub text: &'a str,
}

impl Heard<'_> {
    /// Fails where the document tells nothing of such an answer.
    #[track_caller]
    pub fn check(&self) {
        let Some(template) = template(self.path) else {
            assert_eq!(self.status, 404, "{} is routed and not described", self.path);
            return;
        };
        let operation = &DOCUMENT["paths"][template][self.method.to_lowercase()];
        let what = format!("{} {template}: {}", self.method, self.status);
        if operation.is_null() {
            assert_eq!(self.status, 405, "{what}: it is not described");
            return;
        }
        let response = &operation["responses"][self.status.to_string()];
        let response = match response["$ref"].as_str() {
            Some(reference) => DOCUMENT.pointer(&reference[1..]).unwrap(),
            None => response,
        };
        assert!(!response.is_null(), "{what} is not among its answers: {}", self.text);
        let media_type = self.content_type.split(';').next().unwrap_or_default();
        let Some(contents) = response["content"].as_object() else { return };
        let content = contents.get(media_type).unwrap_or_else(|| panic!("{what} is not described as `{media_type}`"));
        if media_type.ends_with("json") {
            let body: Value = serde_json::from_str(self.text).unwrap();
            let errors: Vec<_> = validator(&format!("{what} {media_type}"), &content["schema"])
                .iter_errors(&body)
                .map(|e| e.to_string())
                .collect();
            assert!(errors.is_empty(), "{what} is not as described: {errors:#?}\n{body:#}");
        }
    }
}

/// The path of the document that a path is of: the one with the fewest parameters.
fn template(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or_default();
    let paths = DOCUMENT["paths"].as_object().unwrap().keys();
    paths
        .filter(|template| fits(template, path))
        .min_by_key(|template| template.matches('{').count())
        .map(String::as_str)
}

fn fits(template: &str, path: &str) -> bool {
    // The one parameter that holds slashes.
    if let Some(start) = template.strip_suffix("{tile}").or_else(|| template.strip_suffix("{bundle}")) {
        return path.starts_with(start);
    }
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let equal = wanted.by_ref().zip(given.by_ref()).all(|(wanted, given)| wanted == given || wanted.starts_with('{'));
    equal && template.matches('/').count() == path.matches('/').count()
}

fn validator(what: &str, schema: &Value) -> Arc<Validator> {
    let mut validators = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let made = validators.entry(what.to_owned()).or_insert_with(|| {
        let whole = json!({"allOf": [schema], "components": DOCUMENT["components"]});
        Arc::new(jsonschema::validator_for(&whole).unwrap())
    });
    made.clone()
}
