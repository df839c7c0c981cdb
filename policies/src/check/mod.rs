//! The gate every bundle passes before it is published: it parses and compiles, holds nothing forbidden, answers with
//! decisions, and its tests pass. All that is in the way is said at once.

mod ast;
mod builtins;
mod dataflow;
mod entrypoints;
mod finding;
mod forms;
mod graph;
mod pattern;
mod roots;
mod rules;
mod tests;
mod values;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_domain::Limits;

pub use finding::Finding;
pub use tests::{ModuleCoverage, TestReport, TestResult};

pub(crate) use rules::{Module, parse};

pub(crate) use builtins::SILENT;
use rules::Rules;

use crate::embedded::compile;
use crate::machine::program;
use crate::{Bundle, BundleError};

/// No evaluation is bounded by this: it is only compiled.
const COMPILE: Limits = Limits { timeout_ms: 10_000 };

/// What the gate found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// Tests that passed; all of them did.
    pub tests_passed: u32,
    /// Lines that the tests reach.
    pub lines_covered: u32,
    /// Lines that they could reach.
    pub lines: u32,
}

/// Everything in a bundle's way, in the order of its files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CheckError {
    /// At least one.
    pub findings: Vec<Finding>,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.findings.iter().map(Finding::to_string).collect();
        f.write_str(&texts.join("\n"))
    }
}

/// Lets a bundle through the gate, or says what is in its way.
pub fn check(bundle: &Bundle) -> Result<Checked, CheckError> {
    let (mut findings, modules) = look(bundle);
    let mut report = TestReport::default();
    if findings.is_empty() {
        entrypoints::answered(bundle, &mut findings);
        report = tests::run(bundle, &Rules::of(&modules), &mut findings);
    }
    if !findings.is_empty() {
        return Err(CheckError { findings });
    }
    let (lines_covered, lines) = report.lines();
    Ok(Checked { tests_passed: report.passed(), lines_covered, lines })
}

/// Runs a bundle's tests and nothing else, so that they may be run while it is being written.
pub fn test(bundle: &Bundle) -> Result<TestReport, CheckError> {
    let (modules, mut findings) = parse(bundle);
    if findings.is_empty() {
        compiles(bundle, &modules, &mut findings);
    }
    if !findings.is_empty() {
        return Err(CheckError { findings });
    }
    Ok(tests::run(bundle, &Rules::of(&modules), &mut Vec::new()))
}

/// What can be seen without asking the bundle anything.
fn look(bundle: &Bundle) -> (Vec<Finding>, Vec<Module>) {
    let (modules, mut findings) = parse(bundle);
    let unparsed = !findings.is_empty();
    let rules = Rules::of(&modules);
    let graph = graph::Graph::of(&rules);
    builtins::check(&rules, &mut findings);
    graph::recursion(&rules, &graph, &mut findings);
    let asked = entrypoints::all().map(|entrypoint| entrypoint.rule());
    forms::check(&rules, &graph, &graph::behind_allow(&rules, &graph, &asked), &mut findings);
    let data = serde_json::from_str(bundle.data()).unwrap_or_default();
    values::Values { rules: &rules, data: &data }.check(&mut findings);
    roots::check(bundle, &modules, &data, &mut findings);
    if !unparsed {
        entrypoints::written(&rules, &mut findings);
        if findings.is_empty() {
            compiles(bundle, &modules, &mut findings);
        }
    }
    findings.sort();
    findings.dedup();
    (findings, modules)
}

/// Compiles for the interpreter, and both entrypoints for regorus' virtual machine, which refuses functions that do not
/// exist where the interpreter would meet them only while it decides.
fn compiles(bundle: &Bundle, modules: &[Module], findings: &mut Vec<Finding>) {
    let mut engine = match compile(bundle, true, COMPILE) {
        Ok(engine) => engine,
        Err(BundleError::Compile(said)) => return findings.push(uncompiled(modules, &said)),
        Err(other) => return findings.push(Finding::of_file("", "compile", other.to_string(), "mend the bundle")),
    };
    for entrypoint in entrypoints::all() {
        if let Err(error) = program(&mut engine, &entrypoint) {
            findings.push(uncompiled(modules, &error.to_string()));
        }
    }
}

fn uncompiled(modules: &[Module], said: &str) -> Finding {
    let error = anyhow::Error::msg(said.to_owned());
    let named = modules.iter().find(|module| said.contains(&format!("--> {}:", module.path)));
    let (path, text) = named.map_or(("", ""), |module| (module.path.as_str(), module.text.as_str()));
    *rules::said(path, text, "compile", &error, "mend the rule; `opa check --strict` may say more")
}
