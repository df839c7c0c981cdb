//! `xagent policy check` and `test`: no server, no network.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use xagent_policies::{CheckError, check, test};

use super::source::bundle;
use super::told::{findings_told, on_terminal, percent, tests_told};
use crate::cli::bundle_keys::BundleKeys;
use crate::cli::terminal::Paint;
use crate::cli::{CliError, Context};

#[derive(Args)]
#[command(after_help = "Exit code: 0 it would be published, 1 something is in its way, 2 it could not be read.\n\
    docs/bundles.md explains each finding by its code.\n\nExamples:\n  xagent policy check my-policies\n  \
    xagent policy check bundle.tar.gz --bundle-keys-file keys.json\n  xagent policy check my-policies --json | jq '.findings[].code'")]
pub struct Check {
    /// A folder, or an OPA bundle (.tar.gz)
    source: PathBuf,
    #[command(flatten)]
    keys: BundleKeys,
}

impl Check {
    pub fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let bundle = bundle(&self.source, &self.keys.trust_or_none()?)?;
        let digest = bundle.digest();
        let checked = match check(&bundle) {
            Ok(checked) => checked,
            Err(error) => return Ok(refused(context, &digest.to_string(), &error)),
        };
        let signed = bundle.signed_by().map(|id| format!(", signed by `{id}`")).unwrap_or_default();
        let text = format!(
            "The bundle {digest} {}: {} tests, which reach {} % of its lines{signed}.",
            Paint::stdout().good("passes"),
            checked.tests_passed,
            percent(checked.lines_covered, checked.lines)
        );
        let json = json!({
            "bundle": digest, "passes": true, "findings": [], "tests_passed": checked.tests_passed,
            "lines_covered": checked.lines_covered, "lines": checked.lines, "signed_by": bundle.signed_by(),
        });
        context.print(&json, &text);
        Ok(ExitCode::SUCCESS)
    }
}

fn refused(context: &Context, digest: &str, error: &CheckError) -> ExitCode {
    let findings = &error.findings;
    let text = findings_told(findings, Paint::stdout(), on_terminal());
    let count = if findings.len() == 1 { "1 thing".to_owned() } else { format!("{} things", findings.len()) };
    let text = format!("{text}\n\nThe bundle {digest} does not pass: {count} in its way.");
    context.print(&json!({"bundle": digest, "passes": false, "findings": findings}), &text);
    ExitCode::FAILURE
}

#[derive(Args)]
#[command(after_help = "A test is a rule named test_...; it passes where it is true.\n\
    Exit code: 0 all pass, 1 one does not, or too few lines are reached, 2 it could not be read.\n\nExamples:\n  \
    xagent policy test my-policies --coverage\n  xagent policy test my-policies --at-least 90")]
pub struct Test {
    /// A folder, or an OPA bundle (.tar.gz)
    source: PathBuf,
    /// Show the lines of each module that no test reaches
    #[arg(long)]
    coverage: bool,
    /// Fail where fewer lines are reached, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    at_least: u32,
    #[command(flatten)]
    keys: BundleKeys,
}

impl Test {
    pub fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let bundle = bundle(&self.source, &self.keys.trust_or_none()?)?;
        let report = match test(&bundle) {
            Ok(report) => report,
            Err(error) => return Ok(refused(context, &bundle.digest().to_string(), &error)),
        };
        let (covered, lines) = report.lines();
        let reached = percent(covered, lines);
        let passed = report.passed() as usize == report.tests.len();
        let mut text = tests_told(&report, self.coverage, Paint::stdout());
        if reached < self.at_least {
            text.push_str(&format!("\n{} {} % of the lines are wanted", Paint::stdout().bad("failed"), self.at_least));
        }
        let json = json!({
            "bundle": bundle.digest(), "passed": passed && reached >= self.at_least, "tests_passed": report.passed(),
            "tests": report.tests, "coverage": report.coverage, "lines_covered": covered, "lines": lines,
        });
        context.print(&json, &text);
        Ok(if passed && reached >= self.at_least { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
