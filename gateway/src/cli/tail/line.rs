//! One event as one line: when, where in the record, whose, what.

use serde_json::Value;

use super::super::terminal::Paint;

/// The line of an event.
pub fn told(event: &Value, paint: Paint) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let time = event["recorded_at_us"].as_i64().and_then(chrono::DateTime::from_timestamp_micros);
    let time = time.map(|time| time.format("%H:%M:%S%.3f").to_string()).unwrap_or_default();
    let kind = format!("{:<20}", text("event_type"));
    let fact = &event["payload"][text("event_type")];
    let position = event["position"].as_u64().unwrap_or_default();
    let line =
        format!("{time}  {position:>7}  {:<36}  {}  {}", text("aggregate_id"), paint.strong(&kind), said(fact, paint));
    line.trim_end().to_owned()
}

/// What the event says, as far as a line can hold it.
pub fn said(fact: &Value, paint: Paint) -> String {
    let text = |pointer: &str| fact.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(allow) = fact["allow"].as_bool() {
        let asked = text("/question/command/name").or_else(|| text("/question/tool_call/call")).unwrap_or_default();
        return format!("{}  {asked}  {}", verdict(fact, allow, paint), reasons(fact)).trim_end().to_owned();
    }
    if let Some(succeeded) = fact["outcome"]["succeeded"].as_bool() {
        let ended = if succeeded { paint.good("succeeded") } else { paint.bad("failed") };
        return format!("{ended}  {}", text("/call").unwrap_or_default());
    }
    let parts =
        ["/tool/name", "/agent", "/text", "/label", "/name", "/reason", "/summary", "/granted_by", "/refused_by"];
    let parts: Vec<_> = parts.into_iter().filter_map(text).chain(text("/arguments/text")).collect();
    let line = if parts.is_empty() { text("/call").unwrap_or_default().to_owned() } else { parts.join("  ") };
    // What others wrote must not move the cursor.
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect()
}

fn verdict(fact: &Value, allow: bool, paint: Paint) -> String {
    let waits = fact["obligations"].as_array().is_some_and(|all| !all.is_empty());
    match (allow, waits) {
        (true, _) => paint.good("allowed"),
        (false, true) => paint.notable("waits  "),
        (false, false) => paint.bad("denied "),
    }
}

fn reasons(decision: &Value) -> String {
    let reasons = decision["deny"].as_array().into_iter().flatten();
    let told = reasons.map(|reason| {
        let text = |name: &str| reason[name].as_str().unwrap_or_default();
        format!("{}: {}", text("code"), text("message"))
    });
    let told = told.collect::<Vec<_>>().join("; ");
    told.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_says_when_where_whose_and_what() {
        let deny = json!([{"code": "missing_scope", "message": "it needs\u{1b}[2J `a`"}]);
        let made =
            json!({"allow": false, "deny": deny, "obligations": [], "question": {"command": {"name": "run.start"}}});
        let event = json!({
            "position": 42, "aggregate_id": "default/2026-01-01", "event_type": "DecisionMade",
            "recorded_at_us": 1_767_225_600_123_456_i64, "payload": {"DecisionMade": made},
        });
        let line = told(&event, Paint::plain());
        let expected = format!(
            "00:00:00.123       42  {:<36}  {:<20}  denied   run.start  missing_scope: it needs [2J `a`",
            "default/2026-01-01", "DecisionMade"
        );
        assert_eq!(line, expected);
    }
}
