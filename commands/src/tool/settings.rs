//! What built-in tools are configured with: secrets by reference, headers, databases, limits. A TOML file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use xagent_policies::normalise::WebUrl;
use xagent_sandbox::Limits;

use super::secrets::{declares_itself, is_name, references};
use crate::InvalidInput;

/// Where a secret's value is, read when a tool is run and at no other time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretSource {
    /// An environment variable of the server.
    Env(String),
    /// A file; a line break at its end is not part of the value.
    File(PathBuf),
}

/// Headers sent to one origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// By name; values may refer to secrets as `secret:NAME`.
    pub headers: BTreeMap<String, String>,
}

/// A database `sql_query` may read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Where it is; refers to a secret as `secret:NAME`, for it holds a password.
    pub url: String,
    /// How long one statement may take, in milliseconds.
    #[serde(default = "five_seconds")]
    pub timeout_ms: u32,
}

fn five_seconds() -> u32 {
    5000
}

/// Limits of `run_code`; what is not given is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CodeLimits {
    /// Longest a call may take, in seconds.
    pub wall_s: Option<u64>,
    /// Processor time, in seconds.
    pub cpu_s: Option<u64>,
    /// Memory, in MiB.
    pub memory_mib: Option<u64>,
    /// What its files may hold, in MiB.
    pub disk_mib: Option<u64>,
    /// Processes at once.
    pub processes: Option<u64>,
    /// What is kept of each output, in KiB.
    pub output_kib: Option<u64>,
    /// Calls at once.
    pub concurrency: Option<usize>,
}

/// Settings of the built-in tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolSettings {
    /// Secrets by name.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Headers of `http_fetch` by origin: `scheme://host` or `scheme://host:port`.
    pub http: BTreeMap<String, Origin>,
    /// Databases by name.
    pub databases: BTreeMap<String, Database>,
    /// Limits of `run_code`.
    pub run_code: CodeLimits,
}

/// Most a call of `run_code` may take, in seconds: a worker waits no longer.
pub(super) const LONGEST_S: u64 = 50;
/// Least a secret is long, in bytes: a shorter one would be found in texts that have nothing to do with it.
pub(super) const SHORTEST_SECRET: usize = 8;

impl ToolSettings {
    /// Reads settings. Names the key at fault.
    pub fn parse(text: &str) -> Result<Self, InvalidInput> {
        let settings: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
            let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
            InvalidInput::new("tools", format!("{}{line}", error.message()))
        })?;
        settings.check().map(|()| settings)
    }

    fn check(&self) -> Result<(), InvalidInput> {
        for name in self.secrets.keys().chain(self.databases.keys()) {
            let message = format!("`{name}` is no name: 1 to 64 letters, digits, `_`, `-`");
            is_name(name).then_some(()).ok_or_else(|| InvalidInput::new("tools", message))?;
        }
        for (origin, settings) in &self.http {
            let field = format!("http.\"{origin}\"");
            let url = WebUrl::parse(&format!("{origin}/"));
            let url = url.map_err(|problem| InvalidInput::new(&field, format!("it is no origin: {problem}")))?;
            if !["http", "https"].contains(&url.scheme()) {
                return Err(InvalidInput::new(&field, "it is no origin: its scheme is neither http nor https"));
            }
            if origin_of(&url) != *origin {
                return Err(InvalidInput::new(&field, format!("write it as `{}`", origin_of(&url))));
            }
            for (name, value) in &settings.headers {
                self.known(&format!("{field}.headers.{name}"), value)?;
                let fits = reqwest::header::HeaderName::try_from(name).is_ok();
                fits.then_some(()).ok_or_else(|| InvalidInput::new(&field, format!("`{name}` is no header")))?;
            }
        }
        for (name, database) in &self.databases {
            let field = format!("databases.{name}.url");
            if references(&database.url).next().is_none() {
                let message = "it holds a password: write `secret:NAME` and declare the secret";
                return Err(InvalidInput::new(field, message));
            }
            self.known(&field, &database.url)?;
        }
        self.check_limits()
    }

    fn known(&self, field: &str, text: &str) -> Result<(), InvalidInput> {
        let unknown = references(text).find(|name| !self.secrets.contains_key(*name) && !declares_itself(name));
        unknown.map_or(Ok(()), |name| {
            Err(InvalidInput::new(field, format!("there is no secret `{name}`: declare it under [secrets.{name}]")))
        })
    }

    fn check_limits(&self) -> Result<(), InvalidInput> {
        let code = &self.run_code;
        let bounds = [
            ("wall_s", code.wall_s, LONGEST_S),
            ("cpu_s", code.cpu_s, 3600),
            ("memory_mib", code.memory_mib, 1 << 20),
            ("disk_mib", code.disk_mib, 1 << 16),
            ("processes", code.processes, 4096),
            ("output_kib", code.output_kib, 1024),
            ("concurrency", code.concurrency.map(|count| count as u64), 256),
        ];
        for (name, value, most) in bounds {
            if value.is_some_and(|value| value == 0 || value > most) {
                return Err(InvalidInput::new(format!("run_code.{name}"), format!("it must be from 1 to {most}")));
            }
        }
        Ok(())
    }
}

