//! `/v1/events`: the events of a tenant, from the ledger itself.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;
use xagent_domain::{Digest, RunId};
use xagent_ledger::Ledger;
use xagent_projections::TablesError;

use super::super::Doors;
use super::super::extract::{Calling, Parameters, header, invalid};
use super::super::openapi::Lookup;
use super::cursor::Cursor;
use super::described::Listing;
use super::parameters::{MOST, PAGE, at};
use super::{Page, allowed, file, page};
use crate::export::{self, Format};
use crate::problem::Problem;
use crate::shown::{ShownEvent, shown};
use crate::stream::{Filter, Item, Verdict, Wish};

/// Events read at once, and looked at for one page.
const READ: u32 = 500;
const LOOKED_AT: u64 = 20_000;
const UNDER_WAY: usize = 64;
const LIST: &str = "events";

/// What may be asked of the events. The filters are those of live streams.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedEvents {
    /// The first position.
    from: Option<u64>,
    /// Only events of this run.
    run: Option<RunId>,
    /// Only events of runs of this agent.
    agent: Option<String>,
    /// Only events of these types, separated by commas.
    #[serde(rename = "type")]
    types: Option<String>,
    /// Only decisions that came out so.
    decision: Option<Verdict>,
    /// Only events about calls of this tool.
    tool: Option<String>,
    /// From this moment on (RFC 3339).
    since: Option<String>,
    /// Before this moment (RFC 3339).
    until: Option<String>,
    /// `next` of the page before, with the same filters.
    cursor: Option<String>,
    /// Events at most; 100 in a page unless given, and 1000 at most. A file has all unless given.
    limit: Option<u32>,
    /// `json` for a page; `csv`, `ndjson` or `parquet` for all of it as a file. It wins over `Accept`.
    format: Option<String>,
}

/// Where to look.
#[derive(Clone, Copy)]
struct Span {
    /// The position after which to begin.
    after: u64,
    /// The end of the ledger when it was asked.
    head: u64,
    /// Events recorded then or later are not wanted.
    until_us: i64,
}

/// Query events
///
/// In their order, from the ledger. The read itself is recorded, with its filters.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "query_events", tag = "Queries",
    params(Parameters<AskedEvents>), responses(Listing<ShownEvent>, Lookup),
)]
pub async fn events(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(asked): Parameters<AskedEvents>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let text = told(&asked);
    allowed(&doors, &calling, "read.events", "event", &text).await?;
    let listed = answer(&doors, &calling, asked, &text, &headers).await;
    listed.map_err(|problem| calling.problem(problem))
}

async fn answer(
    doors: &Doors,
    calling: &Calling,
    asked: AskedEvents,
    text: &str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let ledger = doors.commands.ledger();
    let format = match &asked.format {
        Some(name) => Format::named(name).ok_or_else(|| invalid("format", "it is json, csv, ndjson or parquet"))?,
        None => Format::accepted(header(headers, "accept").unwrap_or_default()),
    };
    let binding = Digest::of(text.as_bytes()).to_string().chars().take(16).collect::<String>();
    let limit = asked.limit;
    let span = span(ledger, &asked, &binding).await?;
    let AskedEvents { run, agent, types, decision, tool, .. } = asked;
    let wish = Wish { from: None, run, agent, types, decision, tool };
    let filter = Filter::new(calling.caller.principal.tenant.clone(), wish)?;
    if format != Format::Json {
        let (sender, receiver) = mpsc::channel(UNDER_WAY);
        let most = limit.map_or(u64::MAX, u64::from);
        tokio::spawn(send(ledger.clone(), filter, span, most, sender));
        return Ok(file::<ShownEvent>(format, span.head, export::body(format, receiver)));
    }
    let most = limit.unwrap_or(PAGE);
    if !(1..=MOST).contains(&most) {
        return Err(invalid("limit", &format!("`{most}` is no number of events from 1 to {MOST}")));
    }
    let (items, last) = look(ledger, &filter, span, most as usize).await?;
    let next = last.map(|after| Cursor { list: LIST.to_owned(), filter: binding, after }.text());
    Ok(page(Page { items, next, position: span.head }))
}

/// The query as it is recorded, and as a cursor is bound to it.
fn told(asked: &AskedEvents) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    let run = asked.run.map(|run| run.to_string());
    let (from, decision) = (asked.from.map(|from| from.to_string()), asked.decision.map(Verdict::as_str));
    for (name, value) in [
        ("agent", asked.agent.as_deref()),
        ("decision", decision),
        ("from", from.as_deref()),
        ("run", run.as_deref()),
        ("since", asked.since.as_deref()),
        ("tool", asked.tool.as_deref()),
        ("type", asked.types.as_deref()),
        ("until", asked.until.as_deref()),
    ] {
        text.extend_pairs(value.map(|value| (name, value)));
    }
    text.finish()
}

async fn span(ledger: &Ledger, asked: &AskedEvents, binding: &str) -> Result<Span, Problem> {
    let head = ledger.head().await?.position;
    let moment = |name: &str, text: &Option<String>| text.as_deref().map(|text| at(name, text)).transpose();
    let until_us = moment("until", &asked.until)?.map_or(i64::MAX, |at| at.timestamp_micros());
    let since = moment("since", &asked.since)?;
    let cursor = asked.cursor.as_deref().map(|text| Cursor::read(text, LIST, binding)).transpose()?;
    let mut after = cursor.or_else(|| asked.from.map(|from| from.saturating_sub(1))).unwrap_or(0);
    if after > head {
        return Err(invalid(
            "from",
            &format!("position {} is past the end of the ledger, which is at {head}", after + 1),
        ));
    }
    if let (Some(since), None) = (since, cursor) {
        after = after.max(ledger.last_before(since.timestamp_micros(), head).await?);
    }
    Ok(Span { after, head, until_us })
}

/// The wanted events after a position, and where to go on where that was not all.
async fn look(
    ledger: &Ledger,
    filter: &Filter,
    span: Span,
    most: usize,
) -> Result<(Vec<ShownEvent>, Option<u64>), Problem> {
    let (mut found, mut at) = (Vec::new(), span.after);
    while at < span.head && at - span.after < LOOKED_AT {
        for event in ledger.range(at, READ).await? {
            if event.position > span.head || event.recorded_at_us >= span.until_us {
                return Ok((found, None));
            }
            at = event.position;
            let wanted = filter.passes(&*Item::new(event.clone())?, ledger).await?;
            if wanted {
                found.push(shown(event)?);
            }
            if found.len() == most {
                return Ok((found, Some(at).filter(|at| *at < span.head)));
            }
        }
    }
    Ok((found, Some(at).filter(|at| *at < span.head)))
}

/// Sends the wanted events, up to what was the end of the ledger.
async fn send(
    ledger: Ledger,
    filter: Filter,
    mut span: Span,
    most: u64,
    sender: mpsc::Sender<Result<ShownEvent, TablesError>>,
) {
    let mut left = most;
    while span.after < span.head && left > 0 {
        let page = usize::try_from(left.min(READ.into())).unwrap_or(1);
        let (found, next) = match look(&ledger, &filter, span, page).await {
            Ok(found) => found,
            Err(problem) => {
                let failed = TablesError::Failed { operation: "read events", detail: problem.detail };
                // A reader that has gone does not mind.
                let _gone = sender.send(Err(failed)).await;
                return;
            }
        };
        left -= found.len() as u64;
        for event in found {
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
        span.after = next.unwrap_or(span.head);
    }
}
