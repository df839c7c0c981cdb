//! What changes from one bundle to another: rule by rule where modules parse, pointer by pointer in the data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Bundle;
use crate::check::{Module, parse};

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another one.
    Changed,
}

/// A rule that changed: all of its definitions, as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    /// Its full name, for example `data.xagent.tools.allow`; the module's path where it does not parse.
    pub rule: String,
    /// What became of it.
    pub change: Change,
    /// How it was; empty where it is new.
    pub before: String,
    /// How it is; empty where it is gone.
    pub after: String,
}

/// A module that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleDiff {
    /// Its path.
    pub path: String,
    /// What became of it.
    pub change: Change,
    /// Rules that changed; none where only comments, imports or space did.
    pub rules: Vec<RuleChange>,
}

/// A value of the data that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataChange {
    /// JSON pointer (RFC 6901).
    pub pointer: String,
    /// What became of it.
    pub change: Change,
    /// How it was; null where it is new.
    pub before: Value,
    /// How it is; null where it is gone.
    pub after: Value,
}

/// All that changes between two bundles. Moving a rule from module to module removes and adds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// Modules that changed.
    pub modules: Vec<ModuleDiff>,
    /// Values of the data that changed.
    pub data: Vec<DataChange>,
}

impl Diff {
    /// Whether both are the same.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty() && self.data.is_empty()
    }
}

/// What changes from `before` to `after`.
pub fn diff(before: &Bundle, after: &Bundle) -> Diff {
    let paths: BTreeSet<_> = before.modules().keys().chain(after.modules().keys()).collect();
    let (old, new) = (parsed(before), parsed(after));
    let modules = paths.into_iter().filter_map(|path| {
        let (was, is) = (before.modules().get(path), after.modules().get(path));
        let change = change(was, is)?;
        let (was, is) = (rules(path, was, old.get(path)), rules(path, is, new.get(path)));
        Some(ModuleDiff { path: path.clone(), change, rules: rule_changes(&was, &is) })
    });
    let mut found = Diff { modules: modules.collect(), data: Vec::new() };
    let data = |bundle: &Bundle| serde_json::from_str::<Value>(bundle.data()).unwrap_or_default();
    values(&data(before), &data(after), "", &mut found.data);
    found
}

fn parsed(bundle: &Bundle) -> BTreeMap<String, Module> {
    parse(bundle).0.into_iter().map(|module| (module.path.clone(), module)).collect()
}

/// The text of each rule of a module, definitions in order; the whole text where it does not parse.
fn rules(path: &str, text: Option<&String>, module: Option<&Module>) -> BTreeMap<String, String> {
    let Some(module) = module else { return text.map(|text| (path.to_owned(), text.clone())).into_iter().collect() };
    let mut rules: BTreeMap<String, String> = BTreeMap::new();
    for definition in &module.tree.rules {
        let written = rules.entry(module.name_of(definition)).or_default();
        if !written.is_empty() {
            written.push_str("\n\n");
        }
        written.push_str(module.text_of(definition.span()).trim_end());
    }
    rules
}

fn rule_changes(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<RuleChange> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed = names.into_iter().filter_map(|name| {
        let (was, is) = (before.get(name), after.get(name));
        let change = change(was, is)?;
        let (before, after) = (was.cloned().unwrap_or_default(), is.cloned().unwrap_or_default());
        Some(RuleChange { rule: name.clone(), change, before, after })
    });
    changed.collect()
}

fn change<T: PartialEq>(before: Option<&T>, after: Option<&T>) -> Option<Change> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        (Some(before), Some(after)) => (before != after).then_some(Change::Changed),
    }
}

fn values(before: &Value, after: &Value, pointer: &str, found: &mut Vec<DataChange>) {
    if before == after {
        return;
    }
    let (Value::Object(was), Value::Object(is)) = (before, after) else {
        let (before, after) = (before.clone(), after.clone());
        return found.push(DataChange { pointer: pointer.to_owned(), change: Change::Changed, before, after });
    };
    let names: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    for name in names {
        let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        match (was.get(name), is.get(name)) {
            (Some(was), Some(is)) => values(was, is, &pointer, found),
            (was, is) => {
                let Some(change) = change(was, is) else { continue };
                let (before, after) = (was.cloned().unwrap_or_default(), is.cloned().unwrap_or_default());
                found.push(DataChange { pointer, change, before, after });
            }
        }
    }
}
