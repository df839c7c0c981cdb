//! Progress bars, only on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over so many events; indicatif itself hides it where standard error is no terminal.
pub fn progress(events: u64, hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} events, {per_sec}, {eta} left");
    ProgressBar::new(events).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
