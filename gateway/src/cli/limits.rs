//! What callers may ask of a server, and how it is reached, as it is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use xagent_projections::Rate;

use super::CliError;
use crate::limits::LimitOptions;
use crate::listen::TlsFiles;

/// Bounds of requests. See docs/limits.md
#[derive(Args, Clone)]
pub struct LimitArgs {
    /// Requests carried out at once
    #[arg(long, env = "XAGENT_REQUESTS", default_value_t = 512, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = "Limits")]
    requests: u32,
    /// Requests of one principal carried out at once
    #[arg(long, env = "XAGENT_REQUESTS_PER_PRINCIPAL", default_value_t = 256, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = "Limits")]
    requests_per_principal: u32,
    /// Requests of one principal in a minute, at all servers together; 0 bounds nothing
    #[arg(
        long,
        env = "XAGENT_RATE_PER_MINUTE",
        default_value_t = 30_000,
        value_name = "COUNT",
        help_heading = "Limits"
    )]
    rate_per_minute: u32,
    /// Of these, how many may come at once
    #[arg(long, env = "XAGENT_RATE_BURST", default_value_t = 5_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000_000), help_heading = "Limits")]
    rate_burst: u32,
    /// How long a request may take until its answer begins, in seconds
    #[arg(long, env = "XAGENT_REQUEST_TIMEOUT_S", default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=600), help_heading = "Limits")]
    request_timeout_s: u32,
    /// How long the head of a request may take, and an idle connection wait for the next one, in seconds
    #[arg(long, env = "XAGENT_HEAD_TIMEOUT_S", default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=600), help_heading = "Limits")]
    head_timeout_s: u32,
    /// How long requests under way may take when the server stops, in seconds
    #[arg(long, env = "XAGENT_DRAIN_S", default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=600), help_heading = "Limits")]
    drain_s: u32,
    /// Connections open at once; mind the limit of open files
    #[arg(long, env = "XAGENT_CONNECTIONS", default_value_t = 16_384, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Limits")]
    connections: u32,
}

/// The certificate of a server.
#[derive(Args, Clone)]
pub struct TlsArgs {
    /// The certificate chain (PEM); connections are in the clear without one
    #[arg(long, env = "XAGENT_TLS_CERT_FILE", value_name = "FILE", requires = "tls_key", help_heading = "TLS")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM). Both are read again when they change, and on SIGHUP
    #[arg(long, env = "XAGENT_TLS_KEY_FILE", value_name = "FILE", requires = "tls_cert", help_heading = "TLS")]
    tls_key: Option<PathBuf>,
}

impl LimitArgs {
    pub fn options(&self) -> LimitOptions {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let rate = Rate { per_minute: self.rate_per_minute, burst: self.rate_burst };
        LimitOptions {
            requests: self.requests as usize,
            requests_per_principal: self.requests_per_principal as usize,
            rate: (self.rate_per_minute > 0).then_some(rate),
            request: seconds(self.request_timeout_s),
            head: seconds(self.head_timeout_s),
            drain: seconds(self.drain_s),
            connections: self.connections as usize,
        }
    }
}

impl TlsArgs {
    pub fn files(&self) -> Result<Option<TlsFiles>, CliError> {
        match (self.tls_cert.clone(), self.tls_key.clone()) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
            _ => Err(CliError::new("a certificate is given without its key, or a key without it", "give both")),
        }
    }
}
