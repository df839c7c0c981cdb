//! What of a bundle recorded inputs reach: the lines that deciding them evaluates, and the rules that none of them does.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use regorus::Engine;
use serde::{Deserialize, Serialize};
use xagent_domain::{Entrypoint, Limits};

use crate::check::parse;
use crate::embedded::compile;
use crate::{Bundle, BundleError, ParsedInput};

/// Counts the lines that decisions of a bundle evaluate. It decides nothing that is used.
pub struct Coverage {
    prepared: Engine,
    engine: Engine,
    asked: bool,
}

/// A rule of which no definition was evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreached {
    /// Its module.
    pub path: String,
    /// The line it begins on.
    pub line: u32,
    /// Its full name, for example `data.xagent.tools.network_ok`.
    pub rule: String,
}

impl Coverage {
    /// Of a bundle.
    pub fn of(bundle: &Bundle, limits: Limits) -> Result<Self, BundleError> {
        let mut prepared = compile(bundle, false, limits)?;
        prepared.set_enable_coverage(true);
        Ok(Self { engine: prepared.clone(), prepared, asked: false })
    }

    /// Decides an input, and notes what that reaches.
    pub fn ask(&mut self, entrypoint: &Entrypoint, input: &ParsedInput) {
        let Ok(input) = input.value() else { return };
        self.asked = true;
        let engine = &mut self.engine;
        let reached = catch_unwind(AssertUnwindSafe(|| {
            engine.set_input(input);
            // Whether it fails does not matter: what it reached is counted.
            drop(engine.eval_rule(entrypoint.rule()));
        }));
        if reached.is_err() {
            self.engine = self.prepared.clone();
        }
    }

    /// The lines that were reached since this was last asked, by module.
    pub fn take(&mut self) -> BTreeMap<String, BTreeSet<u32>> {
        if !std::mem::take(&mut self.asked) {
            return BTreeMap::new();
        }
        let files = self.engine.get_coverage_report().map(|report| report.files).unwrap_or_default();
        self.engine.clear_coverage_data();
        files.into_iter().map(|file| (file.path, file.covered)).collect()
    }

    /// The rules of a bundle none of whose definitions these lines are in; tests and defaults are left out.
    pub fn unreached(bundle: &Bundle, reached: &BTreeMap<String, BTreeSet<u32>>) -> Vec<Unreached> {
        let (modules, _) = parse(bundle);
        let mut rules: BTreeMap<(String, String), (u32, bool)> = BTreeMap::new();
        for module in modules.iter().filter(|module| !module.is_test) {
            let none = BTreeSet::new();
            let lines = reached.get(&module.path).unwrap_or(&none);
            for definition in module.tree.rules.iter().filter(|definition| !definition.is_default()) {
                let span = definition.span();
                let (first, last) = (line(&module.text, span.start), line(&module.text, span.end));
                let hit = lines.range(first..=last).next().is_some();
                let rule = rules.entry((module.path.clone(), module.name_of(definition))).or_insert((first, false));
                rule.1 |= hit;
            }
        }
        let missed = rules.into_iter().filter(|(_, (_, hit))| !hit);
        let mut missed: Vec<_> = missed.map(|((path, rule), (line, _))| Unreached { path, line, rule }).collect();
        missed.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        missed
    }
}

fn line(text: &str, byte: usize) -> u32 {
    let before = text.get(..byte).unwrap_or(text).bytes().filter(|byte| *byte == b'\n').count();
    u32::try_from(before + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xagent_domain::CanonicalJson;

    const MODULE: &str = "package xagent.tools\n\ndefault decision := false\n\ndecision if seen\n\ndecision if other\n\n\
                          seen if input.a == 1\n\nother if {\n\tinput.a == 2\n\tlater\n}\n\nlater if input.b\n";

    #[test]
    fn what_no_input_reaches_is_named_by_rule_and_line() {
        let bundle = Bundle::from_parts([("a.rego".to_owned(), MODULE.to_owned())].into(), "{}").unwrap();
        let mut coverage = Coverage::of(&bundle, Limits { timeout_ms: 1000 }).unwrap();
        assert!(coverage.take().is_empty());
        let ask = |coverage: &mut Coverage, text: &str| {
            let input = ParsedInput::parse(&CanonicalJson::parse(text).unwrap());
            coverage.ask(&Entrypoint::tools(), &input);
            coverage.take()
        };
        let mut reached = ask(&mut coverage, "{\"a\":1}");
        let missed = Coverage::unreached(&bundle, &reached);
        let named: Vec<_> = missed.iter().map(|rule| (rule.line, rule.rule.as_str())).collect();
        assert_eq!(named, [(16, "data.xagent.tools.later")]);
        for (path, lines) in ask(&mut coverage, "{\"a\":2,\"b\":true}") {
            reached.entry(path).or_default().extend(lines);
        }
        assert_eq!(Coverage::unreached(&bundle, &reached), []);
    }
}
