//! The rules of a bundle: what each is called, what its names mean, what it refers to.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Engine;
use serde::Deserialize;

use super::ast::{Definition, Expr, Literal, Node, Query, Span, Tree};
use super::finding::Finding;
use crate::Bundle;
use crate::bundle::is_test;

/// A module that parses.
pub(crate) struct Module {
    pub path: String,
    pub text: String,
    /// For example `data.xagent.tools`.
    pub package: String,
    /// Full paths by the name they are imported under.
    imports: BTreeMap<String, String>,
    pub tree: Tree,
    /// Tests take no part in decisions.
    pub is_test: bool,
}

/// A step of a reference: a name, or whatever a variable holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Name(String),
    Any,
}

/// What a name or reference means where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Rules of the bundle, all that it may reach, and what is taken of their value.
    Rules(Vec<String>, Vec<Step>),
    /// The data document below these steps.
    Data(Vec<Step>),
    /// The input below these steps.
    Input(Vec<Step>),
    /// A variable of the rule, and what is taken of its value.
    Local(String, Vec<Step>),
    /// Nothing the bundle defines: a builtin where it is called.
    Outside(String),
    /// No reference at all.
    Value,
}

/// One definition of a rule.
#[derive(Clone, Copy)]
pub(crate) struct Defined<'a> {
    pub module: &'a Module,
    pub definition: &'a Definition,
}

/// All rules by full name, for example `data.xagent.tools.allow`.
pub(crate) struct Rules<'a> {
    pub all: BTreeMap<String, Vec<Defined<'a>>>,
}

/// Parses every module, and says of each that does not parse why.
pub(crate) fn parse(bundle: &Bundle) -> (Vec<Module>, Vec<Finding>) {
    let (mut modules, mut findings) = (Vec::new(), Vec::new());
    for (path, text) in bundle.modules() {
        match parse_module(path, text) {
            Ok(module) => modules.push(module),
            Err(finding) => findings.push(*finding),
        }
    }
    (modules, findings)
}

fn parse_module(path: &str, text: &str) -> Result<Module, Box<Finding>> {
    #[derive(Deserialize)]
    struct Written {
        ast: Tree,
    }
    let remedy = "mend the syntax; Rego v1 is expected, as `opa check --v1-compatible` reads it";
    let mut engine = Engine::new();
    engine.add_policy(path.to_owned(), text.to_owned()).map_err(|error| said(path, text, "parse", &error, remedy))?;
    let written = engine.get_ast_as_json().map_err(|error| said(path, text, "parse", &error, remedy))?;
    let deep = |error: serde_json::Error| {
        let message = format!("its expressions are nested too deeply to be checked ({error})");
        Box::new(Finding::of_file(path, "parse", message, "give parts of them names of their own"))
    };
    let [Written { ast: tree }] = serde_json::from_str::<[Written; 1]>(&written).map_err(deep)?;
    let package = format!("data.{}", written_path(&tree.package.refr));
    let imports = tree.imports.iter().map(|import| {
        let full = written_path(&import.refr);
        let last = full.rsplit('.').next().unwrap_or_default().to_owned();
        (import.alias.map_or(last, |span| text.get(span.start..span.end).unwrap_or_default().to_owned()), full)
    });
    let (path, text, imports) = (path.to_owned(), text.to_owned(), imports.collect());
    Ok(Module { is_test: is_test(&path), path, text, package, imports, tree })
}

/// What regorus says of a text: its place stands in the message.
pub(crate) fn said(path: &str, text: &str, code: &str, error: &anyhow::Error, remedy: &str) -> Box<Finding> {
    let said = format!("{error:#}");
    let message = said.rsplit("\nerror: ").next().unwrap_or(&said).trim();
    let finding = Finding::of_file(path, code, message.chars().take(500).collect::<String>(), remedy);
    let place = said.lines().find_map(|line| line.strip_prefix(&format!("--> {path}:")));
    let place = place.and_then(|place| place.split_once(':'));
    Box::new(match place.and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?))) {
        Some((line, column)) => finding.on_line(text, line, column, ""),
        None => finding,
    })
}

fn written_path(expr: &Expr) -> String {
    let steps = steps(expr).unwrap_or_default();
    steps.iter().map(|step| if let Step::Name(name) = step { name } else { "*" }).collect::<Vec<_>>().join(".")
}

/// The steps of a reference; none where it is not one.
pub(crate) fn steps(expr: &Expr) -> Option<Vec<Step>> {
    match expr {
        Expr::Var { value, .. } => Some(vec![Step::Name(value.clone())]),
        Expr::RefDot { refr, field, .. } => {
            let mut steps = steps(refr)?;
            steps.push(Step::Name(field.1.as_str().unwrap_or_default().to_owned()));
            Some(steps)
        }
        Expr::RefBrack { refr, index, .. } => {
            let mut steps = steps(refr)?;
            steps.push(index.text().map_or(Step::Any, |text| Step::Name(text.to_owned())));
            Some(steps)
        }
        _ => None,
    }
}

