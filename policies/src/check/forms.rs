//! Forms in which something that failed, or was never said, turns into an allow.

use std::collections::BTreeSet;

use super::ast::{Definition, Expr, Literal, Node};
use super::builtins::{can_fail, is_total};
use super::finding::Finding;
use super::graph::{Graph, is_set, rules_of};
use super::rules::{Defined, Meaning, Rules, literals};

const CODE: &str = "unsafe_form";

/// Looks through every definition that decides; more strictly where an allow rests on it.
pub(crate) fn check(rules: &Rules<'_>, graph: &Graph, allow: &BTreeSet<String>, findings: &mut Vec<Finding>) {
    for (name, defined) in rules.deciding() {
        let look = Look { rules, graph, defined, locals: defined.locals(), for_allow: allow.contains(name) };
        look.negations(findings);
        if look.for_allow || name.ends_with(".allow") {
            look.default(findings);
            look.otherwise(findings);
            look.comparisons(findings);
        }
    }
}

struct Look<'a, 'r> {
    rules: &'r Rules<'a>,
    graph: &'r Graph,
    defined: &'r Defined<'a>,
    locals: BTreeSet<&'a str>,
    for_allow: bool,
}

impl Look<'_, '_> {
    fn find(&self, expr: &Expr, message: String, remedy: &str) -> Finding {
        self.defined.module.finding(expr.span(), CODE, message, remedy)
    }

