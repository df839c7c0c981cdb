//! Secrets of tools: referred to by name, read when a tool is run, and taken out of whatever it gives back.

use std::collections::BTreeMap;

use super::redact::Redactor;
use super::settings::{SHORTEST_SECRET, SecretSource};

/// What comes before a secret's name.
const REFERENCE: &str = "secret:";
/// A variable whose name begins so is the secret of the rest of its name, without being declared.
const PREFIX: &str = "XAGENT_SECRET_";
/// A longer value is not read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// The secrets that are declared. It holds no values.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, SecretSource>);

impl Secrets {
    /// As they are declared, and those of the environment that declare themselves.
    pub fn new(declared: BTreeMap<String, SecretSource>) -> Self {
        let variables = std::env::vars_os().filter_map(|(variable, _)| variable.into_string().ok());
        let of_variable = |variable: String| {
            let name = variable.strip_prefix(PREFIX).filter(|name| is_name(name))?.to_owned();
            Some((name, SecretSource::Env(variable)))
        };
        Self(variables.filter_map(of_variable).chain(declared).collect())
    }

    /// A text with its references replaced by values. The error names the secret, never its value.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, name, after)) = next_reference(rest) {
            filled.push_str(before);
            filled.push_str(&self.value(name)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// What takes the values out of results. A secret that cannot be read now was not used either.
    pub(super) fn redactor(&self) -> Redactor {
        Redactor::new(self.0.keys().filter_map(|name| Some((name.as_str(), self.value(name).ok()?))))
    }

    fn value(&self, name: &str) -> Result<String, String> {
        let source = self.0.get(name).ok_or_else(|| format!("there is no secret `{name}`"))?;
        let value = match source {
            SecretSource::Env(variable) => std::env::var(variable)
                .map_err(|_| format!("the secret `{name}` is not there: set the variable {variable}"))?,
            SecretSource::File(path) => read(path)
                .map_err(|error| format!("the secret `{name}` cannot be read from {}: {error}", path.display()))?,
        };
        if value.len() < SHORTEST_SECRET {
            return Err(format!("the secret `{name}` is shorter than {SHORTEST_SECRET} bytes"));
        }
        Ok(value)
    }
}

fn read(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    let end = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(end);
    Ok(text)
}

/// The names a text refers to.
pub(super) fn references(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (_, name, after) = next_reference(text)?;
        text = after;
        Some(name)
    })
}

/// Whether a secret of this name declares itself.
pub(super) fn declares_itself(name: &str) -> bool {
    std::env::var_os(format!("{PREFIX}{name}")).is_some()
}

/// Whether it can be a secret's name.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(in_name)
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(found) = text[from..].find(REFERENCE) {
        let (start, begin) = (from + found, from + found + REFERENCE.len());
        let length = text[begin..].bytes().take_while(|byte| in_name(*byte)).count();
        if length > 0 {
            return Some((&text[..start], &text[begin..begin + length], &text[begin + length..]));
        }
        from = begin;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn references_are_filled_from_files_and_the_environment_and_errors_hold_no_value() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"from-the-file\n").unwrap();
        let mut short = tempfile::NamedTempFile::new().unwrap();
        short.write_all(b"hunter2").unwrap();
        let secrets = Secrets::new(BTreeMap::from([
            ("filed".to_owned(), SecretSource::File(file.path().to_owned())),
            ("path".to_owned(), SecretSource::Env("PATH".to_owned())),
            ("short".to_owned(), SecretSource::File(short.path().to_owned())),
            ("unset".to_owned(), SecretSource::Env("XAGENT_NO_SUCH_VARIABLE".to_owned())),
        ]));
        assert_eq!(secrets.fill("Bearer secret:filed, secret: none").unwrap(), "Bearer from-the-file, secret: none");
        assert_eq!(secrets.fill("secret:path").unwrap(), std::env::var("PATH").unwrap());
        assert!(secrets.fill("secret:unset").unwrap_err().contains("XAGENT_NO_SUCH_VARIABLE"));
        let error = secrets.fill("secret:short").unwrap_err();
        assert!(error.contains("shorter") && !error.contains("hunter2"));
        assert!(secrets.fill("secret:nobody").unwrap_err().contains("no secret"));
        assert_eq!(references("a secret:b secret:c-d.").collect::<Vec<_>>(), ["b", "c-d"]);
    }
}
