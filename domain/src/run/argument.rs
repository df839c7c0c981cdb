//! What arguments mean to the law: their roles, and the values somebody must vouch for. Pure; recorded with the call.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::without_floats;

/// A longer value is cut, and nobody can vouch for it.
const LONGEST: usize = 512;
/// Links looked at in one argument.
const MOST_LINKS: usize = 64;
/// Millionths in one unit of money.
const MICROS: i64 = 1_000_000;
/// More would not survive other JSON readers as an integer of millionths.
const MOST_UNITS: i64 = 9_007_199_254;

/// What an argument of a tool is for, as its registration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentRole {
    /// Who gets something: an address, an account, a person.
    Recipient,
    /// How much money.
    Amount,
    /// A credential, or what identifies somebody.
    Secret,
    /// What is destroyed or irrevocably changed.
    Target,
    /// Where somebody is sent: a link. Links inside content are taken out of it and stand for themselves.
    Link,
    /// Anything else: where it comes from does not matter.
    Content,
}

impl ArgumentRole {
    /// As it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::Amount => "amount",
            Self::Secret => "secret",
            Self::Target => "target",
            Self::Link => "link",
            Self::Content => "content",
        }
    }
}

/// One value of an argument that somebody must vouch for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArgumentUse {
    /// The argument.
    pub argument: String,
    /// What it is for; none where the registration does not say, so that nobody can vouch for it.
    pub role: Option<ArgumentRole>,
    /// The value as text, cut where it is long.
    pub value: String,
    /// An amount in millionths; none where it is no amount, or not one that can be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micros: Option<i64>,
}

/// The values of a consequential call's arguments; of its content, only the links.
pub fn argument_uses(roles: &BTreeMap<String, ArgumentRole>, arguments: &Value) -> Vec<ArgumentUse> {
    let Value::Object(fields) = arguments else { return vec![one("", None, arguments.to_string())] };
    let declared = fields.iter().map(|(name, value)| (name, roles.get(name).copied(), value));
    declared
        .flat_map(|(name, role, value)| match role {
            Some(ArgumentRole::Content) => linked(name, value),
            role => texts(value).into_iter().map(|text| one(name, role, text)).collect(),
        })
        .collect()
}

/// The links in an argument's content. Where there are too many, nobody can vouch for the rest.
fn linked(name: &str, value: &Value) -> Vec<ArgumentUse> {
    let mut found: Vec<String> = texts(value).iter().flat_map(|text| links(text)).collect();
    let more = found.len().checked_sub(MOST_LINKS).filter(|more| *more > 0);
    found.truncate(MOST_LINKS);
    let links = found.into_iter().map(|link| one(name, Some(ArgumentRole::Link), link));
    links.chain(more.map(|more| one(name, None, format!("{more} more links")))).collect()
}

/// What a reader's program would make a link of: `scheme://...`, `www....`, and `name.tld/...`.
fn links(text: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>()[]{}\"'`|".contains(c);
    let words = text.split(ends).map(|word| word.trim_matches(['.', ',', ';', ':', '!', '?']));
    words.filter(|word| is_link(word)).map(str::to_owned).collect()
}

fn is_link(word: &str) -> bool {
    let lower = word.to_lowercase();
    let top = lower.split_once('/').and_then(|(host, _)| host.rsplit_once('.')).map(|(_, top)| top);
    let named = top.is_some_and(|top| top.chars().count() > 1 && top.chars().all(char::is_alphabetic));
    lower.contains("://") || lower.starts_with("www.") || named
}

fn one(argument: &str, role: Option<ArgumentRole>, text: String) -> ArgumentUse {
    let fits = text.chars().count() <= LONGEST;
    let micros = role.filter(|role| fits && *role == ArgumentRole::Amount).and_then(|_| micros(&text));
    let value = if fits { text } else { text.chars().take(LONGEST).collect() };
    ArgumentUse { argument: argument.to_owned(), role: role.filter(|_| fits), value, micros }
}

/// Every scalar of a value, as text.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(flag) => vec![flag.to_string()],
        Value::Number(_) => match without_floats(value.clone()) {
            Value::String(text) => vec![text],
            other => vec![other.to_string()],
        },
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
    }
}

/// A decimal number as millionths: digits, and up to six more after a point.
pub(super) fn micros(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let whole: i64 = whole.parse().ok().filter(|units| *units < MOST_UNITS)?;
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    Some(whole * MICROS + fraction)
}

