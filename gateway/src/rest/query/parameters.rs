//! The parameters of a list: its filters, and what all lists know. Whatever is wrong with one is said by its name.

use std::marker::PhantomData;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use url::form_urlencoded;
use xagent_domain::{Digest, Tenant};
use xagent_projections::{Filter, Listed, Order, Question, Test, Wanted};

use super::super::Doors;
use super::super::extract::{header, invalid};
use super::cursor::Cursor;
use super::{PATIENCE, patience};
use crate::export::Format;
use crate::problem::Problem;
use crate::trace::Trace;

/// Rows of a page unless told otherwise, and at most.
pub const PAGE: u32 = 100;
pub const MOST: u32 = 1000;
/// Values of one parameter, and characters of a value, at most.
const VALUES: usize = 50;
const CHARACTERS: usize = 1000;
/// What every list knows beside its filters.
const COMMON: [&str; 5] = ["cursor", "format", "limit", "min_position", "order"];

/// What was asked of a list of `R`.
pub struct Asked<R> {
    list: PhantomData<fn() -> R>,
    tests: Vec<(Test, Wanted)>,
    order: Order,
    after: Option<u64>,
    pub limit: Option<u32>,
    pub format: Format,
    pub min_position: Option<u64>,
    pub patience: Duration,
    /// Digest of filters and order: what a cursor is bound to.
    pub filter: String,
    /// The filters as they were given.
    pub text: String,
}

impl<R: Listed> Asked<R> {
    /// What a query asks for, with the usual patience.
    pub fn of(query: &str) -> Result<Self, Problem> {
        let asked = read::<R>(query, "").map_err(|problem| with_what_was_given(problem, query))?;
        Ok(Self { patience: PATIENCE, ..asked })
    }
}

impl<R> Asked<R> {
    /// The question, of a tenant.
    pub fn question(&self, tenant: Tenant) -> Question {
        Question { tenant, tests: self.tests.clone(), order: self.order, after: self.after, limit: self.limit }
    }
}

/// The parameters of a list of `R`.
pub struct Asking<R>(pub Asked<R>);

impl<R: Listed> FromRequestParts<Doors> for Asking<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Doors) -> Result<Self, Problem> {
        let trace = Trace::of(header(&parts.headers, "traceparent"));
        let accept = header(&parts.headers, "accept").unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default();
        let asked = read::<R>(query, accept).map_err(|problem| with_what_was_given(problem, query).traced(&trace))?;
        Ok(Self(Asked { patience: patience(&parts.headers), ..asked }))
    }
}

/// A problem of a parameter tells its value too.
fn with_what_was_given(problem: Problem, query: &str) -> Problem {
    let mut given = form_urlencoded::parse(query.as_bytes());
    let value = given.find(|(name, _)| problem.field.as_deref() == Some(name)).map(|(_, value)| value);
    value.into_iter().fold(problem, |problem, value| problem.with_value(&value))
}

fn read<R: Listed>(query: &str, accept: &str) -> Result<Asked<R>, Problem> {
    let mut given: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
        if value.chars().count() > CHARACTERS {
            return Err(invalid(&name, &format!("it is longer than {CHARACTERS} characters")));
        }
        match given.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => given.push((name, vec![value])),
        }
    }
    given.sort();
    let mut tests = Vec::new();
    for (name, values) in given.iter().filter(|(name, _)| !COMMON.contains(&name.as_str())) {
        let filter = R::FILTERS.iter().find(|filter| filter.name == *name).ok_or_else(|| unknown::<R>(name))?;
        tests.push((filter.test, wanted(filter, values)?));
    }
    let one = |name: &str| match given.iter().find(|(known, _)| known == name) {
        None => Ok(None),
        Some((_, values)) if values.len() == 1 => Ok(values.first().cloned()),
        Some(_) => Err(invalid(name, "it is given more than once")),
    };
    let order = match one("order")?.as_deref() {
        None | Some("newest") => Order::Newest,
        Some("oldest") => Order::Oldest,
        Some(text) => return Err(invalid("order", &format!("`{text}` is no order: it is `newest` or `oldest`"))),
    };
    let format = one("format")?.map_or_else(
        || Ok(Format::accepted(accept)),
        |text| {
            let names = Format::NAMES.map(|(name, _)| format!("`{name}`")).join(", ");
            Format::named(&text).ok_or_else(|| invalid("format", &format!("`{text}` is no format: they are {names}")))
        },
    )?;
    let limit = one("limit")?.map(|text| limit(&text, format)).transpose()?;
    let min_position = one("min_position")?.map(|text| {
        text.parse().map_err(|_| invalid("min_position", &format!("`{text}` is no position: take one of a receipt")))
    });
    let text = told(&given);
    let filter = Digest::of(format!("{} {order:?} {text}", R::NAME).as_bytes()).to_string();
    let filter = filter.chars().take(16).collect::<String>();
    let after = one("cursor")?.map(|text| Cursor::read(&text, R::NAME, &filter)).transpose()?;
    let (min_position, patience) = (min_position.transpose()?, Duration::ZERO);
    Ok(Asked { list: PhantomData, tests, order, after, limit, format, min_position, patience, filter, text })
}

