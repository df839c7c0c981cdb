//! Filling tables from the events, as fast as they can be read: pages are read ahead while the one before is written.

use futures::{StreamExt, TryStreamExt, stream};
use sqlx::PgConnection;
use xagent_domain::Recorded;
use xagent_ledger::{Ledger, LedgerError};

use super::TablesError;
use super::fold::Fold;
use super::write::apply;

/// Events in a page.
const PAGE: u32 = 1000;
/// Pages that are read at once.
const AHEAD: usize = 2;

/// Applies the events after `from`, up to `to`, and tells after each page how far it is.
pub(super) async fn build(
    connection: &mut PgConnection,
    ledger: &Ledger,
    schema: &str,
    (from, to): (u64, u64),
    told: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), TablesError> {
    let mut fold = Fold::new();
    let firsts = stream::iter((from..to).step_by(PAGE as usize));
    let mut pages = std::pin::pin!(firsts.map(|after| page(ledger, after, to, PAGE)).buffered(AHEAD));
    let mut position = from;
    while let Some(events) = pages.try_next().await? {
        apply(connection, schema, &mut fold, position, &events).await?;
        position += events.len() as u64;
        told(position);
    }
    Ok(())
}

/// The page after a position, of `most` events, whole.
pub(crate) async fn page(ledger: &Ledger, after: u64, to: u64, most: u32) -> Result<Vec<Recorded>, LedgerError> {
    let wanted = u32::try_from(to - after).unwrap_or(most).min(most);
    let events = ledger.range(after, wanted).await?;
    let whole = events.iter().zip(after + 1..).take_while(|(event, expected)| event.position == *expected).count();
    if whole == wanted as usize {
        return Ok(events);
    }
    let detail = "it is missing: run `xagent verify`".to_owned();
    Err(LedgerError::Tampered { position: after + 1 + whole as u64, detail })
}
