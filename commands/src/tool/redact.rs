//! Taking the values of secrets out of what a tool gave back, as they are and in the encodings they are met in.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use url::Url;

/// A shorter part of an encoded value says nothing.
const SHORTEST: usize = 6;

/// Replaces values by the names of their secrets.
pub(super) struct Redactor {
    /// What is looked for, the longest first, and the secret it gives away.
    needles: Vec<(String, String)>,
}

impl Redactor {
    /// For these names and values.
    pub fn new<'a>(secrets: impl Iterator<Item = (&'a str, String)>) -> Self {
        let mut needles = Vec::new();
        for (name, value) in secrets {
            let parts = password(&value).into_iter().chain([value]);
            let forms = parts.flat_map(|part| forms(&part)).filter(|form| form.len() >= SHORTEST);
            needles.extend(forms.map(|form| (form, name.to_owned())));
        }
        needles.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
        Self { needles }
    }

    /// Goes through every text and every key.
    pub fn redact(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.redact_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact(item)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|field| self.redact(field));
                let keys: Vec<String> = fields.keys().filter(|key| self.is_in(key)).cloned().collect();
                for key in keys {
                    let field = fields.remove(&key).unwrap_or_default();
                    let mut clean = key;
                    self.redact_text(&mut clean);
                    fields.insert(clean, field);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn is_in(&self, text: &str) -> bool {
        self.needles.iter().any(|(needle, _)| text.contains(needle.as_str()))
    }

    fn redact_text(&self, text: &mut String) {
        for (needle, name) in &self.needles {
            if text.contains(needle.as_str()) {
                *text = text.replace(needle.as_str(), &format!("[redacted: secret {name}]"));
            }
        }
    }
}

/// A password within a URL is as secret as the URL.
fn password(value: &str) -> Vec<String> {
    let Some(raw) = Url::parse(value).ok().and_then(|url| url.password().map(str::to_owned)) else { return Vec::new() };
    let plain = percent_decoded(&raw);
    vec![raw, plain]
}

fn percent_decoded(text: &str) -> String {
    // As a form's value, in which `+` alone means something else.
    let form = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(form.as_bytes()).map(|(_, value)| value.into_owned()).collect()
}

/// The forms a value is met in.
fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned(), hex::encode(value), hex::encode_upper(value)];
    forms.extend(serde_json::to_string(value).ok().map(|quoted| quoted[1..quoted.len() - 1].to_owned()));
    forms.push(value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"));
    for lower in [false, true] {
        forms.push(percent(value, lower, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)));
        forms
            .push(percent(value, lower, |byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte)));
        forms.push(percent(value, lower, |byte| byte.is_ascii_alphanumeric()));
        forms.push(percent(value, lower, |_| false));
        let form =
            percent(value, lower, |byte| byte == b' ' || byte.is_ascii_alphanumeric() || b"-._*".contains(&byte));
        forms.push(form.replace(' ', "+"));
    }
    for offset in 0..3 {
        forms.extend([base64(&STANDARD_NO_PAD, value, offset), base64(&URL_SAFE_NO_PAD, value, offset)]);
    }
    forms.sort();
    forms.dedup();
    forms
}

fn percent(value: &str, lower: bool, plain: impl Fn(u8) -> bool) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        // Writing to a text does not fail.
        let _written = match (plain(byte), lower) {
            (true, _) => write!(text, "{}", char::from(byte)),
            (false, true) => write!(text, "%{byte:02x}"),
            (false, false) => write!(text, "%{byte:02X}"),
        };
    }
    text
}

/// What of the value is the same in Base64 whatever comes before it (`offset` bytes, modulo three) and after it
/// (RFC 4648 section 4: three bytes are four characters).
fn base64(engine: &impl Engine, value: &str, offset: usize) -> String {
    let bytes = [vec![0; offset], value.as_bytes().to_vec()].concat();
    let encoded = engine.encode(&bytes);
    let (start, end) = ((offset * 8).div_ceil(6), bytes.len() * 8 / 6);
    encoded.get(start..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn redactor(value: &str) -> Redactor {
        Redactor::new([("token", value.to_owned())].into_iter())
    }

    fn redacted(value: &str, text: &str) -> String {
        let mut shown = Value::String(text.to_owned());
        redactor(value).redact(&mut shown);
        shown.as_str().unwrap().to_owned()
    }

    #[test]
    fn a_secret_is_named_instead_of_shown() {
        assert_eq!(redacted("s3cr3t-value", "a s3cr3t-value b"), "a [redacted: secret token] b");
        let mut output = json!({"s3cr3t-value": ["s3cr3t-value", 1, {"a": "xs3cr3t-valuex"}]});
        redactor("s3cr3t-value").redact(&mut output);
        assert!(!output.to_string().contains("s3cr3t"), "{output}");
        assert_eq!(
            redacted("postgres://me:p%40ssw0rd!@h/d", "the password is p@ssw0rd!"),
            "the password is [redacted: secret token]"
        );
        assert_eq!(redacted("s3cr3t-value", "nothing of it"), "nothing of it");
    }

    proptest! {
        #[test]
        fn in_any_encoding_and_any_surroundings_nothing_of_it_is_left(
            value in "[ -~]{8,40}", before in "[a-z]{0,5}", after in "[a-z]{0,5}",
        ) {
            let around = format!("{before}{value}{after}");
            let shown = redacted(&value, &around);
            prop_assert!(!shown.contains(&value));
            for encoded in [STANDARD.encode(&around), URL_SAFE_NO_PAD.encode(&around)] {
                let shown = redacted(&value, &encoded);
                prop_assert!(shown.contains("[redacted: secret token]"), "{} {}", encoded, shown);
            }
            let quoted = serde_json::to_string(&around).unwrap();
            prop_assert!(redacted(&value, &quoted).contains("[redacted: secret token]"));
            let form: String = url::form_urlencoded::byte_serialize(around.as_bytes()).collect();
            prop_assert!(redacted(&value, &form).contains("[redacted: secret token]"), "{}", form);
            prop_assert!(redacted(&value, &hex::encode(&around)).contains("[redacted: secret token]"));
        }
    }
}