/// The filters in order of their names, as a query.
fn told(given: &[(String, Vec<String>)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (name, values) in given.iter().filter(|(name, _)| !COMMON.contains(&name.as_str())) {
        text.extend_pairs(values.iter().map(|value| (name, value)));
    }
    text.finish()
}

fn unknown<R: Listed>(name: &str) -> Problem {
    let mut known: Vec<_> = R::FILTERS.iter().map(|filter| filter.name).chain(COMMON).collect();
    known.sort_unstable();
    let name: String = name.chars().take(80).collect();
    invalid(&name, &format!("`{name}` is no parameter of a list of {}: they are {}", R::NAME, known.join(", ")))
}

fn limit(text: &str, format: Format) -> Result<u32, Problem> {
    let most = if format == Format::Json { MOST } else { u32::MAX };
    let limit = text.parse::<u32>().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| {
        let detail = format!("`{text}` is no number of rows from 1 to {most}; a file (`format=csv`) may have any");
        invalid("limit", &detail)
    })
}

fn wanted(filter: &Filter, values: &[String]) -> Result<Wanted, Problem> {
    let moment = matches!(filter.test, Test::Since(_) | Test::Until(_));
    if values.len() > if moment { 1 } else { VALUES } {
        return Err(invalid(filter.name, "it is given more often than it may be"));
    }
    if moment {
        let text = values.first().map(String::as_str).unwrap_or_default();
        return at(filter.name, text).map(Wanted::Moment);
    }
    for value in values {
        if value.is_empty() {
            return Err(invalid(filter.name, "it is empty: leave it out, or say what is wanted"));
        }
        if !filter.values.is_empty() && !filter.values.contains(&value.as_str()) {
            let detail = format!("`{value}` is none of {}", filter.values.join(", "));
            return Err(invalid(filter.name, &detail));
        }
        if value.contains('\0') {
            return Err(invalid(filter.name, "it holds a NUL, and nothing that is kept does"));
        }
    }
    Ok(Wanted::Texts(values.to_vec()))
}

/// A moment (RFC 3339).
pub fn at(name: &str, text: &str) -> Result<DateTime<Utc>, Problem> {
    let parsed = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    parsed.map_err(|_| {
        invalid(name, &format!("`{text}` is no moment: write it as `2026-11-28T09:30:00Z`; a `+` in a URL is `%2B`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use xagent_projections::DecisionRow;

    fn problem(query: &str) -> (String, String) {
        let problem = read::<DecisionRow>(query, "").err().unwrap();
        (problem.field.unwrap(), problem.detail)
    }

    #[test]
    fn what_is_wrong_with_a_parameter_is_said_by_its_name() {
        for (query, field, said) in [
            ("color=red", "color", "agent, bundle, call, code, command, cursor, decision, entrypoint, format, id"),
            ("limit=0", "limit", "from 1 to 1000"),
            ("limit=1001", "limit", "from 1 to 1000"),
            ("limit=1&limit=2", "limit", "more than once"),
            ("order=up", "order", "`newest` or `oldest`"),
            ("format=xls", "format", "`json`, `csv`, `ndjson`, `parquet`"),
            ("since=yesterday", "since", "2026-11-28T09:30:00Z"),
            ("decision=perhaps", "decision", "allow, deny, approval"),
            ("agent=", "agent", "it is empty"),
            ("agent=%00", "agent", "NUL"),
            ("min_position=-1", "min_position", "no position"),
            ("cursor=x", "cursor", "no cursor"),
        ] {
            let (found, detail) = problem(query);
            assert_eq!(found, field, "{detail}");
            assert!(detail.contains(said), "{detail}");
        }
    }

    #[test]
    fn a_cursor_is_bound_to_filters_and_order_but_not_to_how_many_are_asked_for() {
        let filter = |query: &str| read::<DecisionRow>(query, "").unwrap().filter;
        assert_eq!(filter("agent=a&tool=b&limit=1"), filter("tool=b&agent=a&limit=7&format=csv"));
        let others = ["agent=a", "agent=a&order=oldest", "agent=b", "tool=a", "", "agent=a&agent=b"].map(filter);
        let different: std::collections::BTreeSet<_> = others.iter().collect();
        assert_eq!(different.len(), others.len());
    }
}
