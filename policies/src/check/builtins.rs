//! Which builtins a bundle may call: those that both engines have, whose answer rests on their arguments alone.

use super::ast::{Expr, Node};
use super::finding::Finding;
use super::rules::{Meaning, Rules};
use crate::bundle::is_test;

/// Builtins that OPA's capabilities mark as non-deterministic, with the remedy.
const NON_DETERMINISTIC: [(&str, &str); 9] = [
    ("time.now_ns", "use input.context.now_us"),
    ("rand.intn", "use a value of the input"),
    ("uuid.rfc4122", "use an id of the input"),
    ("http.send", "put what the policy needs into data or input"),
    ("opa.runtime", "put what the policy needs into data"),
    ("net.lookup_ip_addr", "use the addresses of input.resources.urls"),
    ("io.jwt.decode_verify", "tokens are verified before the policy; use input.principal"),
    ("io.jwt.encode_sign", "a policy signs nothing"),
    ("io.jwt.encode_sign_raw", "a policy signs nothing"),
];

/// Builtins whose result has no bound.
const UNBOUNDED: [(&str, &str); 3] = [
    ("numbers.range", "list the numbers in data"),
    ("numbers.range_step", "list the numbers in data"),
    ("net.cidr_expand", "use net.cidr_contains"),
];

/// Builtins that the embedded engine leaves undefined where they fail, even in strict mode, which a rule may take for false
/// (`tests/parity/traps.rs` shows each). Sorted.
pub(crate) const SILENT: [&str; 11] = [
    "array.slice",
    "graph.reachable",
    "graph.reachable_paths",
    "json.filter",
    "json.patch",
    "json.remove",
    "regex.replace",
    "regex.template_match",
    "time.add_date",
    "units.parse",
    "units.parse_bytes",
];

/// What both engines have, of one meaning. Sorted.
const PORTABLE: &[&str] = &[
    "abs",
    "array.concat",
    "array.reverse",
    "base64.decode",
    "base64.encode",
    "base64.is_valid",
    "bits.and",
    "bits.lsh",
    "bits.negate",
    "bits.or",
    "bits.rsh",
    "bits.xor",
    "ceil",
    "concat",
    "contains",
    "count",
    "endswith",
    "floor",
    "format_int",
    "glob.match",
    "glob.quote_meta",
    "hex.decode",
    "hex.encode",
    "indexof",
    "indexof_n",
    "intersection",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "json.is_valid",
    "json.marshal",
    "json.marshal_with_options",
    "json.unmarshal",
    "lower",
    "max",
    "min",
    "net.cidr_contains",
    "net.cidr_is_valid",
    "object.filter",
    "object.get",
    "object.keys",
    "object.remove",
    "object.subset",
    "object.union",
    "object.union_n",
    "print",
    "product",
    "regex.find_n",
    "regex.globs_match",
    "regex.is_valid",
    "regex.match",
    "regex.split",
    "replace",
    "round",
    "semver.compare",
    "semver.is_valid",
    "set",
    "sort",
    "split",
    "sprintf",
    "startswith",
    "strings.any_prefix_match",
    "strings.any_suffix_match",
    "strings.count",
    "strings.replace_n",
    "strings.reverse",
    "substring",
    "sum",
    "time.clock",
    "time.date",
    "time.diff",
    "time.format",
    "time.parse_duration_ns",
    "time.parse_ns",
    "time.parse_rfc3339_ns",
    "time.weekday",
    "to_number",
    "trace",
    "trim",
    "trim_left",
    "trim_prefix",
    "trim_right",
    "trim_space",
    "trim_suffix",
    "type_name",
    "union",
    "upper",
    "walk",
];

/// Namespaces and names of builtins that can fail on arguments of the right type.
const FAILABLE: [&str; 20] = [
    "regex.",
    "net.",
    "json.",
    "yaml.",
    "time.",
    "base64.",
    "base64url.",
    "hex.",
    "urlquery.",
    "glob.",
    "semver.",
    "units.",
    "graph.",
    "io.",
    "crypto.",
    "numbers.",
    "bits.",
    "strings.",
    "to_number",
    "format_int",
];

/// Builtins that answer whatever they are given.
const TOTAL: [&str; 9] =
    ["is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string", "type_name", "print"];

/// Whether a builtin can fail on arguments of the right type: an engine may read its failure as undefined.
pub(crate) fn can_fail(name: &str) -> bool {
    FAILABLE.iter().any(|start| name.starts_with(start))
}

/// Whether a builtin can fail at all.
pub(crate) fn is_total(name: &str) -> bool {
    TOTAL.contains(&name)
}

/// Looks at every call of every module, tests too.
pub(crate) fn check(rules: &Rules<'_>, findings: &mut Vec<Finding>) {
    for defined in rules.all.values().flatten() {
        let locals = defined.locals();
        defined.definition.walk(&mut |node| {
            let Node::Expr(Expr::Call { fcn, .. }) = node else { return };
            let Meaning::Outside(name) = rules.meaning(defined.module, &locals, fcn) else { return };
            // Tests decide nothing.
            if SILENT.contains(&name.as_str()) && is_test(&defined.module.path) {
                return;
            }
            if let Some((code, message, remedy)) = verdict(&name) {
                findings.push(defined.module.finding(fcn.span(), code, message, remedy));
            }
        });
    }
}

fn verdict(name: &str) -> Option<(&'static str, String, &'static str)> {
    let of = |list: &[(&str, &'static str)]| list.iter().find(|(listed, _)| *listed == name).map(|(_, remedy)| *remedy);
    if let Some(remedy) = of(&NON_DETERMINISTIC) {
        return Some(("non_deterministic", format!("`{name}` answers differently from call to call"), remedy));
    }
    if let Some(remedy) = of(&UNBOUNDED) {
        return Some(("unbounded", format!("`{name}` can fill the memory before any limit is met"), remedy));
    }
    if SILENT.contains(&name) {
        let message = format!("`{name}` is undefined where it fails, which a rule may take for false");
        return Some(("silent_failure", message, "put what it would give into data or input"));
    }
    if PORTABLE.contains(&name) {
        return None;
    }
    let message = format!("no engine here knows the function `{name}`, or not all of them do");
    Some(("unknown_function", message, "define it in the bundle, or mend its name or import"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_called_is_listed_once_and_in_order() {
        assert!(PORTABLE.is_sorted() && SILENT.is_sorted());
        assert!(SILENT.iter().all(|name| !PORTABLE.contains(name)));
        let forbidden = NON_DETERMINISTIC.iter().chain(&UNBOUNDED);
        assert!(forbidden.clone().all(|(name, _)| !PORTABLE.contains(name)), "{forbidden:?}");
    }
}
