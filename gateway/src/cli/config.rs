//! `xagent config`: the settings in force, and where each comes from.

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, CommandFactory};
use serde_json::{Value, json};
use url::Url;

use super::settings::{SERVE, Settings};
use super::terminal::Paint;
use super::{Arguments, CliError, Context};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Config {}

const EXAMPLES: &str = "Flags come before environment variables, those before the settings file:

  default_profile = \"production\"

  [profiles.production]              # xagent --profile production runs
  url = \"https://xagent.example.com\"
  token_file = \"/home/me/.config/xagent/token\"
  ca_file = \"/etc/ssl/example-ca.pem\"

  [serve]                            # every long option of `xagent serve`
  listen = \"0.0.0.0:7117\"
  workspace = [\"/srv/workspaces\"]

Examples:
  xagent config                      what `xagent serve` would run with, and which profiles there are
  xagent config --json | jq .serve";

/// An option in force.
struct Setting {
    name: String,
    value: String,
    source: &'static str,
}

impl Config {
    pub fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let settings = serve(&context.settings)?;
        context.print(&to_json(context, &settings), &to_text(context, &settings));
        Ok(ExitCode::SUCCESS)
    }
}

/// The options of `xagent serve` as they are without flags.
fn serve(settings: &Settings) -> Result<Vec<Setting>, CliError> {
    let command = settings.applied(Arguments::command())?;
    let matches = command.clone().try_get_matches_from(["xagent", SERVE]);
    let matches = matches.map_err(|error| CliError::new(error.to_string().trim_end(), "mend that value"))?;
    let known = command.find_subcommand(SERVE).map(|serve| serve.get_arguments().cloned().collect::<Vec<_>>());
    let (known, Some(matches)) = (known.unwrap_or_default(), matches.subcommand_matches(SERVE)) else {
        return Ok(Vec::new());
    };
    Ok(known.iter().filter_map(|arg| setting(arg, matches, settings)).collect())
}

fn setting(arg: &Arg, matches: &ArgMatches, settings: &Settings) -> Option<Setting> {
    let name = arg.get_long().filter(|name| *name != "help")?.to_owned();
    let id = arg.get_id().as_str();
    let source = match matches.value_source(id) {
        Some(ValueSource::EnvVariable) => "environment",
        Some(_) if settings.serve.contains_key(&name) => "file",
        Some(_) => "default",
        None => "not set",
    };
    let values = matches.get_raw(id).unwrap_or_default();
    let shown = values.map(|value| shown(&value.to_string_lossy(), arg.is_hide_env_values_set()));
    Some(Setting { name, value: shown.collect::<Vec<_>>().join(", "), source })
}

/// A value without what is secret in it: of a URL its password and query, of another secret everything.
fn shown(value: &str, secret: bool) -> String {
    match Url::parse(value) {
        Ok(mut url) if url.has_host() => {
            if url.password().is_some() && url.set_password(Some("hidden")).is_err() {
                return "(hidden)".to_owned();
            }
            if secret && url.query().is_some() {
                url.set_query(Some("hidden"));
            }
            url.to_string()
        }
        _ if secret => "(hidden)".to_owned(),
        _ => value.to_owned(),
    }
}

fn to_json(context: &Context, serve: &[Setting]) -> Value {
    let serve: serde_json::Map<_, _> = serve
        .iter()
        .map(|setting| (setting.name.clone(), json!({"value": setting.value, "source": setting.source})))
        .collect();
    let profiles: serde_json::Map<_, _> = context
        .settings
        .profiles
        .iter()
        .map(|(name, profile)| {
            let shown = json!({"url": profile.url, "token_file": profile.token_file, "ca_file": profile.ca_file});
            (name.clone(), shown)
        })
        .collect();
    json!({
        "file": context.settings.path,
        "default_profile": context.settings.default_profile,
        "profiles": profiles,
        "serve": serve,
    })
}

fn to_text(context: &Context, serve: &[Setting]) -> String {
    let (paint, settings) = (Paint::stdout(), &context.settings);
    let file = settings.path.as_ref().map_or_else(|| "there is none".to_owned(), |path| path.display().to_string());
    let widest = serve.iter().map(|setting| setting.name.len()).max().unwrap_or_default();
    let profiles = settings.profiles.iter().map(|(name, profile)| {
        let mark = if settings.default_profile.as_ref() == Some(name) { " (default)" } else { "" };
        format!("  {name}  {}{mark}", profile.url)
    });
    let options = serve.iter().map(|Setting { name, value, source }| match *source {
        "not set" => format!("  {name:widest$}  -"),
        source => format!("  {name:widest$}  {value}  [{source}]"),
    });
    let mut lines = vec![format!("{} {file}", paint.strong("Settings file:"))];
    lines.push(paint.strong(if settings.profiles.is_empty() { "Profiles: none" } else { "Profiles:" }));
    lines.extend(profiles);
    lines.push(paint.strong("xagent serve:"));
    lines.extend(options);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_not_shown() {
        assert_eq!(shown("postgres://app:pw@db:5432/x?a=b", true), "postgres://app:hidden@db:5432/x?hidden");
        assert_eq!(shown("redis://127.0.0.1:6379", true), "redis://127.0.0.1:6379");
        assert_eq!(shown("0123abcd", true), "(hidden)");
        assert_eq!(shown("127.0.0.1:7117", false), "127.0.0.1:7117");
    }
}