impl Module {
    pub fn finding(&self, span: Span, code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding::of_file(&self.path, code, message, remedy).at(&self.text, span)
    }

    pub fn text_of(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// The full name of the rule that a definition is part of.
    pub fn name_of(&self, definition: &Definition) -> String {
        match steps(definition.head()).as_deref() {
            Some([Step::Name(first), ..]) => format!("{}.{first}", self.package),
            _ => self.package.clone(),
        }
    }
}

impl<'a> Defined<'a> {
    /// The variables of a definition: its arguments, and what it declares.
    pub fn locals(&self) -> BTreeSet<&'a str> {
        let mut names = BTreeSet::new();
        self.definition.args().iter().for_each(|arg| variables(arg, &mut names));
        self.definition.walk(&mut |node| match node {
            Node::Literal(Literal::SomeVars { vars }) => {
                names.extend(vars.iter().map(|span| self.module.text_of(*span)));
            }
            Node::Literal(Literal::SomeIn { key, value, .. }) => {
                key.iter().for_each(|key| variables(key, &mut names));
                variables(value, &mut names);
            }
            Node::Literal(Literal::Every { key, value, .. }) => {
                names.extend(key.iter().chain([value]).map(|span| self.module.text_of(*span)));
            }
            Node::Expr(Expr::AssignExpr { op, lhs, .. }) if op == "ColEq" => variables(lhs, &mut names),
            _ => {}
        });
        names
    }
}

fn variables<'a>(pattern: &'a Expr, names: &mut BTreeSet<&'a str>) {
    pattern.walk(&mut |node| {
        if let Node::Expr(Expr::Var { value, .. }) = node {
            names.insert(value);
        }
    });
}

impl<'a> Rules<'a> {
    pub fn of(modules: &'a [Module]) -> Self {
        let mut all: BTreeMap<String, Vec<Defined<'a>>> = BTreeMap::new();
        for module in modules {
            for definition in &module.tree.rules {
                all.entry(module.name_of(definition)).or_default().push(Defined { module, definition });
            }
        }
        Self { all }
    }

    /// What a reference means in a module, beside these variables.
    pub fn meaning(&self, module: &Module, locals: &BTreeSet<&str>, expr: &Expr) -> Meaning {
        let Some(steps) = steps(expr) else { return Meaning::Value };
        let Some((Step::Name(first), rest)) = steps.split_first() else { return Meaning::Value };
        if locals.contains(first.as_str()) {
            return Meaning::Local(first.clone(), rest.to_vec());
        }
        let imported = module.imports.get(first);
        match imported.map_or(first.as_str(), String::as_str) {
            "input" => Meaning::Input(rest.to_vec()),
            path if path == "data" || path.starts_with("data.") => self.below_data(path, rest),
            path if path.starts_with("input.") => Meaning::Input(
                path.split('.').skip(1).map(|name| Step::Name(name.to_owned())).chain(rest.to_vec()).collect(),
            ),
            _ if self.all.contains_key(&format!("{}.{first}", module.package)) => {
                Meaning::Rules(vec![format!("{}.{first}", module.package)], rest.to_vec())
            }
            _ => Meaning::Outside(written_path(expr)),
        }
    }

    fn below_data(&self, path: &str, rest: &[Step]) -> Meaning {
        let mut name = path.to_owned();
        if self.all.contains_key(&name) {
            return Meaning::Rules(vec![name], rest.to_vec());
        }
        for (index, step) in rest.iter().enumerate() {
            let Step::Name(next) = step else { break };
            name = format!("{name}.{next}");
            if self.all.contains_key(&name) {
                return Meaning::Rules(vec![name], rest[index + 1..].to_vec());
            }
        }
        // A reference to a package, or to whatever a variable names in one, reaches all of its rules.
        let below = format!("{name}.");
        let reached: Vec<_> = self.all.range(below.clone()..).map(|(name, _)| name.clone()).collect();
        let reached: Vec<_> = reached.into_iter().take_while(|name| name.starts_with(&below)).collect();
        if !reached.is_empty() {
            return Meaning::Rules(reached, Vec::new());
        }
        let path = path.split('.').skip(1).map(|name| Step::Name(name.to_owned()));
        Meaning::Data(path.chain(rest.to_vec()).collect())
    }

    /// Every definition outside of tests, with its full name.
    pub fn deciding(&self) -> impl Iterator<Item = (&str, &Defined<'a>)> {
        let all = self.all.iter().flat_map(|(name, definitions)| definitions.iter().map(|d| (name.as_str(), d)));
        all.filter(|(_, defined)| !defined.module.is_test)
    }
}

/// The statements of a query and of all queries in it.
pub(crate) fn literals(query: &Query) -> Vec<&Literal> {
    let mut found = Vec::new();
    query.walk(&mut |node| {
        if let Node::Literal(literal) = node {
            found.push(literal);
        }
    });
    found
}