    fn builtin<'e>(&self, expr: &'e Expr) -> Option<(String, &'e Expr)> {
        let Expr::Call { fcn, .. } = expr else { return None };
        match self.rules.meaning(self.defined.module, &self.locals, fcn) {
            Meaning::Outside(name) => Some((name, fcn)),
            _ => None,
        }
    }

    /// `not` is true where what it denies failed: engines read the failure of a builtin as undefined.
    fn negations(&self, findings: &mut Vec<Finding>) {
        self.defined.definition.walk(&mut |node| {
            let Node::Literal(Literal::NotExpr { expr }) = node else { return };
            let mut found = None;
            expr.walk(&mut |node| {
                let Node::Expr(inner) = node else { return };
                let builtin = self.builtin(inner).filter(|(name, _)| !is_total(name));
                if let Some((name, at)) = builtin.filter(|(name, _)| can_fail(name) || !self.is_given(inner)) {
                    let message = format!("`not` is true where `{name}(...)` fails");
                    found =
                        found.take().or_else(|| Some(self.find(at, message, &format!("write `{name}(...) == false`"))));
                } else if self.for_allow {
                    let failing = self.failing(inner);
                    let failing = failing.map(|(rule, builtin)| {
                        let message =
                            format!("`not` is true where `{builtin}` fails in `{rule}`, and an allow rests on it");
                        self.find(inner, message, "prove the opposite: a rule that holds where all is well")
                    });
                    found = found.take().or(failing);
                }
            });
            findings.extend(found);
        });
        if self.for_allow {
            self.empty_sets_denied(findings);
        }
    }

    /// Whether a call's arguments stand in the bundle itself: what has their types does not change with what is asked.
    fn is_given(&self, call: &Expr) -> bool {
        let Expr::Call { params, .. } = call else { return false };
        let meaning = |param| self.rules.meaning(self.defined.module, &self.locals, param);
        params.iter().all(|param| param.text().is_some() || matches!(meaning(param), Meaning::Data(_)))
    }

    fn failing(&self, expr: &Expr) -> Option<(String, String)> {
        let named = rules_of(self.rules, self.defined, &self.locals, expr);
        named.into_iter().find_map(|rule| self.graph.failing(&rule).map(str::to_owned).map(|builtin| (rule, builtin)))
    }

    /// `not deny[_]`: a set is never undefined, so that nothing in it may mean that nothing could be said.
    fn empty_sets_denied(&self, findings: &mut Vec<Finding>) {
        self.defined.definition.walk(&mut |node| {
            let Node::Literal(Literal::NotExpr { expr }) = node else { return };
            if let Expr::RefBrack { index, .. } = expr
                && matches!(&**index, Expr::Var { value, .. } if value.starts_with('_'))
                && let Some(rule) = self.set(expr)
            {
                let message = format!("an allow rests on nothing being in `{rule}`: what fails adds nothing to it");
                findings.push(self.find(expr, message, "allow by positive proofs; let the deny set only explain"));
            }
        });
    }

    /// The set of rules behind an expression.
    fn set(&self, expr: &Expr) -> Option<String> {
        let named = rules_of(self.rules, self.defined, &self.locals, expr);
        let is_a_set =
            |rule: &String| self.rules.all.get(rule).is_some_and(|all| all.iter().any(|d| is_set(d.definition)));
        named.into_iter().find(is_a_set)
    }

    fn default(&self, findings: &mut Vec<Finding>) {
        let Definition::Default { value: Expr::Bool { value: true, .. }, refr, .. } = self.defined.definition else {
            return;
        };
        let name = self.defined.module.text_of(refr.span());
        let message = format!("`default {name} := true` allows whatever no rule speaks about");
        findings.push(self.find(refr, message, &format!("write `default {name} := false` and prove each allow")));
    }

    /// A failure in a body is followed by the next `else`.
    fn otherwise(&self, findings: &mut Vec<Finding>) {
        let Definition::Spec { bodies, .. } = self.defined.definition else { return };
        let Some(last) = bodies.iter().rfind(|body| body.is_else) else { return };
        let mut failing = None;
        for body in bodies.iter().filter(|body| body.span != last.span) {
            body.walk(&mut |node| {
                let Node::Expr(expr) = node else { return };
                let direct = self.builtin(expr).map(|(name, _)| name).filter(|name| can_fail(name));
                failing = failing.take().or(direct).or_else(|| self.failing(expr).map(|(_, builtin)| builtin));
            });
        }
        if let Some(builtin) = failing {
            let message = format!("`else` is taken where `{builtin}` fails before it, and an allow rests on it");
            let finding = self.defined.module.finding(last.span, CODE, message, "write rules that exclude each other");
            findings.push(finding);
        }
    }

    /// Emptiness of what may have failed, and defaults in place of what failed, prove nothing.
    fn comparisons(&self, findings: &mut Vec<Finding>) {
        self.defined.definition.walk(&mut |node| {
            let Node::Expr(Expr::BoolExpr { op, lhs, rhs, .. }) = node else { return };
            let finding = self.is_empty(op, lhs, rhs).or_else(|| self.is_empty(turned(op), rhs, lhs));
            findings.extend(finding.or_else(|| self.is_false(op, lhs, rhs)).or_else(|| self.is_false(op, rhs, lhs)));
        });
    }

    fn is_empty(&self, op: &str, counted: &Expr, against: &Expr) -> Option<Finding> {
        let number = self.defined.module.text_of(against.span());
        let none_counted = matches!((op, number), ("Eq" | "Le", "0") | ("Lt", "1"));
        let collection = match (counted, against) {
            (Expr::Call { params, .. }, Expr::Number { .. }) if none_counted && self.builtin(counted)?.0 == "count" => {
                params.first()?
            }
            (_, Expr::Array { items, .. } | Expr::Set { items, .. }) if items.is_empty() && op == "Eq" => counted,
            (_, Expr::Call { params, .. }) if params.is_empty() && op == "Eq" && self.builtin(against)?.0 == "set" => {
                counted
            }
            _ => return None,
        };
        let what = match self.set(collection) {
            Some(rule) => format!("`{rule}`"),
            None if self.swallows(collection) => "a comprehension that leaves out what fails".to_owned(),
            None => return None,
        };
        let message = format!("an allow rests on nothing being in {what}: what fails adds nothing to it");
        Some(self.find(counted, message, "allow by positive proofs: `every ... { builtin(...) == false }`"))
    }

    /// Whether a comprehension leaves out what fails.
    fn swallows(&self, expr: &Expr) -> bool {
        let (Expr::ArrayCompr { query, .. } | Expr::SetCompr { query, .. } | Expr::ObjectCompr { query, .. }) = expr
        else {
            return false;
        };
        let mut swallows = false;
        query.walk(&mut |node| {
            if let Node::Expr(expr) = node {
                swallows |= self.builtin(expr).is_some_and(|(name, _)| can_fail(&name)) || self.failing(expr).is_some();
            }
        });
        swallows || literals(query).iter().any(|literal| matches!(literal, Literal::NotExpr { .. }))
    }

    /// `rule == false` where the rule's default is false and what it rests on can fail.
    fn is_false(&self, op: &str, named: &Expr, against: &Expr) -> Option<Finding> {
        if !matches!((op, against), ("Eq", Expr::Bool { value: false, .. }) | ("Ne", Expr::Bool { value: true, .. })) {
            return None;
        }
        let defaulted = |rule: &str| {
            let all = self.rules.all.get(rule).into_iter().flatten();
            all.into_iter().any(|defined| {
                matches!(defined.definition, Definition::Default { value: Expr::Bool { value: false, .. }, .. })
            })
        };
        let (rule, builtin) = self.failing(named).filter(|(rule, _)| defaulted(rule))?;
        let message = format!("`{rule}` is false by default also where `{builtin}` fails, and an allow rests on it");
        Some(self.find(named, message, "prove the opposite: a rule that holds where all is well"))
    }
}

/// The comparison with its sides changed.
fn turned(op: &str) -> &str {
    match op {
        "Lt" => "Gt",
        "Le" => "Ge",
        "Gt" => "Lt",
        "Ge" => "Le",
        same => same,
    }
}
