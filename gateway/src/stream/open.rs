//! From a request to a reader: decided by the law and recorded like any other read of the record.

use std::time::Duration;

use axum::http::HeaderMap;
use tokio::time::Instant;
use xagent_domain::governed::Refusal;

use super::Streams;
use super::filter::{Filter, Wish};
use super::reader::{Holder, Reader};
use super::window::Look;
use crate::listen::Peer;
use crate::problem::{Problem, ProblemType};
use crate::rest::Doors;
use crate::rest::extract::{Calling, invalid, only};

/// Where a client that comes back left off (HTML, server-sent events, section 9.2.4).
const LAST: &str = "Last-Event-ID";

/// The reader a request asks for.
pub async fn open(
    doors: &Doors,
    calling: &Calling,
    wish: Wish,
    headers: &HeaderMap,
    peer: Peer,
) -> Result<Reader, Problem> {
    let (streams, tenant) = (&doors.streams, &calling.caller.principal.tenant);
    let run = wish.run.map(|run| run.to_string());
    let (from, filter) = (wish.from.map(|from| from.0), Filter::new(tenant.clone(), wish)?);
    let last = last(headers)?;
    let id = run.as_deref().unwrap_or_default();
    doors.commands.authorise_read(&calling.caller, "read.events", "run", id).await?;
    if let Some(id) = run
        && streams.ledger().stream(tenant, "run", &id, 0, 1).await?.is_empty()
    {
        return Err(Refusal::NotFound { what: "run", id }.into());
    }
    let Some(seat) = streams.seat() else {
        let detail = format!("{} streams are open, and that is the most; try again", streams.0.options.readers);
        return Err(Problem::new(ProblemType::Unavailable, detail));
    };
    let head = streams.ledger().head().await?.position;
    let asked = last.or_else(|| from.map(|from| from.saturating_sub(1)));
    let after = asked.unwrap_or(head);
    if after > head {
        let field = if last.is_some() { LAST } else { "from" };
        return Err(invalid(field, &format!("position {after} is past the end of the ledger, which is at {head}")));
    }
    readable(streams, after, head).await?;
    let holder = Holder { key: calling.caller.credential, tenant: tenant.clone(), until: until(doors, calling) };
    Ok(Reader::new(seat, filter, after, holder, peer))
}

/// What cannot be read is said with a status, before the stream begins.
async fn readable(streams: &Streams, after: u64, head: u64) -> Result<(), Problem> {
    if after < head && !matches!(streams.0.window.look(after), Look::Items(_)) {
        streams.0.shelf.after(after).await?;
    }
    Ok(())
}

fn until(doors: &Doors, calling: &Calling) -> Instant {
    let left_us = calling.until_s.saturating_mul(1_000_000).saturating_sub(doors.commands.executor().now_us());
    // Far enough away for whoever has a token for ever, near enough for the timer.
    let left = Duration::from_micros(u64::try_from(left_us).unwrap_or(0)).min(Duration::from_secs(365 * 24 * 3600));
    Instant::now() + left
}

fn last(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(text) = only(headers, LAST)? else { return Ok(None) };
    let wrong = |_| invalid(LAST, "it is no position: send the last `id` received").with_value(text);
    text.parse().map(Some).map_err(wrong)
}
