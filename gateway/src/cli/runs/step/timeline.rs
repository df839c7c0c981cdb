//! The events of a run, each with the state after it, folded by the very functions that the server folds with.

use serde_json::Value;
use xagent_domain::run::{Run, RunEvent};
use xagent_domain::{Content, Decider, read};
use xagent_replay::{Change, diff};

use super::super::told::{change, plain, state};
use super::CliError;
use crate::cli::tail::line::said;
use crate::cli::terminal::Paint;

/// An event and the state after it. A state shares with the one before it what the event left as it was.
pub struct Moment {
    /// The event as one line of the list.
    pub line: String,
    recorded: Value,
    fact: RunEvent,
    state: Run,
}

/// A run, event by event.
pub struct Timeline {
    pub run: String,
    moments: Vec<Moment>,
}

impl Timeline {
    /// Folds the events as the API shows them.
    pub fn of(run: &str, events: Vec<Value>) -> Result<Self, CliError> {
        let mut moments: Vec<Moment> = Vec::with_capacity(events.len());
        for recorded in events {
            let fact = fact(&recorded).map_err(|error| {
                let message = format!("event {} of {run} cannot be read: {error}", recorded["sequence"]);
                CliError::new(message, "update this xagent to the version of its server")
            })?;
            let mut state = moments.last().map_or_else(Run::default, |moment| moment.state.clone());
            state.evolve(&fact);
            moments.push(Moment { line: line(&recorded), recorded, fact, state });
        }
        Ok(Self { run: run.to_owned(), moments })
    }

    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// The state after the event at `index`, as lines.
    pub fn state(&self, index: usize) -> Vec<String> {
        self.moments.get(index).map(|moment| state(&moment.state)).unwrap_or_default()
    }

    /// What the event at `index` changed, as lines.
    pub fn changes(&self, index: usize) -> Vec<String> {
        let value = |run: &Run| serde_json::to_value(run).unwrap_or_default();
        let Some(moment) = self.moments.get(index) else { return Vec::new() };
        let before = index.checked_sub(1).and_then(|before| self.moments.get(before));
        let before = before.map_or_else(|| value(&Run::default()), |before| value(&before.state));
        let changes: Vec<Change> = diff(&before, &value(&moment.state));
        if changes.is_empty() {
            return vec!["It changed nothing of the state.".to_owned()];
        }
        changes.iter().map(change).collect()
    }
}

impl Moment {
    /// The event as lines: where it stands, and what it says; a decision with its reasons and its input first.
    pub fn told(&self) -> Vec<String> {
        let text = |name: &str| self.recorded[name].as_str().unwrap_or_default();
        let at = self.recorded["recorded_at_us"].as_i64().and_then(chrono::DateTime::from_timestamp_micros);
        let at = at.map(|at| at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()).unwrap_or_default();
        let mut lines = vec![
            format!("position  {}", self.recorded["position"]),
            format!("recorded  {at}"),
            plain(&format!("actor     {}", self.recorded["metadata"]["actor"].as_str().unwrap_or_default())),
            format!("leaf      {}", text("leaf_hash")),
        ];
        if let RunEvent::DecisionMade(made) = &self.fact {
            let verdict = if made.allow { "allow" } else { "deny" };
            lines.push(format!("decision  {verdict}, by {} of {}", made.evaluation.entrypoint, made.evaluation.bundle));
            let reasons = made.deny.iter().map(|reason| format!("reason    {}: {}", reason.code, reason.message));
            let asked = made.obligations.iter().map(|asked| format!("asks for  {}: {}", asked.kind, asked.reason));
            lines.extend(reasons.chain(asked).map(|line| plain(&line)));
            lines.push("input".to_owned());
            lines.extend(content(&made.input));
        }
        lines.push("event".to_owned());
        lines.extend(pretty(&self.recorded["payload"][self.fact_name()]));
        lines
    }

    /// Whether it is a decision that denies.
    pub fn denies(&self) -> bool {
        matches!(&self.fact, RunEvent::DecisionMade(made) if !made.allow)
    }

    fn fact_name(&self) -> &str {
        self.recorded["event_type"].as_str().unwrap_or_default()
    }
}

fn line(recorded: &Value) -> String {
    let kind = recorded["event_type"].as_str().unwrap_or_default();
    let said = said(&recorded["payload"][kind], Paint::plain());
    plain(&format!("{:>5}  {kind:<19}  {said}", recorded["sequence"].as_u64().unwrap_or_default()))
}

fn fact(recorded: &Value) -> Result<RunEvent, xagent_domain::Unreadable> {
    let text = |name: &str| recorded[name].as_str().unwrap_or_default();
    read(text("event_type"), text("event_version"), &recorded["payload"].to_string())
}

/// A content, where it stands in its event; what is apart is named by its digest.
fn content(content: &Content) -> Vec<String> {
    match content.text.as_deref().and_then(|text| serde_json::from_str(text).ok()) {
        Some(value) => pretty(&value),
        None => vec![format!("  {} bytes apart from the event, {}", content.size, content.digest)],
    }
}

fn pretty(value: &Value) -> Vec<String> {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.lines().map(|line| plain(&format!("  {line}"))).collect()
}
