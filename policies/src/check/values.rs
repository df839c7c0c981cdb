//! Values that engines read differently: patterns, case mapping, addresses, numbers.

use std::net::IpAddr;

use serde_json::Value;

use super::ast::{Expr, Node};
use super::dataflow::{Origin, origins, texts};
use super::finding::Finding;
use super::pattern::objection;
use super::rules::{Defined, Meaning, Rules, Step};

/// Numbers up to this are the same in every JSON reader (RFC 8259 section 6).
const EXACT: i128 = 1 << 53;
/// Which argument of a builtin is a regular expression.
const PATTERNS: [(&str, usize); 5] =
    [("regex.match", 0), ("regex.split", 0), ("regex.find_n", 0), ("regex.replace", 1), ("regex.is_valid", 0)];

/// What a bundle's values are looked at with.
pub(crate) struct Values<'r, 'a> {
    pub rules: &'r Rules<'a>,
    pub data: &'r Value,
}

impl<'a> Values<'_, 'a> {
    /// Looks through every definition that decides, and the data.
    pub fn check(&self, findings: &mut Vec<Finding>) {
        for (_, defined) in self.rules.deciding() {
            let locals = defined.locals();
            defined.definition.walk(&mut |node| match node {
                Node::Expr(Expr::Call { fcn, params, .. }) => {
                    if let Meaning::Outside(name) = self.rules.meaning(defined.module, &locals, fcn) {
                        self.call(defined, &name, fcn, params, findings);
                    }
                }
                Node::Expr(number @ Expr::Number { .. }) => findings.extend(number_literal(defined, number)),
                Node::Expr(divided @ Expr::ArithExpr { op, .. }) if op == "Div" => {
                    let message = "a division may give a float, which engines write differently";
                    let remedy = "multiply the other side: write a >= b * 3, not a / 3 >= b";
                    findings.push(defined.module.finding(divided.span(), "floats", message, remedy));
                }
                _ => {}
            });
        }
        numbers(self.data, "", findings);
    }

    fn call(&self, defined: &Defined<'a>, name: &str, fcn: &Expr, params: &'a [Expr], findings: &mut Vec<Finding>) {
        if let Some(pattern) = PATTERNS.iter().find(|(listed, _)| *listed == name).and_then(|(_, at)| params.get(*at)) {
            self.pattern(defined, name, pattern, findings);
        }
        match name {
            "lower" | "upper" => findings.extend(params.first().and_then(|text| self.case(defined, name, fcn, text))),
            "net.cidr_contains" => params.iter().for_each(|param| self.address(defined, fcn, param, findings)),
            "units.parse" => {
                let message = "`units.parse` may give a float, which engines write differently";
                findings.push(defined.module.finding(fcn.span(), "floats", message, "write the number out in data"));
            }
            "sprintf" => findings.extend(params.first().and_then(|format| float_format(defined, format))),
            _ => {}
        }
    }

    fn pattern(&self, defined: &Defined<'a>, name: &str, pattern: &'a Expr, findings: &mut Vec<Finding>) {
        let place = |message: String, remedy: &str| defined.module.finding(pattern.span(), "regex", message, remedy);
        for origin in origins(self.rules, defined, pattern) {
            match origin {
                Origin::Text(module, span, text) => {
                    let found = objection(text);
                    findings.extend(found.map(|(message, remedy)| {
                        module.finding(span, "regex", format!("the pattern `{text}`: {message}"), remedy)
                    }));
                }
                Origin::Data(steps) => {
                    for text in texts(self.data, &steps) {
                        findings.extend(objection(text).map(|(message, remedy)| {
                            let at = shown("data", &steps);
                            place(format!("the pattern `{text}` of {at}: {message}"), remedy)
                        }));
                    }
                }
                Origin::Input(steps) => {
                    let message = format!("the pattern of `{name}` comes from {}", shown("input", &steps));
                    findings.push(place(message, "whoever asks must not choose it: take it from data"));
                }
                Origin::Elsewhere => {
                    let message = format!("the pattern of `{name}` comes from where the check cannot follow it");
                    findings.push(place(message, "write it out, or go through a list of patterns in data"));
                }
            }
        }
    }

    /// Only ASCII has one lower case in every engine.
    fn case(&self, defined: &Defined<'a>, name: &str, fcn: &Expr, text: &'a Expr) -> Option<Finding> {
        let is_ascii = |origin: &Origin<'_>| match origin {
            Origin::Text(_, _, text) => text.is_ascii(),
            Origin::Data(steps) => texts(self.data, steps).iter().all(|text| text.is_ascii()),
            Origin::Input(_) | Origin::Elsewhere => false,
        };
        let found = origins(self.rules, defined, text).iter().any(|origin| !is_ascii(origin));
        let message = format!("`{name}` maps letters beyond ASCII differently from engine to engine");
        let remedy = "map ASCII alone: strings.replace_n({\"A\": \"a\", ...}, text), or write patterns with both cases";
        found.then(|| defined.module.finding(fcn.span(), "case_mapping", message, remedy))
    }

    /// An IPv4 address in an IPv6 coat is inside an IPv4 block for one engine and outside for the other.
    fn address(&self, defined: &Defined<'a>, fcn: &Expr, param: &'a Expr, findings: &mut Vec<Finding>) {
        let remedy = "write the IPv4 address itself: addresses reach the policy in that form";
        let mapped = |text: &str| format!("`{text}` is an IPv4-mapped IPv6 address, which engines compare differently");
        for origin in origins(self.rules, defined, param) {
            match origin {
                Origin::Text(module, span, text) if is_mapped(text) => {
                    findings.push(module.finding(span, "mapped_address", mapped(text), remedy));
                }
                Origin::Data(steps) => {
                    for text in texts(self.data, &steps).into_iter().filter(|text| is_mapped(text)) {
                        let message = format!("{} of {}", mapped(text), shown("data", &steps));
                        findings.push(defined.module.finding(fcn.span(), "mapped_address", message, remedy));
                    }
                }
                Origin::Input(steps) if steps.first() == Some(&Step::Name("arguments".to_owned())) => {
                    let message = format!("{} may hold an IPv4-mapped IPv6 address", shown("input", &steps));
                    let remedy = "use input.resources.urls[_].addresses, which are normalised";
                    findings.push(defined.module.finding(param.span(), "mapped_address", message, remedy));
                }
                Origin::Text(..) | Origin::Input(_) | Origin::Elsewhere => {}
            }
        }
    }
}