/// `scheme://host`, with the port where it is not the scheme's own.
pub(super) fn origin_of(url: &WebUrl) -> String {
    let host = url.host().to_string();
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let usual = matches!((url.scheme(), url.port()), ("http", 80) | ("https", 443));
    if usual { format!("{}://{host}", url.scheme()) } else { format!("{}://{host}:{}", url.scheme(), url.port()) }
}

impl CodeLimits {
    /// The limits in force.
    pub fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits {
            wall_ms: self.wall_s.map_or(usual.wall_ms, |s| s * 1000),
            cpu_ms: self.cpu_s.map_or(usual.cpu_ms, |s| s * 1000),
            memory: self.memory_mib.map_or(usual.memory, |mib| mib << 20),
            disk: self.disk_mib.map_or(usual.disk, |mib| mib << 20),
            processes: self.processes.unwrap_or(usual.processes),
            output: self.output_kib.map_or(usual.output, |kib| kib << 10),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_what_is_wrong_is_named() {
        let settings = ToolSettings::parse(
            "[secrets.github]\nenv = \"GITHUB_TOKEN\"\n[secrets.sales]\nfile = \"/run/sales\"\n\
             [http.\"https://api.github.com\"]\nheaders = { authorization = \"Bearer secret:github\" }\n\
             [databases.sales]\nurl = \"secret:sales\"\n[run_code]\nmemory_mib = 64\n",
        )
        .unwrap();
        assert_eq!(settings.secrets["sales"], SecretSource::File("/run/sales".into()));
        assert_eq!((settings.databases["sales"].timeout_ms, settings.run_code.limits().memory), (5000, 64 << 20));
        let wrong = [
            ("[databases.a]\nurl = \"postgres://u:p@h/d\"\n", "databases.a.url"),
            ("[databases.a]\nurl = \"secret:b\"\n", "no secret `b`"),
            ("[http.\"https://a.b/path\"]\nheaders = {}\n", "write it as `https://a.b`"),
            ("[http.\"https://a.b:443\"]\nheaders = {}\n", "write it as"),
            ("[http.\"ftp://a.b\"]\nheaders = {}\n", "no origin"),
            ("[http.\"https://a.b\"]\nheaders = { \"a b\" = \"c\" }\n", "no header"),
            ("[secrets.a]\nvalue = \"x\"\n", "value"),
            ("[run_code]\nwall_s = 51\n", "run_code.wall_s"),
            ("[run_code]\nnot_a_limit = 1\n", "line 2"),
        ];
        for (text, expected) in wrong {
            let error = ToolSettings::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
