//! The rules as OPA's own tools see them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use xagent_policies::{Bundle, check};
use xagent_tests::opa;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/rego")
}

/// The files with this end, in order.
fn files(end: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.to_str().unwrap().ends_with(end)).collect();
    files.sort();
    files
}

fn run(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let words = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, words)
}

#[test]
fn opa_finds_nothing_to_mend_in_the_rules() {
    let Some(opa) = opa("`opa check` and `opa fmt`") else { return };
    let schemas = xagent_tests::folder("schemas-");
    for file in files(".schema.json") {
        // Annotations name them `schema.NAME`.
        let name = file.file_name().unwrap().to_str().unwrap().replace(".schema.json", ".json");
        std::fs::copy(&file, schemas.path().join(name)).unwrap();
    }
    let rules = files(".rego");
    assert!(rules.len() >= 6);
    let (output, words) =
        run(Command::new(&opa).args(["check", "--strict", "--schema"]).arg(schemas.path()).args(&rules));
    assert!(output.status.success(), "{words}");
    let (output, words) = run(Command::new(&opa).args(["fmt", "--diff"]).args(&rules));
    assert!(output.status.success() && words.is_empty(), "{words}");
}

#[test]
fn the_same_rule_tests_pass_in_both_engines() {
    let Some(opa) = opa("`opa test`") else { return };
    let ours = check(&Bundle::stock().unwrap()).unwrap().tests_passed;
    let data = folder().join("data.json");
    let (output, words) = run(Command::new(&opa).args(["test", "--format", "json"]).args(files(".rego")).arg(data));
    assert!(output.status.success(), "{words}");
    let results: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let passed = results.iter().filter(|result| result["fail"] != true && result.get("error").is_none()).count();
    assert_eq!((passed, results.len()), (ours as usize, ours as usize));
}
