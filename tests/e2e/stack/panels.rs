//! The queries of the dashboards, with what Grafana puts in the place of its variables.

use serde_json::Value;
use xagent_tests::root;

/// What stands for the id of a trace.
pub const SOME_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// What a query asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Prometheus,
    Loki,
    Tables,
}

/// A query of a dashboard.
#[derive(Clone, Debug)]
pub struct Query {
    pub dashboard: String,
    pub panel: String,
    pub server: Server,
    /// As it is sent.
    pub text: String,
}

/// The dashboards, by their files.
pub fn dashboards() -> Vec<(String, Value)> {
    let folder = root().join("deploy/grafana/dashboards");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        files.map(|file| (file.display().to_string(), std::fs::read_to_string(&file).unwrap())).collect();
    found.sort();
    found.into_iter().map(|(file, text)| (file, serde_json::from_str(&text).unwrap())).collect()
}

/// All queries: of panels, of annotations, of variables.
pub fn queries() -> Vec<Query> {
    dashboards().iter().flat_map(|(_, dashboard)| of(dashboard)).collect()
}

fn of(dashboard: &Value) -> Vec<Query> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let panels = list(&dashboard["panels"]).into_iter().flat_map(|panel| {
        let title = panel["title"].clone();
        list(&panel["targets"]).into_iter().map(move |target| (title.clone(), target))
    });
    let annotations =
        list(&dashboard["annotations"]["list"]).into_iter().map(|it| (it["name"].clone(), it["target"].clone()));
    let variables = list(&dashboard["templating"]["list"]).into_iter().filter(|it| it["type"] == "query");
    let variables = variables
        .map(|it| (it["name"].clone(), serde_json::json!({"rawSql": it["query"], "datasource": it["datasource"]})));
    let all = panels.chain(annotations).chain(variables);
    let query = |(panel, target): (Value, Value)| {
        let text = |name: &str| target[name].as_str().map(filled);
        let (server, text) = match target["datasource"]["type"].as_str().unwrap() {
            "prometheus" => (Server::Prometheus, text("expr").unwrap()),
            "loki" => (Server::Loki, text("expr").unwrap()),
            "grafana-postgresql-datasource" => (Server::Tables, text("rawSql").unwrap()),
            // Jaeger is given a trace id, and nothing else.
            "jaeger" => return None,
            other => panic!("{other}"),
        };
        let name = |value: &Value| value.as_str().unwrap().to_owned();
        Some(Query { dashboard: name(&dashboard["title"]), panel: name(&panel), server, text })
    };
    all.filter_map(query).collect()
}

/// A query as Grafana sends it.
fn filled(text: &str) -> String {
    let mut text = text.to_owned();
    for (name, value) in [
        ("$__rate_interval", "30s"),
        ("$__interval", "1m"),
        ("$__range", "10m"),
        ("$__auto", "1m"),
        ("${agent:sqlstring}", "'reviewer', 'payer', 'a'"),
        ("$trace", SOME_TRACE),
        ("$search", "agent"),
    ] {
        text = text.replace(name, value);
    }
    let text = macros(&text, "$__timeFilter(", |column| format!("{column} BETWEEN now() - interval '6h' AND now()"));
    let text = macros(&text, "$__timeGroup(", |arguments| {
        let (column, interval) = arguments.split_once(',').unwrap();
        assert_eq!(interval.trim(), "1m");
        format!("floor(extract(epoch FROM {column}) / 60) * 60")
    });
    let left = text
        .match_indices('$')
        .find(|(at, _)| text[at + 1..].starts_with(|next: char| next == '_' || next == '{' || next.is_alphabetic()));
    assert!(left.is_none(), "what is meant by the variable in `{text}`?");
    text
}

/// A macro of one level of brackets.
fn macros(text: &str, name: &str, expanded: impl Fn(&str) -> String) -> String {
    let mut parts = text.split(name);
    let mut made = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (arguments, rest) = part.split_once(')').unwrap();
        made += &expanded(arguments);
        made += rest;
    }
    made
}
