//! `xagent policy eval`.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use xagent_domain::{CanonicalJson, Entrypoint, Limits, Outcome};
use xagent_policies::{Embedded, PolicyEngine};

use super::At;
use super::source::any;
use crate::cli::terminal::Paint;
use crate::cli::{CliError, Context};

/// What is asked.
#[derive(Clone, Copy, ValueEnum)]
enum Question {
    /// May this command be issued, or this be read?
    Api,
    /// May this tool call be run?
    Tools,
}

#[derive(Args)]
#[command(
    after_help = "Exit code: 0 it answered, 1 it failed, which denies, 2 it could not be asked.\n\nExamples:\n  \
    xagent policy eval my-policies --input input.json\n  xagent policy eval stock --question api --input - < input.json\n  \
    xagent policy eval 3f0c... --input input.json     a published bundle, from the server"
)]
pub struct Eval {
    /// A folder, an OPA bundle (.tar.gz), the digest of a published bundle, or `stock`
    source: String,
    /// The policy input, JSON; `-` reads it from standard input
    #[arg(long, short, value_name = "FILE")]
    input: PathBuf,
    /// What is asked
    #[arg(long, short, value_enum, default_value = "tools")]
    question: Question,
    /// How long it may take, in milliseconds
    #[arg(long, default_value_t = 500, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    timeout_ms: u64,
    #[command(flatten)]
    at: At,
}

impl Eval {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let bundle = any(context, &self.at, &self.source).await?;
        let input = self.input()?;
        let entrypoint = match self.question {
            Question::Api => Entrypoint::api(),
            Question::Tools => Entrypoint::tools(),
        };
        let engine = Embedded::new(Limits { timeout_ms: self.timeout_ms });
        let remedy = "`xagent policy check` says more";
        let digest = engine.load(&bundle).map_err(|error| CliError::new(error.to_string(), remedy))?;
        let evaluation = engine.decide(&digest, &entrypoint, &input);
        let document = evaluation.outcome.document();
        let paint = Paint::stdout();
        let mut lines = vec![if document.allow { paint.good("allowed") } else { paint.bad("denied") }];
        lines.extend(
            document.deny.iter().map(|reason| format!("  {}  {}  ({})", reason.code, reason.message, reason.rule)),
        );
        lines.extend(document.obligations.iter().map(|due| format!("  needs {}: {}", due.kind, due.reason)));
        let result = match &evaluation.outcome {
            Outcome::Document(text) => serde_json::from_str(text.as_str()).unwrap_or_default(),
            Outcome::Failure { .. } => Value::Null,
        };
        let json = json!({
            "bundle": digest, "entrypoint": entrypoint, "input_digest": input.digest(), "decision": document,
            "result": result, "duration_us": evaluation.duration_us,
        });
        context.print(&json, &lines.join("\n"));
        let answered = matches!(evaluation.outcome, Outcome::Document(_));
        Ok(if answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn input(&self) -> Result<CanonicalJson, CliError> {
        let unreadable = |error: &dyn std::fmt::Display| {
            CliError::new(
                format!("{}: {error}", self.input.display()),
                "the input is JSON; docs/policies.md has its form",
            )
        };
        let mut text = String::new();
        let read = match self.input.as_os_str() == "-" {
            true => std::io::stdin().read_to_string(&mut text).map(drop),
            false => std::fs::read_to_string(&self.input).map(|read| text = read),
        };
        read.map_err(|error| unreadable(&error))?;
        CanonicalJson::parse(&text).map_err(|error| unreadable(&error))
    }
}
