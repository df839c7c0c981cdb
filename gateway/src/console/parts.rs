//! The small parts of pages: moments, marks, facts, texts that fold out.

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};
use serde_json::Value;
use xagent_domain::{Content, EngineIdentity, Obligation, Reason};

/// A longer text is shown up to here, in bytes.
const SHOWN: usize = 64 * 1024;

/// What a mark says at a glance. Its words say it as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Bad,
    Waits,
    Runs,
}

impl Tone {
    /// The name of its style.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Waits => "waits",
            Self::Runs => "runs",
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Plain => "•",
            Self::Good => "✓",
            Self::Bad => "✕",
            Self::Waits => "‖",
            Self::Runs => "▸",
        }
    }

    /// Of a run, a call, a goal or an approval by where it stands, or of a verdict.
    pub fn of(status: &str) -> Self {
        match status {
            "completed" | "succeeded" | "achieved" | "allow" | "granted" | "used" | "allowed" | "approved" => {
                Self::Good
            }
            "failed" | "denied" | "deny" | "refused" | "cancelled" | "interrupted" => Self::Bad,
            "paused" | "waiting" | "awaiting_approval" | "approval" => Self::Waits,
            "running" | "started" | "open" => Self::Runs,
            _ => Self::Plain,
        }
    }
}

/// A word with its sign and colour.
pub fn mark(tone: Tone, words: &str) -> Markup {
    signed(tone, tone.sign(), words)
}

/// A word with another sign than its tone's own.
pub fn signed(tone: Tone, sign: &str, words: &str) -> Markup {
    html! { span class={ "mark " (tone.class()) } { span aria-hidden="true" { (sign) } " " (words) } }
}

/// Where something stands.
pub fn status(status: &str) -> Markup {
    mark(Tone::of(status), &status.replace('_', " "))
}

/// The sign of a tone alone.
pub fn sign(tone: Tone) -> Markup {
    html! { span class={ "sign " (tone.class()) } aria-hidden="true" { (tone.sign()) } }
}

/// A moment.
pub fn moment(at: DateTime<Utc>) -> Markup {
    html! {
        time datetime=(at.to_rfc3339_opts(SecondsFormat::Micros, true)) title=(at.format("%Y-%m-%d %H:%M:%S%.6f UTC")) {
            (at.format("%Y-%m-%d %H:%M:%S"))
        }
    }
}

/// A moment in microseconds since 1970.
pub fn moment_us(us: i64) -> Markup {
    DateTime::from_timestamp_micros(us).map_or_else(|| html! { (us) " µs" }, moment)
}

/// A moment among others of about the same time.
pub fn clock_us(us: i64) -> Markup {
    let Some(at) = DateTime::from_timestamp_micros(us) else { return html! { (us) " µs" } };
    html! {
        time datetime=(at.to_rfc3339_opts(SecondsFormat::Micros, true)) title=(at.format("%Y-%m-%d %H:%M:%S%.6f UTC")) {
            (at.format("%H:%M:%S%.3f"))
        }
    }
}

/// How long something took.
pub fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

/// Bytes, for people.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} bytes"),
        1_024..1_048_576 => format!("{}.{} KiB", count / 1_024, count % 1_024 * 10 / 1_024),
        _ => format!("{}.{} MiB", count / 1_048_576, count % 1_048_576 * 10 / 1_048_576),
    }
}

/// The beginning of a text, where it is long.
pub fn beginning(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most).chain(['…']).collect()
}

/// A sentence in which backticks stand around names.
pub fn prose(text: &str) -> Markup {
    let parts: Vec<_> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return html! { (text) };
    }
    html! { @for (index, part) in parts.iter().enumerate() { @if index % 2 == 1 { code { (part) } } @else { (part) } } }
}

/// A text as it is, in its own box.
pub fn block(text: &str) -> Markup {
    let shown = (0..=SHOWN.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    html! {
        pre tabindex="0" { code { (text[..shown]) } }
        @if shown < text.len() { p.soft { "The first " (bytes(shown as u64)) " of " (bytes(text.len() as u64)) "; the API has all of it." } }
    }
}

/// JSON with line breaks; another text as it is.
pub fn json(text: &str) -> Markup {
    let pretty = serde_json::from_str::<Value>(text).ok().and_then(|value| serde_json::to_string_pretty(&value).ok());
    block(pretty.as_deref().unwrap_or(text))
}

/// A value of JSON, short ones in a line.
pub fn value(value: &Value) -> Markup {
    let text = value.to_string();
    html! { @if text.len() <= 120 { code { (text) } } @else { (json(&text)) } }
}

/// What an event holds, or the digest of what it holds apart.
pub fn content(content: &Content) -> Markup {
    match &content.text {
        Some(text) => json(text),
        None => html! { p.soft { (bytes(content.size)) " kept apart from the event: " code { (content.digest) } } },
    }
}

/// Something that folds out. `key` tells it from others on the page.
pub fn fold(key: &str, title: &str, body: Markup) -> Markup {
    html! { details data-fold=(key) { summary { (title) } (body) } }
}

/// Names and values.
pub fn facts(all: impl IntoIterator<Item = (&'static str, Markup)>) -> Markup {
    html! { dl.facts { @for (name, value) in all { div { dt { (name) } dd { (value) } } } } }
}

/// An engine in words.
pub fn engine(engine: &EngineIdentity) -> String {
    format!("{} {} ({})", engine.name, engine.version, engine.mode)
}

/// Why something was denied, and what would let it go on.
pub fn reasons(deny: &[Reason], obligations: &[Obligation]) -> Markup {
    html! {
        @if !deny.is_empty() || !obligations.is_empty() {
            ul.reasons {
                @for reason in deny {
                    li { code.code { (reason.code) } " " (prose(&reason.message)) @if !reason.rule.is_empty() { " " span.soft { "rule " code { (reason.rule) } } } }
                }
                @for asked in obligations { li { code.code { "asks for " (asked.kind) } " " (prose(&asked.reason)) } }
            }
        }
    }
}

/// A page's heading, with what is said of it beside.
pub fn heading(title: &str, said: &str) -> Markup {
    html! { div.heading { h1 { (title) } p.soft { (said) } } }
}

/// That there is nothing, and what to do.
pub fn nothing(said: &str) -> Markup {
    html! { p.nothing { (said) } }
}

/// The number with its noun.
pub fn count(number: impl Into<i128>, one: &str, many: &str) -> String {
    let number = number.into();
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_shown_and_never_obeyed() {
        let hostile = "</code><script>alert(1)</script>\" onload=\"x";
        for shown in [
            block(hostile),
            json(hostile),
            prose(hostile),
            value(&Value::from(hostile)),
            fold(hostile, hostile, html! {}),
        ] {
            let shown = shown.into_string();
            assert!(!shown.contains("<script>") && !shown.contains("\" onload"), "{shown}");
        }
    }

    #[test]
    fn names_between_backticks_are_told_apart_where_all_are_closed() {
        assert_eq!(prose("`a` is <b>").into_string(), "<code>a</code> is &lt;b&gt;");
        assert_eq!(prose("one ` alone").into_string(), "one ` alone");
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!([duration(7), duration(1_250), duration(61_500_000)], ["7 µs", "1.2 ms", "61.5 s"]);
        assert_eq!([bytes(7), bytes(1_536), bytes(5_767_168)], ["7 bytes", "1.5 KiB", "5.5 MiB"]);
    }
}
