//! Which rule needs which, which can fail without saying so, and on which an allow rests.

use std::collections::{BTreeMap, BTreeSet};

use super::ast::{Definition, Expr, Head, Node};
use super::builtins;
use super::finding::Finding;
use super::rules::{Defined, Meaning, Rules};

/// What the rules of a bundle refer to.
pub(crate) struct Graph {
    needs: BTreeMap<String, BTreeSet<String>>,
    /// Rules that call a builtin which can fail, themselves or through others, with that builtin.
    failing: BTreeMap<String, String>,
}

impl Graph {
    pub fn of(rules: &Rules<'_>) -> Self {
        let (mut needs, mut failing) = (BTreeMap::new(), BTreeMap::new());
        for (name, definitions) in &rules.all {
            let needed: &mut BTreeSet<String> = needs.entry(name.clone()).or_default();
            for defined in definitions {
                needed.extend(references(rules, defined));
                if let Some(builtin) = calls(rules, defined).into_iter().find(|name| builtins::can_fail(name)) {
                    failing.insert(name.clone(), builtin);
                }
            }
        }
        let mut graph = Self { needs, failing };
        graph.spread_failing();
        graph
    }

    fn spread_failing(&mut self) {
        let mut needed_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, needed) in &self.needs {
            needed.iter().for_each(|other| needed_by.entry(other).or_default().push(name));
        }
        let mut open: Vec<String> = self.failing.keys().cloned().collect();
        while let Some(name) = open.pop() {
            let Some(builtin) = self.failing.get(&name).cloned() else { continue };
            for user in needed_by.get(name.as_str()).into_iter().flatten() {
                if !self.failing.contains_key(*user) {
                    self.failing.insert((*user).to_owned(), builtin.clone());
                    open.push((*user).to_owned());
                }
            }
        }
    }

    /// The builtin by which a rule can fail.
    pub fn failing(&self, rule: &str) -> Option<&str> {
        self.failing.get(rule).map(String::as_str)
    }

    /// These rules and all that they need.
    pub fn closure(&self, roots: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let mut open: Vec<String> = roots.into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            let needed = self.needs.get(&name).into_iter().flatten().cloned().collect::<Vec<_>>();
            if seen.insert(name) {
                open.extend(needed);
            }
        }
        seen
    }
}

/// The rules a definition refers to or calls.
pub(crate) fn references(rules: &Rules<'_>, defined: &Defined<'_>) -> BTreeSet<String> {
    let (locals, mut found) = (defined.locals(), BTreeSet::new());
    defined.definition.walk(&mut |node| {
        if let Node::Expr(expr) = node {
            found.extend(rules_of(rules, defined, &locals, expr));
        }
    });
    found
}

/// The rules one expression refers to or calls, not those of its parts.
pub(crate) fn rules_of(rules: &Rules<'_>, defined: &Defined<'_>, locals: &BTreeSet<&str>, expr: &Expr) -> Vec<String> {
    let expr = if let Expr::Call { fcn, .. } = expr { fcn } else { expr };
    match rules.meaning(defined.module, locals, expr) {
        Meaning::Rules(names, _) => names,
        _ => Vec::new(),
    }
}

/// The builtins a definition calls.
fn calls(rules: &Rules<'_>, defined: &Defined<'_>) -> Vec<String> {
    let (locals, mut found) = (defined.locals(), Vec::new());
    defined.definition.walk(&mut |node| {
        if let Node::Expr(Expr::Call { fcn, .. }) = node
            && let Meaning::Outside(name) = rules.meaning(defined.module, &locals, fcn)
        {
            found.push(name);
        }
    });
    found
}

/// The rules an allow rests on: those behind the `allow` of each entrypoint's document, or behind the whole document where
/// it does not stand there to be read.
pub(crate) fn behind_allow(rules: &Rules<'_>, graph: &Graph, entrypoints: &[String]) -> BTreeSet<String> {
    let roots = entrypoints.iter().flat_map(|entrypoint| {
        rules.all.get(entrypoint).into_iter().flatten().flat_map(|defined| allow_of(rules, defined))
    });
    graph.closure(roots.collect::<Vec<_>>())
}

fn allow_of(rules: &Rules<'_>, defined: &Defined<'_>) -> Vec<String> {
    let locals = defined.locals();
    let Some(Expr::Object { fields, .. }) = defined.definition.value() else {
        return references(rules, defined).into_iter().collect();
    };
    let mut found = Vec::new();
    for (_, _, value) in fields.iter().filter(|(_, key, _)| key.text() == Some("allow")) {
        value.walk(&mut |node| {
            if let Node::Expr(expr) = node {
                found.extend(rules_of(rules, defined, &locals, expr));
            }
        });
    }
    if let Definition::Spec { bodies, .. } = defined.definition {
        for body in bodies {
            body.walk(&mut |node| {
                if let Node::Expr(expr) = node {
                    found.extend(rules_of(rules, defined, &locals, expr));
                }
            });
        }
    }
    found
}

/// Rules that need themselves: an engine would follow them until its stack ends.
pub(crate) fn recursion(rules: &Rules<'_>, graph: &Graph, findings: &mut Vec<Finding>) {
    for (name, definitions) in &rules.all {
        let below = graph.closure(graph.needs.get(name).into_iter().flatten().cloned());
        if let (true, Some(first)) = (below.contains(name), definitions.first()) {
            let message = format!("the rule `{name}` needs itself");
            let remedy = "break the circle, or rename the variable of that name";
            findings.push(first.module.finding(first.definition.head().span(), "recursion", message, remedy));
        }
    }
}

/// Whether a definition makes a set of what it contains.
pub(crate) fn is_set(definition: &Definition) -> bool {
    matches!(definition, Definition::Spec { head: Head::Set { key: Some(_), .. }, .. })
}
