//! The gate every bundle passes before it is published: it compiles, holds nothing forbidden, and its tests pass.

use regorus::Value;
use xagent_domain::{Entrypoint, Limits};

use crate::bundle::is_test;
use crate::embedded::compile;
use crate::lint::{Mentions, lint, mentions, recursion};
use crate::machine::program;
use crate::{Bundle, BundleError};

/// How long one test may take.
const TEST: Limits = Limits { timeout_ms: 10_000 };

/// What the gate found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Tests that passed; all of them did.
    pub tests_passed: u32,
}

/// Why a bundle does not pass.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It does not compile.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It holds something forbidden.
    #[error("{path}:{line}: {message}")]
    Forbidden {
        /// The module.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What, and the remedy.
        message: String,
    },
    /// A test does not pass.
    #[error("{path}: the test `{rule}` does not pass: {detail}")]
    Test {
        /// The module.
        path: String,
        /// The rule.
        rule: String,
        /// What it gave instead of true.
        detail: String,
    },
}

/// Lets a bundle through the gate, or says what is in its way.
pub fn check(bundle: &Bundle) -> Result<Checked, CheckError> {
    for (path, text) in bundle.modules() {
        if let Some(finding) = lint(text).into_iter().next() {
            return Err(CheckError::Forbidden { path: path.clone(), line: finding.line, message: finding.message });
        }
    }
    no_recursion(bundle)?;
    compile_every_rule(bundle)?;
    let engine = compile(bundle, true, TEST)?;
    let mut tests_passed = 0;
    for (path, text) in bundle.modules().iter().filter(|(path, _)| is_test(path)) {
        for rule in tests(text) {
            let failed = |detail: String| CheckError::Test { path: path.clone(), rule: rule.clone(), detail };
            match engine.clone().eval_rule(rule.clone()) {
                Ok(value) if value == Value::from(true) => tests_passed += 1,
                Ok(Value::Undefined) => return Err(failed("it is undefined".to_owned())),
                Ok(other) => return Err(failed(format!("it is {other}"))),
                Err(error) => return Err(failed(format!("{error:#}"))),
            }
        }
    }
    Ok(Checked { tests_passed })
}

fn no_recursion(bundle: &Bundle) -> Result<(), CheckError> {
    let mut rules = Mentions::new();
    let mut paths = Vec::new();
    for (path, text) in bundle.modules() {
        let found = mentions(text);
        paths.extend(found.keys().map(|rule| (rule.clone(), path.clone())));
        rules.extend(found);
    }
    let Some((rule, line)) = recursion(&rules) else { return Ok(()) };
    let path = paths.into_iter().find(|(name, _)| *name == rule).map(|(_, path)| path).unwrap_or_default();
    let message = format!("the rule `{rule}` needs itself: break the circle, or rename the variable of that name");
    Err(CheckError::Forbidden { path, line, message })
}

/// Compiles both entrypoints for regorus' virtual machine, which refuses functions that do not exist; the interpreter
/// would meet them only while it decides. A bundle without an entrypoint compiles: what it does not answer is denied.
fn compile_every_rule(bundle: &Bundle) -> Result<(), CheckError> {
    let mut engine = compile(bundle, false, TEST)?;
    for entrypoint in [Entrypoint::api(), Entrypoint::tools()] {
        program(&mut engine, &entrypoint)?;
    }
    Ok(())
}

/// The paths of a module's tests: rules named `test_...` at the start of a line.
fn tests(source: &str) -> Vec<String> {
    let package = source.lines().find_map(|line| line.strip_prefix("package ")).unwrap_or_default().trim();
    let name = |line: &str| {
        let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(line.len());
        line.starts_with("test_").then(|| format!("data.{package}.{}", &line[..end]))
    };
    let mut rules: Vec<_> = source.lines().filter_map(name).collect();
    rules.dedup();
    rules
}
