//! `xagent policy list` and `show`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use xagent_domain::Digest;

use super::At;
use super::told::percent;
use crate::cli::terminal::{self, Paint};
use crate::cli::{CliError, Context};

#[derive(Args)]
#[command(after_help = "Examples:\n  xagent policy list\n  xagent policy list --json | jq -r .active")]
pub struct List {
    #[command(flatten)]
    at: At,
}

impl List {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let list = self.at.reader(context)?.get("/v1/bundles").await?;
        let paint = Paint::stdout();
        let previous = &list["previous"];
        let lines = list["items"].as_array().into_iter().flatten().map(|item| {
            let mark = if item["bundle"] == *previous { "  a rollback returns to it" } else { "" };
            format!("{}{mark}", row(item, paint))
        });
        context.print(&list, &lines.collect::<Vec<_>>().join("\n"));
        Ok(ExitCode::SUCCESS)
    }
}

fn row(item: &Value, paint: Paint) -> String {
    let text = |name: &str| item[name].as_str().unwrap_or_default();
    let number = |name: &str| item[name].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
    let status = format!("{:<9}", text("status"));
    let status = match text("status") {
        "active" => paint.good(&status),
        "retired" => paint.bad(&status),
        _ => status,
    };
    let reached = match item["lines"].is_u64() {
        true => format!(", {} % of lines", percent(number("lines_covered"), number("lines"))),
        false => String::new(),
    };
    let mut row = format!("{}  {status}  {} tests{reached}", text("bundle"), number("tests_passed"));
    for (name, word) in [("revision", "revision"), ("signed_by", "signed by"), ("retired_because", "because")] {
        if !text(name).is_empty() {
            row.push_str(&format!("  {word} {}", text(name)));
        }
    }
    row
}

#[derive(Args)]
#[command(after_help = "Examples:\n  xagent policy show 3f0c...\n  xagent policy show 3f0c... --module tools.rego\n  \
    xagent policy show 3f0c... --data | jq .config.limits")]
pub struct Show {
    /// The bundle's digest
    bundle: Digest,
    /// Print this module and nothing else
    #[arg(long, value_name = "PATH", conflicts_with = "data")]
    module: Option<String>,
    /// Print the data document and nothing else
    #[arg(long)]
    data: bool,
    #[command(flatten)]
    at: At,
}

impl Show {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let shown = self.at.reader(context)?.get(&format!("/v1/bundles/{}", self.bundle)).await?;
        let content = &shown["content"];
        if self.data {
            say!("{:#}", content["data"]);
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(path) = &self.module {
            let Some(text) = content["modules"][path].as_str() else {
                let remedy = "`xagent policy show DIGEST` lists its modules";
                return Err(CliError::new(format!("the bundle has no module `{path}`"), remedy));
            };
            match context.json {
                true => say!("{}", serde_json::json!({"path": path, "text": text})),
                false => terminal::write(format_args!("{text}")),
            }
            return Ok(ExitCode::SUCCESS);
        }
        let mut lines = vec![row(&shown, Paint::stdout())];
        for (path, text) in content["modules"].as_object().into_iter().flatten() {
            lines.push(format!("  {path}  {} lines", text.as_str().unwrap_or_default().lines().count()));
        }
        lines.push(format!("  data.json  {} bytes", content["data"].to_string().len()));
        context.print(&shown, &lines.join("\n"));
        Ok(ExitCode::SUCCESS)
    }
}
