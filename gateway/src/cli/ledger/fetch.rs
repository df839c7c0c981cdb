//! The commands that ask a server: checkpoints, keys, and proofs put together into one file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::Value;
use xagent_ledger::{ConsistencyProof, InclusionProof, Receipt};

use super::Door;
use super::proof::ProofFile;
use crate::cli::client::Client;
use crate::cli::{CliError, Context, terminal};

/// A receipt of more events is proven in parts.
const MOST: u64 = 1000;

#[derive(Args)]
pub struct Checkpoint {
    #[command(flatten)]
    door: Door,
    /// The least number of events it must cover, for example the tree size of a receipt
    #[arg(long, value_name = "SIZE", default_value_t = 0)]
    at_least: u64,
}

impl Checkpoint {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let signed = covering(&self.door.open(context)?, self.at_least).await?;
        let note = text(&signed, "note")?;
        match context.json {
            true => say!("{signed}"),
            // To the byte, so that it can be kept as it is.
            false => terminal::write(format_args!("{note}")),
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub struct Keys {
    #[command(flatten)]
    door: Door,
}

impl Keys {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let page = self.door.open(context)?.get("/v1/ledger/keys").await?;
        let shown = |key: &Value| {
            format!("{}  from {} events on", text(key, "verifier").unwrap_or_default(), key["first"]["size"])
        };
        let lines: Vec<_> = page["items"].as_array().into_iter().flatten().map(shown).collect();
        let none = "Nothing has been signed yet.".to_owned();
        context.print(&page, &if lines.is_empty() { none } else { lines.join("\n") });
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub struct Proof {
    #[command(flatten)]
    door: Door,
    /// The position of an event
    #[arg(required_unless_present = "receipt", value_name = "POSITION")]
    position: Option<u64>,
    /// A receipt, or the answer of a command that holds one: all its events are proven, and that nothing before was changed
    #[arg(long, value_name = "FILE", conflicts_with = "position")]
    receipt: Option<PathBuf>,
}

impl Proof {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let client = self.door.open(context)?;
        let file = match (&self.receipt, self.position) {
            (Some(path), _) => of_receipt(&client, read_receipt(path)?).await?,
            (None, position) => {
                let position = position.unwrap_or_default();
                let (note, size) = note_and_size(&covering(&client, position).await?)?;
                ProofFile::new(note).including(inclusion(&client, position, position, size).await?)
            }
        };
        print(&file)
    }
}

#[derive(Args)]
pub struct Consistency {
    #[command(flatten)]
    door: Door,
    /// A checkpoint kept earlier, as `xagent ledger checkpoint` printed it or the mirror holds it
    #[arg(value_name = "KEPT")]
    kept: PathBuf,
}

impl Consistency {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let kept = std::fs::read_to_string(&self.kept).map_err(|error| wrong(&self.kept, &error.to_string()))?;
        // Only asked about here; `check` holds the note to its signature.
        let size = kept.lines().nth(1).and_then(|size| size.parse::<u64>().ok());
        let size = size.ok_or_else(|| wrong(&self.kept, "it is no checkpoint: its second line is no number"))?;
        let client = self.door.open(context)?;
        let (note, now) = note_and_size(&covering(&client, size).await?)?;
        print(&ProofFile::new(note).following(kept, consistency(&client, size, now).await?))
    }
}

async fn of_receipt(client: &Client, receipt: Receipt) -> Result<ProofFile, CliError> {
    let (note, size) = note_and_size(&covering(client, receipt.tree_size).await?)?;
    let proofs = inclusion(client, receipt.first_position, receipt.last_position, size).await?;
    let consistency = consistency(client, receipt.tree_size, size).await?;
    Ok(ProofFile::new(note).including(proofs).of_receipt(receipt, consistency))
}

async fn covering(client: &Client, size: u64) -> Result<Value, CliError> {
    client.get(&format!("/v1/ledger/checkpoint?at_least={size}")).await
}

async fn inclusion(client: &Client, first: u64, last: u64, size: u64) -> Result<Vec<InclusionProof>, CliError> {
    if last.saturating_sub(first) >= MOST {
        let message = format!("the receipt holds {} events, and at most {MOST} are proven at once", last - first + 1);
        return Err(CliError::new(message, "prove its events one by one: `xagent ledger proof POSITION`"));
    }
    let mut proofs = Vec::new();
    for position in first..=last {
        proofs.push(typed(client.get(&format!("/v1/ledger/proof?position={position}&size={size}")).await?)?);
    }
    Ok(proofs)
}

async fn consistency(client: &Client, first: u64, second: u64) -> Result<ConsistencyProof, CliError> {
    typed(client.get(&format!("/v1/ledger/consistency?first={first}&second={second}")).await?)
}

/// Takes the receipt itself, or an answer with a member of this name.
fn read_receipt(path: &Path) -> Result<Receipt, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| wrong(path, &error.to_string()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| wrong(path, &error.to_string()))?;
    let receipt = value.get("receipt").cloned().unwrap_or(value);
    serde_json::from_value(receipt).map_err(|error| wrong(path, &format!("it holds no receipt: {error}")))
}

fn note_and_size(signed: &Value) -> Result<(String, u64), CliError> {
    Ok((text(signed, "note")?, typed(signed["size"].clone())?))
}

fn text(value: &Value, name: &str) -> Result<String, CliError> {
    typed(value[name].clone())
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, CliError> {
    let message = |error: serde_json::Error| format!("the server's answer is not understood: {error}");
    serde_json::from_value(value).map_err(|error| CliError::new(message(error), "use a client of the server's version"))
}

fn print(file: &ProofFile) -> Result<ExitCode, CliError> {
    let text = serde_json::to_string_pretty(file).map_err(|error| CliError::new(error.to_string(), "report this"))?;
    say!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn wrong(path: &Path, message: &str) -> CliError {
    CliError::new(format!("{}: {message}", path.display()), "check the path, and that the file is whole")
}
