//! One subscription to the ledger for all readers of a process, and only while there are readers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use xagent_domain::Recorded;
use xagent_ledger::LedgerError;

use super::Streams;
use super::item::Item;
use super::reader::Trouble;

/// Events read at once.
const PAGE: u32 = 256;
/// How long to wait where the ledger cannot be followed.
const PAUSE: Duration = Duration::from_secs(1);

/// Fills the window until `stop`, then waits for the last reader to leave.
pub async fn run(streams: Streams, stop: CancellationToken) {
    let mut readers = streams.0.readers.subscribe();
    loop {
        tokio::select! { () = stop.cancelled() => break, () = readers_are(&mut readers, |count| count > 0) => {} }
        let followed = tokio::select! { () = stop.cancelled() => break, followed = follow(&streams) => followed };
        if let Err(trouble) = followed {
            tracing::warn!(reason = trouble.reason, detail = trouble.detail, "stream.feed.interrupted");
            streams.0.window.troubled(trouble);
            tokio::select! { () = stop.cancelled() => break, () = tokio::time::sleep(PAUSE) => {} }
        }
        streams.0.window.clear();
    }
    readers_are(&mut readers, |count| count == 0).await;
}

/// From the end of the ledger on, until there are no readers or it cannot go on.
async fn follow(streams: &Streams) -> Result<(), Trouble> {
    let mut readers = streams.0.readers.subscribe();
    let (ledger, window) = (streams.ledger(), &streams.0.window);
    let head = match ledger.head().await {
        Ok(head) => head.position,
        // Who reads waits: the ledger comes back.
        Err(error @ LedgerError::Unavailable { .. }) => {
            tracing::debug!(error = %error, "stream.feed.waits");
            tokio::time::sleep(PAUSE).await;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    // What was revoked while nothing was followed is not known.
    streams.0.revocations.fetch_add(1, Ordering::Release);
    window.begin(head);
    let mut events = ledger.subscribe(head, PAGE);
    loop {
        let page = tokio::select! {
            () = readers_are(&mut readers, |count| count == 0) => return Ok(()),
            page = events.next() => page,
        };
        match page {
            Ok(page) => {
                let revokes = page.iter().any(|event| event.event_type == "ApiKeyRevoked");
                // Before the window is filled: whoever wakes up for it looks at its key first.
                streams.0.revocations.fetch_add(revokes.into(), Ordering::Release);
                window.push(rendered(page)?);
            }
            Err(error @ LedgerError::Unavailable { .. }) => tracing::debug!(error = %error, "stream.feed.waits"),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until their number is such. Nobody is there any more where the sender is gone.
async fn readers_are(readers: &mut watch::Receiver<usize>, such: impl Fn(usize) -> bool) {
    let _ = readers.wait_for(|count| such(*count)).await;
}

fn rendered(page: Vec<Recorded>) -> Result<Vec<Arc<Item>>, Trouble> {
    page.into_iter().map(Item::new).collect::<Result<_, _>>().map_err(|problem| Trouble::tampered(problem.detail))
}
