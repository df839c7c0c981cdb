//! The settings file: a server's options, and profiles of servers for the command line. Flags come before environment, the
//! environment before the file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use serde::Deserialize;

use super::error::CliError;

/// A larger file is not read, in bytes.
const LARGEST: u64 = 1024 * 1024;
/// The command whose options the file may hold.
pub const SERVE: &str = "serve";

/// A settings file, read.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where it was read from; nothing where there is none.
    #[serde(skip)]
    pub path: Option<PathBuf>,
    /// The profile in force where none is named.
    pub default_profile: Option<String>,
    /// Servers by name.
    #[serde(default)]
    pub profiles: BTreeMap<String, Profile>,
    /// Options of `xagent serve`, by their long names.
    #[serde(default)]
    pub serve: BTreeMap<String, toml::Value>,
}

/// A server, and who one is there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Where it is.
    pub url: String,
    /// The file that holds the bearer token sent to it, and to no other server.
    pub token_file: Option<PathBuf>,
    /// The certificates (PEM) it is trusted by, beside the usual ones.
    pub ca_file: Option<PathBuf>,
}

/// What has to be known before arguments can be parsed.
#[derive(Default)]
pub struct Early {
    pub json: bool,
    pub config: Option<PathBuf>,
}

impl Early {
    /// From the arguments as they are.
    pub fn of(arguments: impl Iterator<Item = OsString>) -> Self {
        let mut early = Self::default();
        let mut arguments = arguments.take_while(|argument| argument != "--");
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--json") => early.json = true,
                Some("--config") => early.config = arguments.next().map(PathBuf::from),
                Some(text) => early.config = text.strip_prefix("--config=").map(PathBuf::from).or(early.config),
                None => {}
            }
        }
        early
    }
}

impl Settings {
    /// The file that is named by `--config` or XAGENT_CONFIG, or the one in its usual place if there is one.
    pub fn load(named: Option<PathBuf>) -> Result<Self, CliError> {
        let named = named.or_else(|| std::env::var_os("XAGENT_CONFIG").map(PathBuf::from));
        let Some(path) = named.or_else(|| usual_places().find(|path| path.exists())) else {
            return Ok(Self::default());
        };
        let mut settings = Self::parse(&path, &read(&path)?)?;
        settings.path = Some(path);
        Ok(settings)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, CliError> {
        let settings: Self = toml::from_str(text).map_err(|error| {
            let remedy = "it may hold `default_profile`, [profiles.NAME] with url, token_file and ca_file, and [serve]";
            CliError::new(format!("{}: {}", path.display(), error.to_string().trim_end()), remedy)
        })?;
        match &settings.default_profile {
            Some(name) if !settings.profiles.contains_key(name) => Err(settings.no_profile(name)),
            _ => Ok(settings),
        }
    }

    /// The profile `name`, or else the default one, or none.
    pub fn profile(&self, name: Option<&str>) -> Result<Option<&Profile>, CliError> {
        let Some(name) = name.or(self.default_profile.as_deref()) else { return Ok(None) };
        self.profiles.get(name).map(Some).ok_or_else(|| self.no_profile(name))
    }

    fn no_profile(&self, name: &str) -> CliError {
        let known = self.profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let remedy = match known.is_empty() {
            true => format!("write [profiles.{name}] with a url into a settings file; see `xagent config --help`"),
            false => format!("the profiles are {known}"),
        };
        CliError::new(format!("there is no profile `{name}`"), remedy)
    }

    /// `command` with the file's options of `serve` as defaults, so that flags and environment still come first.
    pub fn applied(&self, mut command: Command) -> Result<Command, CliError> {
        let serve = command.find_subcommand(SERVE).map(|serve| serve.get_arguments().cloned().collect::<Vec<_>>());
        let known = serve.unwrap_or_default();
        for (name, value) in &self.serve {
            let arg =
                known.iter().find(|arg| arg.get_long() == Some(name)).ok_or_else(|| self.unknown(name, &known))?;
            let values = texts(arg, value).ok_or_else(|| self.misfit(name, value))?;
            let id = arg.get_id().clone();
            command = command.mut_subcommand(SERVE, |serve| serve.mut_arg(id, |arg| arg.default_values(values)));
        }
        Ok(command)
    }

    fn unknown(&self, name: &str, known: &[Arg]) -> CliError {
        let known: Vec<_> = known.iter().filter_map(Arg::get_long).filter(|long| *long != "help").collect();
        let remedy = format!("known are {}", known.join(", "));
        CliError::new(format!("{}: [serve] has an unknown key `{name}`", self.place()), remedy)
    }

    fn misfit(&self, name: &str, value: &toml::Value) -> CliError {
        let said = format!("{}: [serve] {name}: {} is not a value it can have", self.place(), value.type_str());
        CliError::new(said, "give text, a number, true, or a list of texts where the option may be repeated")
    }

    fn place(&self) -> String {
        self.path.as_ref().map_or_else(|| "settings".to_owned(), |path| path.display().to_string())
    }
}

/// An option's value as it stands on a command line.
fn texts(arg: &Arg, value: &toml::Value) -> Option<Vec<String>> {
    let one = |value: &toml::Value| match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    };
    match value {
        toml::Value::Array(values) if matches!(arg.get_action(), ArgAction::Append) => values.iter().map(one).collect(),
        value => one(value).map(|text| vec![text]),
    }
}

