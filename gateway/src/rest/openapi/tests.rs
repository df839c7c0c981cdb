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
