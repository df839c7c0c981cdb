//! A bundle's own tests: all must hold, and which lines they reach is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use regorus::Value;
use serde::{Deserialize, Serialize};
use xagent_domain::Limits;

use super::finding::Finding;
use super::rules::{Defined, Rules};
use crate::Bundle;
use crate::bundle::is_test;
use crate::embedded::compile;

/// How long one test may take.
const TEST: Limits = Limits { timeout_ms: 10_000 };
/// How long all of them may take.
const ALL: Duration = Duration::from_secs(60);

/// One test and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// The rule, for example `data.xagent.tools_test.test_a_prefix_grants_nothing`.
    pub rule: String,
    /// Its module.
    pub path: String,
    /// Whether it is true.
    pub passed: bool,
    /// What it gave instead; empty where it passed.
    pub detail: String,
}

/// The lines of one module that tests reach, and those they do not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleCoverage {
    /// Lines that were evaluated.
    pub covered: BTreeSet<u32>,
    /// Lines that could have been.
    pub not_covered: BTreeSet<u32>,
}

/// What the tests say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// Every test, in order.
    pub tests: Vec<TestResult>,
    /// By module; tests are left out.
    pub coverage: BTreeMap<String, ModuleCoverage>,
}

impl TestReport {
    /// How many passed.
    pub fn passed(&self) -> u32 {
        u32::try_from(self.tests.iter().filter(|test| test.passed).count()).unwrap_or(u32::MAX)
    }

    /// Lines reached, of all lines that can be.
    pub fn lines(&self) -> (u32, u32) {
        let count = |lines: usize| u32::try_from(lines).unwrap_or(u32::MAX);
        let covered: usize = self.coverage.values().map(|module| module.covered.len()).sum();
        let missed: usize = self.coverage.values().map(|module| module.not_covered.len()).sum();
        (count(covered), count(covered + missed))
    }
}

/// Runs every rule named `test_...`.
pub(crate) fn run(bundle: &Bundle, rules: &Rules<'_>, findings: &mut Vec<Finding>) -> TestReport {
    let mut report = TestReport::default();
    // A bundle that does not compile is another finding.
    let Ok(mut engine) = compile(bundle, true, TEST) else { return report };
    engine.set_enable_coverage(true);
    engine.set_gather_prints(true);
    let clock = Instant::now();
    for (rule, defined) in tests(rules) {
        if clock.elapsed() > ALL {
            let message = format!("its tests take longer than {} s", ALL.as_secs());
            findings.push(Finding::of_file("", "tests", message, "test less, or smaller inputs"));
            break;
        }
        let mut engine = engine.clone();
        let detail = match engine.eval_rule(rule.to_owned()) {
            Ok(value) if value == Value::from(true) => String::new(),
            Ok(Value::Undefined) => "it is undefined".to_owned(),
            Ok(other) => format!("it is {other}"),
            Err(error) => super::rules::said(&defined.module.path, "", "tests", &error, "").message,
        };
        if let Ok(coverage) = engine.get_coverage_report() {
            coverage.files.into_iter().filter(|file| !is_test(&file.path)).for_each(|file| report.reached(file));
        }
        let passed = detail.is_empty();
        if !passed {
            let message = format!("the test `{rule}` does not pass: {detail}");
            let head = defined.definition.head().span();
            findings.push(defined.module.finding(head, "tests", message, "mend the rule it tests, or the test"));
        }
        report.tests.push(TestResult { rule: rule.to_owned(), path: defined.module.path.clone(), passed, detail });
    }
    report.untouched(bundle, rules);
    report
}

fn tests<'r, 'a>(rules: &'r Rules<'a>) -> impl Iterator<Item = (&'r str, &'r Defined<'a>)> {
    let named = |rule: &str| rule.rsplit('.').next().is_some_and(|name| name.starts_with("test_"));
    rules.all.iter().filter_map(move |(rule, all)| named(rule).then_some((rule.as_str(), all.first()?)))
}

impl TestReport {
    fn reached(&mut self, file: regorus::coverage::File) {
        let module = self.coverage.entry(file.path).or_default();
        module.covered.extend(file.covered);
        module.not_covered.extend(file.not_covered);
        module.not_covered = &module.not_covered - &module.covered;
    }

    /// A module no test touches is missing from the engine's report: the first lines of its rules stand for it.
    fn untouched(&mut self, bundle: &Bundle, rules: &Rules<'_>) {
        for path in bundle.modules().keys().filter(|path| !is_test(path)) {
            if self.coverage.contains_key(path) {
                continue;
            }
            let lines = rules.deciding().filter(|(_, defined)| defined.module.path == *path).map(|(_, defined)| {
                let before = defined.module.text.get(..defined.definition.span().start).unwrap_or_default();
                u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
            });
            let not_covered = lines.collect();
            self.coverage.insert(path.clone(), ModuleCoverage { covered: BTreeSet::new(), not_covered });
        }
    }
}
