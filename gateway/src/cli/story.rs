//! What happened in a run, for people: one line per tool call.

use std::collections::HashMap;

use serde_json::Value;

use super::terminal::Paint;

/// One tool call of a run.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub label: String,
    pub tool: String,
    pub target: String,
    pub verdict: String,
    pub outcome: String,
}

/// The tool calls among the events of a run, in order.
pub fn steps(events: &[Value]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut by_call: HashMap<String, usize> = HashMap::new();
    let mut by_approval: HashMap<String, usize> = HashMap::new();
    for event in events {
        let Some((kind, fact)) = event["payload"].as_object().and_then(|payload| payload.iter().next()) else {
            continue;
        };
        let text = |name: &str| fact[name].as_str().unwrap_or_default();
        let call = match kind.as_str() {
            "DecisionMade" => fact["question"]["tool_call"]["call"].as_str(),
            _ => fact["call"].as_str(),
        };
        if kind == "ToolCallProposed" {
            by_call.insert(text("call").to_owned(), steps.len());
            let tool = fact["tool"]["name"].as_str().unwrap_or_default().to_owned();
            steps.push(Step { label: text("label").to_owned(), tool, target: target(fact), ..Step::default() });
            continue;
        }
        let index = call.and_then(|call| by_call.get(call)).or_else(|| by_approval.get(text("approval"))).copied();
        if let ("ApprovalRequested", Some(index)) = (kind.as_str(), index) {
            by_approval.insert(text("approval").to_owned(), index);
        }
        if let Some(step) = index.and_then(|index| steps.get_mut(index)) {
            tell_event(step, kind, fact);
        }
    }
    steps
}

fn tell_event(step: &mut Step, kind: &str, fact: &Value) {
    let text = |name: &str| fact[name].as_str().unwrap_or_default();
    match kind {
        "DecisionMade" if fact["allow"] == true => step.verdict = "allowed".to_owned(),
        "DecisionMade" if fact["obligations"].as_array().is_some_and(|all| !all.is_empty()) => {
            step.verdict = "waits".to_owned();
            step.outcome = reasons(fact);
        }
        "DecisionMade" => {
            step.verdict = "denied".to_owned();
            step.outcome = reasons(fact);
        }
        "ApprovalGranted" => step.outcome = format!("approved by {}", text("granted_by")),
        "ApprovalRefused" => step.outcome = format!("refused by {}: {}", text("refused_by"), text("reason")),
        "ToolCallCompleted" => {
            let ended = if fact["outcome"]["succeeded"] == true { "succeeded".to_owned() } else { failure(fact) };
            let before =
                if step.outcome.starts_with("approved") { format!("{}, ", step.outcome) } else { String::new() };
            step.outcome = format!(
                "{before}{ended}, {} bytes in {} ms",
                fact["outcome"]["output"]["size"],
                fact["duration_us"].as_u64().unwrap_or_default() / 1000
            );
        }
        "RecordingMissing" => step.outcome = format!("no recording of it in {}", text("from")),
        "ToolCallInterrupted" => step.outcome = format!("interrupted: {}", text("reason")),
        _ => {}
    }
}

/// Why a tool failed: its error, the limit that stopped it, or how it ended.
fn failure(completed: &Value) -> String {
    let text = completed["outcome"]["output"]["text"].as_str();
    let output = text.and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
    let shown = |text: &str| text.chars().take(120).collect::<String>();
    let why = match (output["error"].as_str(), output["stopped"].as_str(), &output["exit_code"]) {
        (Some(error), _, _) => shown(error),
        (None, Some(limit), _) => format!("stopped by its limit, {}", shown(&limit.replace('_', " "))),
        (None, None, Value::Number(status)) => format!("exit status {status}"),
        (None, None, _) => return "failed".to_owned(),
    };
    format!("failed ({why})")
}

fn reasons(decision: &Value) -> String {
    let reason = |reason: &Value| {
        format!("{}: {}", reason["code"].as_str().unwrap_or_default(), reason["message"].as_str().unwrap_or_default())
    };
    decision["deny"].as_array().map(|all| all.iter().map(reason).collect::<Vec<_>>().join("; ")).unwrap_or_default()
}

/// What the call is about: its path, its URL, what it looks for, the database it asks, the language of its code.
fn target(proposed: &Value) -> String {
    let arguments = proposed["arguments"]["text"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let arguments = arguments.unwrap_or_default();
    let first =
        ["path", "url", "text", "pattern", "database", "language"].iter().find_map(|name| arguments[*name].as_str());
    let raw = proposed["resources"]["paths"][0]["raw"].as_str();
    first.or(raw).unwrap_or_default().chars().take(40).collect()
}

/// The steps as lines.
pub fn tell(steps: &[Step], paint: Paint) -> String {
    let width = |field: fn(&Step) -> &str| steps.iter().map(|step| field(step).chars().count()).max().unwrap_or(0);
    let (label, tool, target) = (width(|s| &s.label), width(|s| &s.tool), width(|s| &s.target));
    let line = |step: &Step| {
        let verdict = format!("{:<7}", step.verdict);
        let verdict = match step.verdict.as_str() {
            "allowed" => paint.good(&verdict),
            "denied" => paint.bad(&verdict),
            _ => paint.notable(&verdict),
        };
        format!("  {:<label$}  {:<tool$}  {:<target$}  {verdict}  {}", step.label, step.tool, step.target, step.outcome)
    };
    steps.iter().map(line).collect::<Vec<_>>().join("\n")
}
