//! The whole report, before it is put into words.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use xagent_domain::EngineIdentity;
use xagent_policies::{Coverage, Unreached};
use xagent_replay::whatif::{Class, Counts, Example, Gate, Settings, Tally};

use super::scope::Range;

/// How fast it was; no part of what was found.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pace {
    pub decisions: u64,
    pub seconds: f64,
    pub decisions_per_second: f64,
}

impl Pace {
    pub fn of(decisions: u64, took: Duration) -> Self {
        let seconds = took.as_secs_f64().max(0.000_001);
        Self { decisions, seconds, decisions_per_second: (decisions as f64 / seconds).round() }
    }
}

/// What there is to say.
pub struct Summary<'a> {
    pub bundle: String,
    pub named: &'a str,
    pub asked: Map<String, Value>,
    pub range: &'a Range,
    pub engine: EngineIdentity,
    pub tally: &'a Tally,
    pub unreached: Vec<Unreached>,
    pub stopped_by: Vec<(&'static str, u64)>,
    pub gated: bool,
    pub pace: Pace,
}

impl<'a> Summary<'a> {
    pub fn of(
        (named, asked): (&'a str, Value),
        range: &'a Range,
        settings: &Settings,
        tally: &'a Tally,
        gate: &Gate,
        pace: Pace,
    ) -> Self {
        let asked = match asked {
            Value::Object(asked) => asked.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => Map::new(),
        };
        let covered = tally.covering > 0;
        Self {
            bundle: settings.digest.to_string(),
            named,
            asked,
            range,
            engine: settings.engine.authority(),
            tally,
            unreached: if covered { Coverage::unreached(&settings.candidate, &tally.lines) } else { Vec::new() },
            stopped_by: gate.stopped_by(tally),
            gated: *gate != Gate::default(),
            pace,
        }
    }

    /// The classes in which something changes, the most dangerous first.
    pub fn classes(&self) -> impl Iterator<Item = (Class, &Counts)> {
        Class::ALL.into_iter().filter_map(|class| Some((class, self.tally.classes.get(&class)?)))
    }

    /// Examples of changes, the most dangerous first.
    pub fn examples(&self) -> Vec<&Example> {
        let mut examples: Vec<_> = self.tally.examples.iter().collect();
        examples.sort_by_key(|example| (example.class, example.position));
        examples
    }

    /// How many bundles decided.
    pub fn bundles_told(&self) -> String {
        match self.tally.bundles.len() {
            1 => "1 bundle".to_owned(),
            count => format!("{count} bundles"),
        }
    }

    /// What the engine does, in a sentence.
    pub fn engine_told(&self) -> String {
        let (today, engines) = (engine(&self.engine), &self.tally.engines);
        let others: Vec<_> = engines.by_engine.keys().filter(|name| **name != today).map(String::as_str).collect();
        let then = if others.is_empty() { String::new() } else { format!(", recorded by {}", others.join(" and ")) };
        let asked = engines.asked_again();
        match engines.changed {
            0 if others.is_empty() && asked == 0 && self.tally.decided > 0 => {
                format!("{today}, which made all of these decisions; about each BUNDLE says what is recorded")
            }
            0 if others.is_empty() && asked < self.tally.decided => format!(
                "{today}, which made all of these decisions: {asked} were made again by the bundle that made them, and \
                 come out as recorded; about the others BUNDLE says what is recorded (--confirm asks about all)"
            ),
            0 if others.is_empty() => format!("{today}: every decision comes out as it was recorded"),
            0 => format!("{today}{then}: the engine changed, and what it did not make comes out as it was recorded"),
            changed => format!(
                "{today}{then}: {changed} decisions come out otherwise with the bundle that made them, {} of them as \
                 another verdict: that is the engine, not the policy",
                engines.verdicts
            ),
        }
    }

    /// What the server is asked to record. Which lines were reached is left out: they are many, and can be counted again.
    pub fn to_record(&self) -> Value {
        let mut report = self.json();
        if let Some(coverage) = report["coverage"].as_object_mut() {
            coverage.remove("lines");
        }
        let changes = |(class, counts): (Class, &Counts)| (class.name().to_owned(), json!(counts.decisions));
        json!({
            "bundle": self.bundle,
            "after": self.range.after,
            "to": self.range.to,
            "engine": self.engine,
            "decided": self.tally.decided,
            "undecided": self.tally.undecided.count,
            "engine_changed": self.tally.engines.changed,
            "changes": self.classes().map(changes).collect::<Map<_, _>>(),
            "report": report,
        })
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let tally = self.tally;
        let group = |group: &std::collections::BTreeMap<String, std::collections::BTreeMap<Class, u64>>| json!(group);
        json!({
            "bundle": self.bundle,
            "history": self.asked,
            "after": self.range.after,
            "to": self.range.to,
            "engine": self.engine,
            "read": tally.read,
            "left_out": tally.left_out,
            "decided": tally.decided,
            "bundles": tally.bundles,
            "engine_changes": tally.engines,
            "changes": tally.changes(),
            "classes": tally.classes,
            "by_rule": group(&tally.groups.rules),
            "by_tool": group(&tally.groups.tools),
            "by_agent": group(&tally.groups.agents),
            "by_principal": group(&tally.groups.principals),
            "diverged_runs": tally.diverged_runs,
            "divergences": tally.divergences,
            "examples": tally.examples,
            "undecided": tally.undecided,
            "coverage": {"decisions": tally.covering, "unreached": self.unreached, "lines": tally.lines},
            "stopped_by": self.stopped_by.iter().map(|(name, count)| json!({"finding": name, "decisions": count})).collect::<Vec<_>>(),
            "pace": self.pace,
        })
    }
}

/// An engine in words.
pub fn engine(engine: &EngineIdentity) -> String {
    format!("{} {} ({})", engine.name, engine.version, engine.mode)
}
