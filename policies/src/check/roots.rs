//! What a bundle's manifest says it owns: its packages and data stay below these roots, as OPA demands.

use serde_json::Value;

use super::Module;
use super::finding::Finding;
use crate::Bundle;

/// Looks at the package of each module and at the data.
pub(crate) fn check(bundle: &Bundle, modules: &[Module], data: &Value, findings: &mut Vec<Finding>) {
    let roots = bundle.roots();
    let remedy = format!("move it, or mend `roots` in .manifest, which are now {roots:?}");
    for module in modules {
        let package = module.package.trim_start_matches("data.").replace('.', "/");
        if !owned(roots, &package) {
            let message = format!("the package `{}` is outside the roots of the manifest", module.package);
            findings.push(module.finding(module.tree.package.refr.span(), "roots", message, remedy.as_str()));
        }
    }
    outside(roots, data, String::new(), &mut |path| {
        let message = format!("`{path}` is outside the roots of the manifest");
        findings.push(Finding::of_file("data.json", "roots", message, remedy.as_str()));
    });
}

fn owned(roots: &[String], path: &str) -> bool {
    roots.iter().any(|root| root.is_empty() || path == root || path.starts_with(&format!("{root}/")))
}

fn outside(roots: &[String], data: &Value, path: String, found: &mut dyn FnMut(&str)) {
    if owned(roots, &path) {
        return;
    }
    let leads_to_a_root = roots.iter().any(|root| path.is_empty() || root.starts_with(&format!("{path}/")));
    match data {
        Value::Object(fields) if leads_to_a_root => {
            for (name, value) in fields {
                let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                outside(roots, value, below, found);
            }
        }
        _ => found(&path),
    }
}
