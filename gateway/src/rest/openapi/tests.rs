//! What must hold of the description.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{document, parameters};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn described() -> Value {
    document(&crate::rest::described())
}

/// Each operation with its path and method.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = METHODS.iter().filter(|method| item.get(**method).is_some());
        methods.map(|method| (format!("{method} {path}"), item[*method].clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn the_document_is_the_one_that_was_reviewed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let text = serde_json::to_string_pretty(&described()).unwrap() + "\n";
    if std::env::var_os("XAGENT_REGENERATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let reviewed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(reviewed == text, "docs/openapi.json is not what the routes say: run this test with XAGENT_REGENERATE=1");
}

#[test]
fn every_operation_has_a_name_a_summary_a_tag_and_its_answers() {
    let document = described();
    let tags: BTreeSet<_> = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].to_string()).collect();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}: its operationId is taken");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no summary");
        assert!(tags.contains(&operation["tags"][0].to_string()), "{name}: {} is no tag", operation["tags"]);
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.len() > 1, "{name} says too little of its answers");
        let described: BTreeSet<_> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let path = name.split(' ').nth(1).unwrap();
        assert_eq!(
            described,
            parameters::names(path).collect(),
            "{name}: list its parameters in `parameters::of_path`"
        );
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = described();
    let text = document.to_string();
    let references: BTreeSet<_> =
        text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(references.len() > 20);
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    assert!(!text.contains("\"x-"), "an embedded schema was not put in its place");
}

#[test]
fn nothing_is_routed_that_is_not_described() {
    let rest = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rest");
    // Written apart, so that this file does not find itself.
    let undescribed = [[".rou", "te("].concat(), [".route_ser", "vice("].concat(), [".nest_ser", "vice("].concat()];
    for file in std::fs::read_dir(rest).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(!undescribed.iter().any(|call| text.contains(call)), "{}: use `routes!`", file.path().display());
    }
}

/// Contents of requests and answers, each with its place.
fn contents(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (name, operation) in operations(document) {
        let answers = operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.starts_with('2'));
        let holders = answers.map(|(status, answer)| (format!("{name} {status}"), answer.clone()));
        for (place, holder) in holders.chain([(format!("{name} body"), operation["requestBody"].clone())]) {
            for (media_type, content) in holder["content"].as_object().into_iter().flatten() {
                found.push((place.clone(), media_type.clone(), content.clone()));
            }
        }
    }
    found
}

#[test]
fn every_operation_and_every_problem_has_an_example_that_is_as_described() {
    let document = described();
    // What has no text to be shown, or is this very document.
    let without = ["application/gzip", "application/octet-stream", "application/vnd.apache.parquet", "text/html"];
    for (place, media_type, content) in contents(&document) {
        if without.contains(&media_type.as_str()) || place.starts_with("get /openapi.json") {
            continue;
        }
        let examples =
            content["examples"].as_object().unwrap_or_else(|| panic!("{place} has no example as {media_type}"));
        for (name, example) in examples {
            let schema = content.get("schema").cloned().unwrap_or(Value::Bool(true));
            holds(&document, &schema, &example["value"], &format!("{place}: {name}"));
        }
    }
    let problems = document["components"]["examples"].as_object().unwrap();
    assert_eq!(problems.len(), crate::problem::ProblemType::ALL.len());
    for (name, example) in problems {
        holds(&document, &document["components"]["schemas"]["Problem"], &example["value"], name);
        assert!(
            document["components"]["responses"].to_string().contains(&format!("/errors/{name}"))
                || ["method-not-allowed", "cross-site"].contains(&name.as_str()),
            "{name}"
        );
    }
    for (name, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().unwrap().iter().filter(|one| one["required"] == true) {
            assert!(parameter.get("example").is_some(), "{name}: {} has no example", parameter["name"]);
            holds(&document, &parameter["schema"], &parameter["example"], &format!("{name}: {}", parameter["name"]));
        }
    }
}

fn holds(document: &Value, schema: &Value, value: &Value, what: &str) {
    let whole = serde_json::json!({"allOf": [schema], "components": document["components"]});
    let validator = jsonschema::validator_for(&whole).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{what} is not as described: {errors:#?}");
}

#[test]
fn the_page_shows_every_operation_and_asks_for_nothing_from_elsewhere() {
    let document = described();
    let page = super::page::page(&document);
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert_eq!(page.matches(&format!("<article id=\"{id}\">")).count(), 1, "{name}");
        assert!(page.contains(&format!("href=\"#{id}\"")), "{name}");
    }
    for unwanted in ["<script", "src=", "@import", "<link", "http-equiv"] {
        assert!(!page.contains(unwanted), "{unwanted}");
    }
    let links = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
    for anchor in links.collect::<BTreeSet<_>>() {
        assert!(page.contains(&format!("id=\"{anchor}\"")), "#{anchor} leads nowhere");
    }
}

#[test]
fn no_two_types_share_a_name() {
    let routes = serde_json::to_value(crate::rest::described()).unwrap();
    let mut all = std::collections::BTreeMap::<String, BTreeSet<String>>::new();
    gather(&routes, &mut all);
    for (name, schema) in routes["components"]["schemas"].as_object().unwrap() {
        all.entry(name.clone()).or_default().insert(schema[super::schema::SCHEMA].to_string());
    }
    // Read and sent in two forms: what may be left out in a registration is always told in the list. The one told is the
    // wider one.
    all.remove("Tool");
    for (name, forms) in all {
        assert_eq!(forms.len(), 1, "{name}: {forms:#?}");
    }
}

fn gather(value: &Value, all: &mut std::collections::BTreeMap<String, BTreeSet<String>>) {
    for (name, schema) in value[super::schema::DEFINITIONS].as_object().into_iter().flatten() {
        all.entry(name.clone()).or_default().insert(schema.to_string());
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, all)),
        Value::Object(fields) => fields.values().for_each(|field| gather(field, all)),
        _ => {}
    }
}
