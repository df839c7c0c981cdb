//! Settings of upstreams: texts that are recorded, and secrets that only the server's environment holds.

use std::collections::BTreeMap;

use xagent_domain::upstream::Setting;

use crate::InvalidInput;

/// What the names of the environment's variables begin with that hold secrets for upstreams; no other is given away.
const PREFIX: &str = "XAGENT_SECRET_";
/// Settings of one upstream.
const MOST: usize = 64;
/// The longest name or text of a setting, in bytes.
const LONGEST: usize = 4096;

/// The settings with their secrets, for the one they are meant for.
pub(super) fn resolved(settings: &BTreeMap<String, Setting>) -> Result<Vec<(String, String)>, String> {
    let text = |(name, setting): (&String, &Setting)| match setting {
        Setting::Value(text) => Ok((name.clone(), text.clone())),
        Setting::Secret(secret) => {
            let variable = format!("{PREFIX}{secret}");
            let found = std::env::var(&variable);
            found.map(|text| (name.clone(), text)).map_err(|_| format!("the server has no secret `{variable}`"))
        }
    };
    settings.iter().map(text).collect()
}

/// Checks settings before they are recorded.
pub(crate) fn check_settings(field: &str, settings: &BTreeMap<String, Setting>) -> Result<(), InvalidInput> {
    if settings.len() > MOST {
        return Err(InvalidInput::new(field, format!("{} settings given: {MOST} at most", settings.len())));
    }
    for (name, setting) in settings {
        let fits = |text: &str| text.len() <= LONGEST && !text.contains(['\0', '\n', '\r']);
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        let good = match setting {
            Setting::Value(text) => fits(text),
            Setting::Secret(secret) => fits(secret) && plain(secret),
        };
        if !(fits(name) && plain(name) && good) {
            let message = format!(
                "`{}`: a name of letters, digits, `_` and `-`, and a text of one line or the name of a secret",
                name.chars().take(80).collect::<String>()
            );
            return Err(InvalidInput::new(field, message));
        }
    }
    Ok(())
}
