//! A recorded report, to be shown again as it was made.

use maud::Markup;
use serde_json::{Map, Value, json};
use xagent_policies::Unreached;
use xagent_replay::whatif::Tally;

use super::html::body;
use super::scope::Range;
use super::summary::{Pace, Summary};

/// The report for a page; none where it is of a form that is not known here.
pub fn recorded(report: &Map<String, Value>) -> Option<Markup> {
    let of = |name: &str| report.get(name).cloned().unwrap_or_default();
    let coverage = of("coverage");
    let tally: Tally = serde_json::from_value(json!({
        "position": of("to"), "read": of("read"), "left_out": of("left_out"), "decided": of("decided"),
        "bundles": of("bundles"), "engines": of("engine_changes"), "classes": of("classes"),
        "groups": {
            "rules": of("by_rule"), "tools": of("by_tool"), "agents": of("by_agent"), "principals": of("by_principal"),
        },
        "diverged_runs": of("diverged_runs"), "divergences": of("divergences"), "examples": of("examples"),
        "undecided": of("undecided"), "covering": coverage["decisions"], "lines": {}, "runs": [],
    }))
    .ok()?;
    let range = json!({"after": of("after"), "to": of("to"), "since_us": null, "until_us": null});
    let range: Range = serde_json::from_value(range).ok()?;
    let unreached: Vec<Unreached> = serde_json::from_value(coverage["unreached"].clone()).ok()?;
    let bundle = of("bundle").as_str()?.to_owned();
    let summary = Summary {
        named: &bundle,
        bundle: bundle.clone(),
        asked: of("history").as_object().cloned().unwrap_or_default(),
        range: &range,
        engine: serde_json::from_value(of("engine")).ok()?,
        tally: &tally,
        unreached,
        stopped_by: Vec::new(),
        gated: false,
        pace: Pace { decisions: tally.decided, seconds: 0.0, decisions_per_second: 0.0 },
    };
    Some(body(&summary))
}
