//! Where a value comes from: followed backwards through variables, functions and rules to literals, data or the input.

use std::collections::BTreeSet;

use serde_json::Value;

use super::ast::{Definition, Expr, Literal, Node, Span};
use super::rules::{Defined, Meaning, Module, Rules, Step};

/// Values are not followed further than this.
const DEEPEST: usize = 12;

/// One place a value may come from.
pub(crate) enum Origin<'a> {
    /// A text in a module.
    Text(&'a Module, Span, &'a str),
    /// The data document below these steps.
    Data(Vec<Step>),
    /// The input below these steps.
    Input(Vec<Step>),
    /// Computed, or beyond what is followed.
    Elsewhere,
}

/// All places an expression's value may come from.
pub(crate) fn origins<'a>(rules: &Rules<'a>, defined: &Defined<'a>, expr: &'a Expr) -> Vec<Origin<'a>> {
    let mut trail = Trail { rules, seen: BTreeSet::new(), found: Vec::new() };
    trail.follow(defined, expr, &[], 0);
    trail.found
}

/// The texts of the data document below these steps.
pub(crate) fn texts<'d>(data: &'d Value, steps: &[Step]) -> Vec<&'d str> {
    let Some((first, rest)) = steps.split_first() else { return leaves(data) };
    match (first, data) {
        (Step::Name(name), Value::Object(fields)) => {
            fields.get(name).map(|value| texts(value, rest)).unwrap_or_default()
        }
        (Step::Any, Value::Object(fields)) => fields.values().flat_map(|value| texts(value, rest)).collect(),
        (_, Value::Array(items)) => items.iter().flat_map(|value| texts(value, rest)).collect(),
        _ => Vec::new(),
    }
}

fn leaves(data: &Value) -> Vec<&str> {
    match data {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        _ => Vec::new(),
    }
}

struct Trail<'r, 'a> {
    rules: &'r Rules<'a>,
    /// What has been followed: the place of an expression and what is taken of it.
    seen: BTreeSet<(String, usize, usize, usize)>,
    found: Vec<Origin<'a>>,
}

