//! Deny codes: one enum in `domain`, the modules and the documentation hold to it.

use std::collections::BTreeSet;

use xagent_domain::DenyCode;
use xagent_policies::Bundle;

const DOCUMENTED: &str = include_str!("../../docs/policies.md");

/// Codes that no module writes: the decision record and the run do.
const OUTSIDE_THE_MODULES: [DenyCode; 3] =
    [DenyCode::PolicyError, DenyCode::ApprovalRefused, DenyCode::RecordingMissing];

fn written(source: &str) -> BTreeSet<String> {
    let reasons = source.split("base.reason(\"").skip(1).chain(source.split("{\"code\": \"").skip(1));
    reasons.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

#[test]
fn the_modules_write_exactly_the_codes_of_the_enum() {
    let stock = Bundle::stock().unwrap();
    let modules = stock.modules().iter().filter(|(path, _)| !path.ends_with("_test.rego"));
    let written: BTreeSet<String> = modules.flat_map(|(_, source)| written(source)).collect();
    let inside = DenyCode::ALL.iter().filter(|code| !OUTSIDE_THE_MODULES.contains(code));
    let expected: BTreeSet<String> = inside.map(|code| code.as_str().to_owned()).collect();
    assert_eq!(written, expected);
}

#[test]
fn every_code_is_documented_once() {
    for code in DenyCode::ALL {
        let row = format!("| `{}` |", code.as_str());
        assert_eq!(DOCUMENTED.matches(&row).count(), 1, "docs/policies.md has no row {row}");
    }
}

#[test]
fn codes_are_distinct() {
    let distinct: BTreeSet<_> = DenyCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(distinct.len(), DenyCode::ALL.len());
}