fn is_mapped(text: &str) -> bool {
    let address = text.split('/').next().unwrap_or_default();
    matches!(address.parse(), Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some())
}

fn shown(root: &str, steps: &[Step]) -> String {
    let mut text = root.to_owned();
    for step in steps {
        match step {
            Step::Name(name) => text.push_str(&format!(".{name}")),
            Step::Any => text.push_str("[_]"),
        }
    }
    format!("`{text}`")
}

fn number_literal(defined: &Defined<'_>, number: &Expr) -> Option<Finding> {
    let written = defined.module.text_of(number.span());
    let message = number_objection(written)?;
    Some(defined.module.finding(number.span(), "floats", message, NUMBER_REMEDY))
}

const NUMBER_REMEDY: &str = "use integers in a smaller unit (cents, milliseconds), or a text";

fn number_objection(written: &str) -> Option<String> {
    match written.parse::<i128>() {
        Ok(number) if number.abs() <= EXACT => None,
        Ok(_) => Some(format!("`{written}` is beyond 2^53, where engines round differently")),
        Err(_) => Some(format!("`{written}` is a float, which engines write differently")),
    }
}

fn numbers(data: &Value, at: &str, findings: &mut Vec<Finding>) {
    match data {
        Value::Number(number) => {
            let message = number_objection(&number.to_string());
            let finding = |message| Finding::of_file("data.json", "floats", format!("{at}: {message}"), NUMBER_REMEDY);
            findings.extend(message.map(finding));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| numbers(item, &format!("{at}/{index}"), findings));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| numbers(value, &format!("{at}/{name}"), findings));
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn float_format(defined: &Defined<'_>, format: &Expr) -> Option<Finding> {
    let remedy = "use %s and %d, or concat";
    let Some(text) = format.text() else {
        let message = "the format of `sprintf` is not written out";
        return Some(defined.module.finding(format.span(), "floats", message, remedy));
    };
    let mut verbs = text.split('%').skip(1);
    while let Some(verb) = verbs.next() {
        match verb.chars().next() {
            Some('s' | 'd' | 'v') => {}
            None => drop(verbs.next()),
            Some(_) => {
                let message = format!("engines write `%{}` differently", verb.chars().take(3).collect::<String>());
                return Some(defined.module.finding(format.span(), "floats", message, remedy));
            }
        }
    }
    None
}
