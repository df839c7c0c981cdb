//! Two runs side by side: where they part first, which calls and decisions differ, how each ended.

mod side;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use side::{ComparedCall, ComparedDecision, ComparedRun};
use side::{Told, told};
use xagent_domain::Recorded;

/// What two runs do not have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The other tool, or another registration of it.
    Tool,
    /// Its arguments.
    Arguments,
    /// What the law said.
    Decision,
    /// What became of it, or its output.
    Outcome,
    /// Only the first run made this call.
    OnlyInFirst,
    /// Only the second run made this call.
    OnlyInSecond,
    /// How the runs ended, or that they did.
    End,
}

/// A call as one run or both made it: the same step, and where it was made more than once the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedPair {
    /// The step's name.
    pub label: String,
    /// In the first run.
    pub first: Option<ComparedCall>,
    /// In the second run.
    pub second: Option<ComparedCall>,
    /// What they do not have in common.
    pub differs: Vec<Part>,
}

/// Where two runs part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parting {
    /// What differs first.
    pub differs: Part,
    /// The step's name; none where it is only the end.
    pub label: Option<String>,
    /// The sequence of the event in the first run, where it has one.
    pub first_sequence: Option<u64>,
    /// The sequence of the event in the second run, where it has one.
    pub second_sequence: Option<u64>,
}

/// Two runs, compared. Ids and times are no difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The first run.
    pub first: ComparedRun,
    /// The second run.
    pub second: ComparedRun,
    /// Whether they made the same calls, were told the same and ended the same.
    pub same: bool,
    /// Where they part; none where they do not.
    pub parting: Option<Parting>,
    /// All calls, in the order they were made.
    pub calls: Vec<ComparedPair>,
}

/// Compares two runs by their events. An event that cannot be read is handed back.
pub fn compare(first: &[Recorded], second: &[Recorded]) -> Result<Comparison, Box<Recorded>> {
    let (first, second) = (told(first)?, told(second)?);
    let calls = paired(&first, &second);
    let parting = parting(&calls, &first.run, &second.run);
    Ok(Comparison { same: parting.is_none(), parting, calls, first: first.run, second: second.run })
}

/// Calls of the same step, in the order of the first run that made them.
fn paired(first: &Told, second: &Told) -> Vec<ComparedPair> {
    let mut pairs: BTreeMap<(&str, usize), (usize, ComparedPair)> = BTreeMap::new();
    for (side, is_second) in [(first, false), (second, true)] {
        let mut made: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, call) in side.calls.iter().enumerate() {
            let time = made.entry(&call.label).or_default();
            *time += 1;
            let pair = pairs.entry((&call.label, *time)).or_insert_with(|| {
                let label = call.label.clone();
                (place, ComparedPair { label, first: None, second: None, differs: Vec::new() })
            });
            let of = if is_second { &mut pair.1.second } else { &mut pair.1.first };
            *of = Some(call.clone());
        }
    }
    let mut pairs: Vec<_> = pairs.into_values().collect();
    pairs.sort_by_key(|(place, pair)| (*place, pair.first.is_none()));
    pairs.into_iter().map(|(_, pair)| ComparedPair { differs: differs(&pair), ..pair }).collect()
}

fn differs(pair: &ComparedPair) -> Vec<Part> {
    let (first, second) = match (&pair.first, &pair.second) {
        (Some(first), Some(second)) => (first, second),
        (Some(_), None) => return vec![Part::OnlyInFirst],
        (None, _) => return vec![Part::OnlyInSecond],
    };
    let said = |call: &ComparedCall| {
        let said = call.decisions.iter().map(|made| (made.verdict.clone(), made.codes.clone()));
        said.collect::<Vec<_>>()
    };
    let rows = [
        (Part::Tool, (&first.tool, first.tool_digest) != (&second.tool, second.tool_digest)),
        (Part::Arguments, first.arguments != second.arguments),
        (Part::Decision, said(first) != said(second)),
        (Part::Outcome, (first.status, first.output) != (second.status, second.output)),
    ];
    rows.into_iter().filter_map(|(part, differs)| differs.then_some(part)).collect()
}

fn parting(calls: &[ComparedPair], first: &ComparedRun, second: &ComparedRun) -> Option<Parting> {
    let of_call = calls.iter().find_map(|pair| {
        let sequence = |call: &Option<ComparedCall>| call.as_ref().map(|call| call.sequence);
        Some(Parting {
            differs: *pair.differs.first()?,
            label: Some(pair.label.clone()),
            first_sequence: sequence(&pair.first),
            second_sequence: sequence(&pair.second),
        })
    });
    let ends_differ = (first.status, &first.summary) != (second.status, &second.summary);
    of_call.or_else(|| {
        ends_differ.then_some(Parting {
            differs: Part::End,
            label: None,
            first_sequence: Some(first.events),
            second_sequence: Some(second.events),
        })
    })
}
