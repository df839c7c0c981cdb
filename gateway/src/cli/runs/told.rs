//! A run's state and its changes, for people: lines without anything that moves the cursor.

use serde_json::Value;
use xagent_domain::run::{ApprovalState, Run};
use xagent_replay::Change;

/// Characters of a value on one line.
const LONGEST: usize = 160;

/// A state as lines.
pub fn state(run: &Run) -> Vec<String> {
    let mut lines = vec![
        field("status", run.status().as_str()),
        field("agent", &format!("{} for {}", run.agent(), run.principal_id())),
        field("planner", &planner(run)),
    ];
    lines.extend(run.goals().iter().map(|goal| field("goal", &format!("{} ({})", goal.text, word(&goal.status)))));
    let tally = run.tally();
    lines.push(field("calls", &format!("{} decided, {} denied", tally.total, tally.denied)));
    lines.extend(run.open_calls().map(|call| step(&call.label, &format!("{} {}", call.tool.name, word(&call.status)))));
    for (label, result) in run.results() {
        let reasons = result.reasons.iter().map(|reason| format!(" {}: {}", reason.code, reason.message));
        lines.push(step(label, &format!("{}{}", word(&result.status), reasons.collect::<String>())));
    }
    lines.extend(run.approvals().map(|(id, approval)| field("approval", &format!("{id} {}", answer(&approval.state)))));
    let spent = run.spent();
    lines.push(field("spent", &format!("{} bytes, {} tokens", spent.bytes, spent.tokens)));
    let sources = run.trust().sources();
    if !sources.is_empty() {
        lines.push(field("tainted", &format!("by {}", Value::from_iter(sources.iter().map(word)))));
    }
    if !run.summary().is_empty() {
        lines.push(field("summary", run.summary()));
    }
    lines
}

/// A change as one line.
pub fn change(change: &Change) -> String {
    plain(&match change {
        Change::Add { path, value } => format!("+ {path}  {value}"),
        Change::Remove { path, was } => format!("- {path}  {was}"),
        Change::Replace { path, was, value } => format!("~ {path}  {was} -> {value}"),
    })
}

fn planner(run: &Run) -> String {
    let name = run.planner().map_or("none", |planner| planner.name());
    format!("{name}, {} consultations", run.steps())
}

fn answer(state: &ApprovalState) -> String {
    match state {
        ApprovalState::Waiting => "waits".to_owned(),
        ApprovalState::Granted(by) => format!("granted by {by}"),
        ApprovalState::Refused(by) => format!("refused by {by}"),
        ApprovalState::Used => "granted and used".to_owned(),
    }
}

fn field(name: &str, text: &str) -> String {
    plain(&format!("{name:<9} {text}"))
}

fn step(label: &str, text: &str) -> String {
    plain(&format!("  {label:<16} {text}"))
}

/// A value as it is written everywhere.
pub fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// What others wrote must not move the cursor.
pub fn plain(text: &str) -> String {
    let mut line: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}
