//! Which engine decides: the options that `serve` and `up` share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::CliError;
use crate::configuration::{Engine, Opa};

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// In this process
    Embedded,
    /// A stock OPA server
    Opa,
}

#[derive(Args)]
pub struct EngineArgs {
    /// What evaluates policies; see docs/engines.md
    #[arg(long, env = "XAGENT_POLICY_ENGINE", value_enum, default_value_t = Kind::Embedded, value_name = "ENGINE")]
    policy_engine: Kind,
    /// The OPA server, for example http://127.0.0.1:8181
    #[arg(long, env = "XAGENT_OPA_URL", value_name = "URL")]
    opa_url: Option<String>,
    /// The file OPA loads its bundle from, which is kept at the active bundle: `opa run --server --watch --bundle FILE`
    #[arg(long, env = "XAGENT_OPA_BUNDLE_FILE", value_name = "FILE")]
    opa_bundle_file: Option<PathBuf>,
    /// How long one policy decision may take, in milliseconds
    #[arg(long, env = "XAGENT_POLICY_TIMEOUT_MS", default_value_t = 500, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    policy_timeout_ms: u64,
    /// How many decisions are made at once; the others wait, and are denied when their time is up. By default 4 a core
    #[arg(long, env = "XAGENT_POLICY_CONCURRENCY", value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    policy_concurrency: Option<u16>,
}

impl EngineArgs {
    pub fn configuration(&self) -> Result<Engine, CliError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let opa = match (self.policy_engine, &self.opa_url) {
            (Kind::Embedded, _) => None,
            (Kind::Opa, Some(url)) => Some(Opa { url: url.clone(), bundle_file: self.opa_bundle_file.clone() }),
            (Kind::Opa, None) => {
                let remedy = "set XAGENT_OPA_URL, for example to http://127.0.0.1:8181";
                return Err(CliError::new("it is not known where OPA is", remedy));
            }
        };
        let concurrency = self.policy_concurrency.map_or(4 * cores, usize::from);
        Ok(Engine { opa, timeout_ms: self.policy_timeout_ms, concurrency })
    }
}
