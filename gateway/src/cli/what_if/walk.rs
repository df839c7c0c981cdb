//! History, chunk by chunk on all cores, added up in order.

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use xagent_ledger::{Chunk, Ledger, Scan};
use xagent_replay::whatif::{Judge, Part, Settings, Tally};

use super::kept::Kept;
use crate::cli::CliError;

/// Judges that are not at work.
struct Judges {
    settings: Settings,
    idle: Mutex<Vec<Judge>>,
}

/// Decides again what the scan gives, and adds it to the tally.
pub async fn walk(
    ledger: &Ledger,
    scan: &Scan,
    settings: &Settings,
    mut tally: Tally,
    kept: &mut Kept,
    hidden: bool,
) -> Result<Tally, CliError> {
    let judges = Arc::new(Judges { settings: settings.clone(), idle: Mutex::default() });
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let chunks = stream::try_unfold(ledger.scan(scan).await?, |mut scanned| async move {
        Ok::<_, CliError>(scanned.next().await?.map(|chunk| (chunk, scanned)))
    });
    // One more than there are cores, so that none waits for the slowest.
    let mut parts = std::pin::pin!(
        chunks
            .map_ok(|chunk| {
                let judges = judges.clone();
                async move { tokio::task::spawn_blocking(move || judges.judge(&chunk)).await.map_err(broke_off)? }
            })
            .try_buffered(cores + 1)
    );
    let bar = bar(scan, hidden);
    while let Some(part) = parts.next().await {
        tally.add(part?, settings.examples);
        bar.set_position(tally.position.saturating_sub(scan.after));
        bar.set_message(rate(tally.decided, bar.elapsed()));
        kept.keep(&tally)?;
    }
    bar.finish_and_clear();
    tally.position = scan.to;
    Ok(tally)
}

impl Judges {
    fn judge(&self, chunk: &Chunk) -> Result<Part, CliError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let unfit = |error: xagent_policies::BundleError| CliError::new(error.to_string(), "mend the bundle");
        let mut judge = idle.map_or_else(|| Judge::new(self.settings.clone()), Ok).map_err(unfit)?;
        let mut unread = None;
        let events = chunk.events().map_while(|event| event.map_err(|error| unread = Some(error)).ok());
        let part =
            judge.judge(events).map_err(|error| CliError::new(error.to_string(), "is Postgres up? Try again"))?;
        if let Some(error) = unread {
            return Err(error.into());
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(judge);
        Ok(part)
    }
}

fn bar(scan: &Scan, hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} positions, {msg} decisions/s, {eta} left");
    let bar = ProgressBar::new(scan.to.saturating_sub(scan.after));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn rate(decided: u64, took: Duration) -> String {
    format!("{:.0}", decided as f64 / took.as_secs_f64().max(0.001))
}

fn broke_off(error: tokio::task::JoinError) -> CliError {
    CliError::new(format!("deciding again broke off: {error}"), "report this")
}
