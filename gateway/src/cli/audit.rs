//! Where copies of the audit trail go, as a server is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use xagent_projections::LokiOptions;

use super::CliError;
use crate::configuration::{Audit, AuditLines};

/// A longer token is none.
const LONGEST_TOKEN: u64 = 64 * 1024;

/// Where copies of the audit trail go.
#[derive(Args, Clone)]
pub struct AuditArgs {
    /// Loki, to which every event is pushed, for example http://loki:3100
    #[arg(long, env = "XAGENT_AUDIT_LOKI_URL", hide_env_values = true, value_name = "URL")]
    audit_loki_url: Option<String>,
    /// Loki's tenant (X-Scope-OrgID), where it has tenants
    #[arg(long, env = "XAGENT_AUDIT_LOKI_TENANT", value_name = "TENANT")]
    audit_loki_tenant: Option<String>,
    /// The file that holds the bearer token Loki asks for
    #[arg(long, env = "XAGENT_AUDIT_LOKI_TOKEN_FILE", value_name = "FILE")]
    audit_loki_token_file: Option<PathBuf>,
    /// Events older than this are not pushed to Loki, in seconds; Loki takes a week by default
    #[arg(long, env = "XAGENT_AUDIT_MAX_AGE_S", default_value_t = 7 * 24 * 3600, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(60..))]
    audit_max_age_s: u32,
    /// Longer lines are not pushed to Loki, in bytes; Loki takes 256 KiB by default
    #[arg(long, env = "XAGENT_AUDIT_MAX_LINE_BYTES", default_value_t = 256 * 1024, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..))]
    audit_max_line_bytes: u32,
    /// An OTLP receiver of logs over HTTP, its whole address, for example http://alloy:4318/v1/logs
    #[arg(long, env = "XAGENT_AUDIT_OTLP_URL", hide_env_values = true, value_name = "URL")]
    audit_otlp_url: Option<String>,
    /// A file for JSON lines that a collector carries on, or - for standard output
    #[arg(long, env = "XAGENT_AUDIT_LINES", value_name = "FILE|-")]
    audit_lines: Option<String>,
    /// The label `job` of the trail
    #[arg(long, env = "XAGENT_AUDIT_JOB", default_value = "xagent", value_name = "NAME")]
    audit_job: String,
}

impl AuditArgs {
    pub fn configuration(&self) -> Result<Audit, CliError> {
        let loki = self.audit_loki_url.clone().map(|url| {
            Ok::<_, CliError>(LokiOptions {
                url,
                tenant: self.audit_loki_tenant.clone(),
                token: self.audit_loki_token_file.as_ref().map(token).transpose()?,
                job: self.audit_job.clone(),
                max_age: Duration::from_secs(self.audit_max_age_s.into()),
                max_line_bytes: self.audit_max_line_bytes as usize,
            })
        });
        let lines = self.audit_lines.as_deref().map(|lines| match lines {
            "-" => AuditLines::Out,
            file => AuditLines::File(PathBuf::from(file)),
        });
        let (loki, otlp_url, job) = (loki.transpose()?, self.audit_otlp_url.clone(), self.audit_job.clone());
        Ok(Audit { loki, otlp_url, lines, job })
    }
}

fn token(file: &PathBuf) -> Result<String, CliError> {
    let failed = |why: &dyn std::fmt::Display| {
        CliError::new(format!("{}: {why}", file.display()), "mend --audit-loki-token-file")
    };
    if std::fs::metadata(file).map_err(|error| failed(&error))?.len() > LONGEST_TOKEN {
        return Err(failed(&"it is too long to hold a token"));
    }
    let token = std::fs::read_to_string(file).map_err(|error| failed(&error))?.trim().to_owned();
    let fits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(token) } else { Err(failed(&"it holds no token: printable ASCII without spaces is expected")) }
}
