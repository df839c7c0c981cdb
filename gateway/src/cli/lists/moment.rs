//! Moments as people write them.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use xagent_commands::SystemClock;
use xagent_ledger::Clock;

/// The moment a text means, in RFC 3339.
pub fn parse(text: &str) -> Result<String, String> {
    at(text).map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// A moment as it was written, and what it means, in microseconds since 1970.
#[derive(Clone, Debug)]
pub struct Moment {
    pub text: String,
    pub us: i64,
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        at(text).map(|at| Self { text: text.to_owned(), us: at.timestamp_micros() })
    }
}

fn at(text: &str) -> Result<DateTime<Utc>, String> {
    let now = DateTime::from_timestamp_micros(SystemClock.now_us()).ok_or("the clock is out of range")?;
    moment(text, now)
}

fn moment(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    if let Some(at) = text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0)) {
        return Ok(at.and_utc());
    }
    let wrong = || "write it as 90s, 15m, 1h, 7d or 2w ago, as 2026-11-28, or as 2026-11-28T09:30:00Z".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let ago = TimeDelta::try_seconds(i64::from(number).saturating_mul(seconds));
    ago.and_then(|ago| now.checked_sub_signed(ago)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_so_long_ago_or_a_day_or_exact() {
        let now = "2026-11-28T12:00:00Z".parse().unwrap();
        let at = |text: &str| moment(text, now).map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        for (text, expected) in [
            ("90s", "2026-11-28T11:58:30Z"),
            ("1h", "2026-11-28T11:00:00Z"),
            ("2w", "2026-11-14T12:00:00Z"),
            ("2026-11-27", "2026-11-27T00:00:00Z"),
            ("2026-11-27T10:00:00+02:00", "2026-11-27T08:00:00Z"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(expected));
        }
        for text in ["", "h", "1y", "-1h", "yesterday", "4294967295w", "é"] {
            assert!(at(text).is_err(), "{text}");
        }
    }
}