impl<'a> Trail<'_, 'a> {
    fn follow(&mut self, defined: &Defined<'a>, expr: &'a Expr, taken: &[Step], depth: usize) {
        let span = expr.span();
        if depth > DEEPEST {
            return self.found.push(Origin::Elsewhere);
        }
        if !self.seen.insert((defined.module.path.clone(), span.start, span.end, taken.len())) {
            return;
        }
        match expr {
            Expr::String { value, .. } | Expr::RawString { value, .. } => {
                self.found.push(Origin::Text(defined.module, span, value));
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                items.iter().for_each(|item| self.follow(defined, item, tail(taken), depth + 1));
            }
            Expr::Object { fields, .. } => {
                fields.iter().for_each(|(_, _, value)| self.follow(defined, value, tail(taken), depth + 1));
            }
            Expr::ArrayCompr { term, .. } | Expr::SetCompr { term, .. } => {
                self.follow(defined, term, tail(taken), depth + 1);
            }
            Expr::Call { fcn, params, .. } => self.call(defined, fcn, params, taken, depth),
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.name(defined, expr, taken, depth),
            Expr::Number { .. } | Expr::Bool { .. } | Expr::Null { .. } => {}
            _ => self.found.push(Origin::Elsewhere),
        }
    }

    fn name(&mut self, defined: &Defined<'a>, expr: &'a Expr, taken: &[Step], depth: usize) {
        let with = |mut steps: Vec<Step>| {
            steps.extend_from_slice(taken);
            steps
        };
        match self.rules.meaning(defined.module, &defined.locals(), expr) {
            Meaning::Data(steps) => self.found.push(Origin::Data(with(steps))),
            Meaning::Input(steps) => self.found.push(Origin::Input(with(steps))),
            Meaning::Local(name, rest) => self.variable(defined, &name, &with(rest), depth),
            Meaning::Rules(names, rest) => names.iter().for_each(|name| self.rule(name, &with(rest.clone()), depth)),
            Meaning::Outside(_) | Meaning::Value => self.found.push(Origin::Elsewhere),
        }
    }

    /// The values a rule or function gives.
    fn rule(&mut self, name: &str, taken: &[Step], depth: usize) {
        for defined in self.rules.all.get(name).into_iter().flatten() {
            // A member of a set is taken by asking for it.
            let taken = if super::graph::is_set(defined.definition) { tail(taken) } else { taken };
            if let Some(value) = defined.definition.value() {
                self.follow(defined, value, taken, depth + 1);
            }
            if let Definition::Spec { bodies, .. } = defined.definition {
                for assign in bodies.iter().filter_map(|body| body.assign.as_ref()) {
                    self.follow(defined, &assign.value, taken, depth + 1);
                }
            }
        }
    }

    fn variable(&mut self, defined: &Defined<'a>, name: &str, taken: &[Step], depth: usize) {
        let mut element = vec![Step::Any];
        element.extend_from_slice(taken);
        let mut sources: Vec<(&'a Expr, bool)> = Vec::new();
        let mut computed = false;
        defined.definition.walk(&mut |node| match node {
            Node::Literal(Literal::SomeIn { key, value, collection }) => {
                computed |= key.as_ref().is_some_and(|key| is_variable(key, name));
                if is_variable(value, name) {
                    sources.push((collection, true));
                }
            }
            Node::Literal(Literal::Every { value, domain, .. }) if defined.module.text_of(*value) == name => {
                sources.push((domain, true));
            }
            Node::Literal(Literal::Every { key: Some(key), .. }) => computed |= defined.module.text_of(*key) == name,
            Node::Expr(Expr::AssignExpr { lhs, rhs, .. }) if is_variable(lhs, name) => sources.push((rhs, false)),
            _ => {}
        });
        let argument = defined.definition.args().iter().position(|arg| is_variable(arg, name));
        if computed || (sources.is_empty() && argument.is_none()) {
            self.found.push(Origin::Elsewhere);
        }
        for (source, is_member) in sources {
            self.follow(defined, source, if is_member { &element } else { taken }, depth + 1);
        }
        if let Some(index) = argument {
            self.callers(&defined.module.name_of(defined.definition), index, taken, depth);
        }
    }

    /// An argument is whatever the callers outside of tests give.
    fn callers(&mut self, function: &str, index: usize, taken: &[Step], depth: usize) {
        let callers: Vec<_> = self.rules.deciding().map(|(_, defined)| *defined).collect();
        for caller in callers {
            let locals = caller.locals();
            let mut given = Vec::new();
            caller.definition.walk(&mut |node| {
                if let Node::Expr(Expr::Call { fcn, params, .. }) = node
                    && let Meaning::Rules(names, _) = self.rules.meaning(caller.module, &locals, fcn)
                    && names.iter().any(|name| name == function)
                {
                    given.extend(params.get(index));
                }
            });
            given.into_iter().for_each(|param| self.follow(&caller, param, taken, depth + 1));
        }
    }

    fn call(&mut self, defined: &Defined<'a>, fcn: &'a Expr, params: &'a [Expr], taken: &[Step], depth: usize) {
        match (self.rules.meaning(defined.module, &defined.locals(), fcn), params) {
            (Meaning::Rules(names, _), _) => names.iter().for_each(|name| self.rule(name, taken, depth)),
            (Meaning::Outside(name), [from, key, otherwise]) if name == "object.get" => {
                let mut inside = vec![key.text().map_or(Step::Any, |text| Step::Name(text.to_owned()))];
                inside.extend_from_slice(taken);
                self.follow(defined, from, &inside, depth + 1);
                self.follow(defined, otherwise, taken, depth + 1);
            }
            (Meaning::Outside(name), [first, second]) if name == "array.concat" || name == "object.union" => {
                self.follow(defined, first, taken, depth + 1);
                self.follow(defined, second, taken, depth + 1);
            }
            _ => self.found.push(Origin::Elsewhere),
        }
    }
}

fn tail(steps: &[Step]) -> &[Step] {
    steps.split_first().map_or(&[], |(_, rest)| rest)
}

fn is_variable(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Var { value, .. } if value == name)
}