fn usual_places() -> impl Iterator<Item = PathBuf> {
    let folder = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
    own.into_iter().chain([PathBuf::from("/etc")]).map(|folder| folder.join("xagent/config.toml"))
}

fn read(path: &Path) -> Result<String, CliError> {
    let failed = |why: &dyn std::fmt::Display| {
        CliError::new(format!("{}: {why}", path.display()), "name another file by --config or XAGENT_CONFIG")
    };
    let size = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
    if size > LARGEST {
        return Err(failed(&format_args!("it has {size} bytes, and may have {LARGEST}")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use clap::{Args, value_parser};

    use super::*;

    fn settings(text: &str) -> Result<Settings, CliError> {
        Settings::parse(Path::new("config.toml"), text)
    }

    #[derive(Args)]
    struct Options {
        #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
        many: u32,
        #[arg(long)]
        folder: Vec<String>,
        #[arg(long)]
        quick: bool,
    }

    fn parsed(text: &str, arguments: &[&str]) -> Result<(u32, Vec<String>, bool), String> {
        let command = Command::new("x").subcommand(Options::augment_args(Command::new(SERVE)));
        let command =
            settings(text).and_then(|settings| settings.applied(command)).map_err(|error| error.to_string())?;
        let matches = command.try_get_matches_from(["x", SERVE].iter().chain(arguments)).map_err(|e| e.to_string())?;
        let serve = matches.subcommand_matches(SERVE).unwrap();
        let folders = serve.get_many::<String>("folder").unwrap_or_default().cloned().collect();
        Ok((*serve.get_one("many").unwrap(), folders, serve.get_flag("quick")))
    }

    #[test]
    fn the_file_stands_in_where_neither_flag_nor_environment_says_anything() {
        let file = "[serve]\nmany = 3\nfolder = ['a', 'b']\nquick = true";
        assert_eq!(parsed("", &[]).unwrap(), (1, vec![], false));
        assert_eq!(parsed(file, &[]).unwrap(), (3, vec!["a".into(), "b".into()], true));
        assert_eq!(parsed(file, &["--many", "4", "--folder", "c"]).unwrap(), (4, vec!["c".into()], true));
    }

    #[test]
    fn what_it_must_not_hold_is_named() {
        for (text, told) in [
            ("[serve]\nmay = 3", "unknown key `may`"),
            ("[serve]\nmany = 0", "0 is not in 1.."),
            ("[serve]\nmany = [1]", "array is not a value"),
            ("[serve]\nfolder = { a = 1 }", "table is not a value"),
            ("colour = 1", "unknown field `colour`"),
            ("[profiles.a]\nurl = 'u'\ntoken = 't'", "unknown field `token`"),
            ("default_profile = 'b'\n[profiles.a]\nurl = 'u'", "no profile `b`"),
        ] {
            let error = parsed(text, &[]).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_profile_is_the_named_one_or_the_default_one() {
        let settings = settings("default_profile = 'a'\n[profiles.a]\nurl = 'ua'\n[profiles.b]\nurl = 'ub'").unwrap();
        let url = |name| settings.profile(name).unwrap().unwrap().url.clone();
        assert_eq!((url(None), url(Some("b"))), ("ua".to_owned(), "ub".to_owned()));
        assert!(settings.profile(Some("c")).is_err());
        assert!(Settings::default().profile(None).unwrap().is_none());
    }

    #[test]
    fn what_comes_before_parsing_is_found_wherever_it_stands() {
        let early = |text: &str| {
            let early = Early::of(text.split(' ').map(OsString::from));
            (early.json, early.config.map(|path| path.display().to_string()))
        };
        assert_eq!(early("xagent serve --config a --json"), (true, Some("a".to_owned())));
        assert_eq!(early("xagent --config=a runs"), (false, Some("a".to_owned())));
        assert_eq!(early("xagent runs -- --json --config a"), (false, None));
    }
}
