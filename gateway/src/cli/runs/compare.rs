//! `xagent runs compare`.

use std::process::ExitCode;

use clap::Args;
use xagent_domain::RunId;
use xagent_replay::{ComparedCall, ComparedPair, ComparedRun, Comparison, Part};

use super::super::remote::Remote;
use super::super::terminal::Paint;
use super::told::{plain, word};
use super::{CliError, Context};

#[derive(Args)]
#[command(after_help = "Examples:
  xagent runs compare run_0193... run_0194...      a run and its fork
  xagent --json runs compare run_0193... run_0194...

Ids and times are no difference. Exit code: 0 the same, 1 they part, 2 they could not be compared.")]
pub struct Compare {
    /// A run
    #[arg(value_name = "RUN")]
    run: RunId,
    /// Another one
    #[arg(value_name = "OTHER")]
    other: RunId,
    #[command(flatten)]
    remote: Remote,
}

impl Compare {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let client = self.remote.client(context, &["audit:read"])?;
        let found = client.get(&format!("/v1/runs/{}/compare?with={}", self.run, self.other)).await?;
        let unreadable = |error: serde_json::Error| {
            CliError::new(format!("the comparison cannot be read: {error}"), "update this xagent")
        };
        let compared: Comparison = serde_json::from_value(found.clone()).map_err(unreadable)?;
        if context.json {
            say!("{found}");
        } else {
            told(&compared, Paint::stdout()).iter().for_each(|line| say!("{line}"));
        }
        Ok(if compared.same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A comparison as lines.
pub fn told(compared: &Comparison, paint: Paint) -> Vec<String> {
    let mut lines = vec![run("first ", &compared.first), run("second", &compared.second)];
    lines.push(match &compared.parting {
        None => paint.good("They are the same."),
        Some(parting) => {
            let at = |sequence: Option<u64>| sequence.map_or_else(|| "none".to_owned(), |at| at.to_string());
            let label = parting.label.as_ref().map(|label| format!(" at `{}`", plain(label))).unwrap_or_default();
            let (first, second) = (at(parting.first_sequence), at(parting.second_sequence));
            let why = differs(parting.differs);
            paint.bad(&format!("They part{label} (event {first} of the first, {second} of the second): {why}."))
        }
    });
    let width = compared.calls.iter().map(|pair| pair.label.chars().count()).max().unwrap_or(0);
    lines.extend(compared.calls.iter().map(|pair| row(pair, width, paint)));
    lines
}

fn run(name: &str, run: &ComparedRun) -> String {
    let from = run.forked_from.zip(run.forked_at).map(|(from, at)| format!(", continues {from} at {at}"));
    let law = run.policy.map(|policy| format!(", decided by {}", &policy.to_string()[..12]));
    let (from, law) = (from.unwrap_or_default(), law.unwrap_or_default());
    plain(&format!("{name}  {} {}{from}{law}: {}", run.run, run.status.as_str(), run.summary))
}

fn row(pair: &ComparedPair, width: usize, paint: Paint) -> String {
    let (first, second) = (call(pair.first.as_ref()), call(pair.second.as_ref()));
    let line = plain(&format!("  {:<width$}  {first:<48}  {second}", pair.label));
    if pair.differs.is_empty() { format!("={line}") } else { paint.bad(&format!("≠{line}")) }
}

/// A call in a few words: its tool, what the law said, what became of it and where that is from.
fn call(call: Option<&ComparedCall>) -> String {
    let Some(call) = call else { return "-".to_owned() };
    let said: Vec<String> = call
        .decisions
        .iter()
        .map(|made| {
            let codes = made.codes.join(", ");
            if codes.is_empty() { made.verdict.clone() } else { format!("{} ({codes})", made.verdict) }
        })
        .collect();
    let from = match (call.inherited, call.recorded, call.recording_missing) {
        (true, ..) => ", taken over",
        (_, true, _) => ", from a recording",
        (.., true) => ", no recording",
        _ => "",
    };
    format!("{} {}: {}{from}", call.tool, said.join(", "), word(&call.status))
}

fn differs(part: Part) -> &'static str {
    match part {
        Part::Tool => "the tool is another one",
        Part::Arguments => "the arguments are others",
        Part::Decision => "the law said something else",
        Part::Outcome => "it ended differently",
        Part::OnlyInFirst => "only the first made this call",
        Part::OnlyInSecond => "only the second made this call",
        Part::End => "they ended differently",
    }
}