/// The form in which values are compared: trimmed, ASCII letters small. Nothing else is folded, so that a look-alike
/// stays another value.
pub(super) fn normal(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

/// Whether a text names a value: as a whole, not as a part of a longer word, address or path; an amount by its size.
pub(super) fn names(text: &str, argument: &ArgumentUse) -> bool {
    if argument.role == Some(ArgumentRole::Amount) {
        return argument.micros.is_some_and(|wanted| amounts(text).any(|amount| amount == wanted));
    }
    let (text, value) = (text.to_ascii_lowercase(), normal(&argument.value));
    !value.is_empty() && text.match_indices(&value).any(|(at, _)| stands_alone(&text, at, at + value.len()))
}

fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let joins = |c: char| c.is_alphanumeric() || matches!(c, '_' | '%' | '+' | '-' | '@' | '/' | '\\');
    let before = text[..start].chars().next_back();
    let mut after = text[end..].chars();
    let (next, beyond) = (after.next(), after.next());
    let dotted = next == Some('.') && beyond.is_some_and(char::is_alphanumeric);
    !before.is_some_and(|c| joins(c) || c == '.') && !next.is_some_and(joins) && !dotted
}

fn amounts(text: &str) -> impl Iterator<Item = i64> {
    let numbers = text.split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',')));
    numbers.filter_map(|number| micros(&number.trim_matches(['.', ',']).replace(',', "")))
}

/// The words of a text that may be vouched for, in normal form.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    let ends = |c: char| c.is_whitespace() || ",;:<>()[]{}\"'`|".contains(c);
    text.split(ends).map(|word| normal(word.trim_matches('.'))).filter(|word| !word.is_empty() && word.len() <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named(text: &str, role: ArgumentRole, value: &str) -> bool {
        names(text, &one("a", Some(role), value.to_owned()))
    }

    #[test]
    fn every_value_but_content_is_taken_and_what_has_no_role_stays_without() {
        let roles = BTreeMap::from([
            ("to".to_owned(), ArgumentRole::Recipient),
            ("sum".to_owned(), ArgumentRole::Amount),
            ("body".to_owned(), ArgumentRole::Content),
        ]);
        let arguments = json!({"to": ["a@x.org", {"b": "c"}], "sum": 98.7, "body": "text", "new": true, "cc": null});
        let uses = argument_uses(&roles, &arguments);
        let seen: Vec<_> = uses.iter().map(|u| (u.argument.as_str(), u.role, u.value.as_str(), u.micros)).collect();
        let recipient = Some(ArgumentRole::Recipient);
        let expected = [
            ("new", None, "true", None),
            ("sum", Some(ArgumentRole::Amount), "98.7", Some(98_700_000)),
            ("to", recipient, "a@x.org", None),
            ("to", recipient, "c", None),
        ];
        assert_eq!(seen, expected);
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(argument_uses(&roles, &json!({"to": long}))[0].role, None);
        assert_eq!(argument_uses(&roles, &json!([1]))[0].role, None);
    }

    #[test]
    fn links_in_content_stand_for_themselves() {
        let roles = BTreeMap::from([("body".to_owned(), ArgumentRole::Content)]);
        let seen = |body: &str| -> Vec<String> {
            let uses = argument_uses(&roles, &json!({"body": body}));
            assert!(uses.iter().all(|u| u.role == Some(ArgumentRole::Link)));
            uses.into_iter().map(|u| u.value).collect()
        };
        let body = "See (https://bit.ly/a). Or <www.x.org>, [here](HTTP://Y.org/b?c=d)! Also x.org/y.";
        assert_eq!(seen(body), ["https://bit.ly/a", "www.x.org", "HTTP://Y.org/b?c=d", "x.org/y"]);
        assert_eq!(seen("and/or 1.5/2.5 notes/a.txt a.txt me@x.org 3/4."), [""; 0]);
        let many = "http://a.b ".repeat(MOST_LINKS + 2);
        let uses = argument_uses(&roles, &json!({"body": many}));
        assert_eq!((uses.len(), uses[MOST_LINKS].role), (MOST_LINKS + 1, None));
    }

    #[test]
    fn a_value_is_named_only_as_a_whole() {
        let goal = "Write to john.doe@x.org, Apple and 'a b'. The file is notes/a.txt.";
        for value in ["john.doe@x.org", "JOHN.DOE@X.ORG", "Apple", "a b", "notes/a.txt"] {
            assert!(named(goal, ArgumentRole::Recipient, value), "{value}");
        }
        for value in ["doe@x.org", "john.doe@x", "App", "a.txt", "x.org", "", " ", "jоhn.doe@x.org"] {
            assert!(!named(goal, ArgumentRole::Recipient, value), "{value}");
        }
    }

    #[test]
    fn an_amount_is_named_by_its_size() {
        let goal = "Pay 10.00 now, and $30,000 later. Rent is 2200.";
        for value in ["10", "10.0", "30000", "2200.000"] {
            assert!(named(goal, ArgumentRole::Amount, value), "{value}");
        }
        for value in ["1", "100", "220", "-10", "1e1", "10.0000001", "99999999999", "ten"] {
            assert!(!named(goal, ArgumentRole::Amount, value), "{value}");
        }
    }
}
