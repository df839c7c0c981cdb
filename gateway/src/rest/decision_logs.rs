//! OPA's decision logs: `/logs` takes those of stock servers, `/v1/decisions/export` gives ours.

use std::io::{Read, Write};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use schemars::JsonSchema;
use serde::Deserialize;
use xagent_commands::Done;
use xagent_domain::access::AccessEvent;
use xagent_domain::{DecisionMade, Limits, Recorded, Tenant, read};
use xagent_ledger::{Ledger, LedgerError};
use xagent_policies::Mask;

use super::Doors;
use super::accepted::{Accepted, Proven};
use super::extract::{self, Calling, Commanding, LARGEST_BODY, Limit, Natural, Parameters, invalid, is_json};
use super::openapi::{Command, Query, Shown, described};
use crate::problem::{Problem, ProblemType};
use crate::{opa_event, recordings};

/// A larger batch, unpacked, is refused.
const LARGEST: u64 = 16 * 1024 * 1024;
/// Events read at once, and looked at for one answer.
const PAGE: u32 = 1000;
const LOOKED_AT: u64 = 20_000;
/// Bounds of one evaluation of the masks.
const MASKING: Limits = Limits { timeout_ms: 500 };

/// A batch of decision-log events as a stock OPA posts it.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub struct DecisionLog {
    #[expect(dead_code, reason = "only described: the batch is read as it is")]
    events: Vec<serde_json::Map<String, serde_json::Value>>,
}

described!(DecisionLog);

/// Keep decisions of a stock OPA
///
/// A batch of its decision log, plain or with `Content-Encoding: gzip`, so that its history can be replayed here too.
#[utoipa::path(
    post, path = "/logs", operation_id = "keep_decision_log", tag = "Decisions",
    params(Commanding), request_body = DecisionLog, responses(Shown<Proven<Done>>, Command),
)]
pub async fn keep(
    State(doors): State<Doors>,
    commanding: Commanding,
    request: Request,
) -> Result<Accepted<Done>, Problem> {
    let calling = &commanding.calling;
    is_json(request.headers()).map_err(|problem| calling.problem(problem))?;
    let packed = request.headers().get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let bytes = extract::read(request.into_body(), LARGEST_BODY).await.map_err(|problem| calling.problem(problem))?;
    let batch = if packed { unpacked(&bytes) } else { Ok(bytes) };
    let batch = batch.map_err(|problem| calling.problem(problem))?;
    let batch = String::from_utf8(batch).map_err(|_| calling.problem(invalid("", "the body is not UTF-8")))?;
    let kept = doors.commands.keep_decision_log(&calling.caller, &batch).await;
    kept.map(Accepted::done).map_err(|error| calling.problem(error))
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut batch = Vec::new();
    let unpacked = MultiGzDecoder::new(bytes).take(LARGEST + 1).read_to_end(&mut batch);
    unpacked.map_err(|error| invalid("", &format!("the body is not gzip: {error}")))?;
    if batch.len() as u64 > LARGEST {
        let detail = format!("the unpacked batch is larger than {LARGEST} bytes");
        return Err(Problem::new(ProblemType::TooLarge, detail).at(""));
    }
    Ok(batch)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The position after which to begin.
    #[serde(default)]
    after: Natural,
    /// Decisions at most.
    #[serde(default)]
    limit: Limit<1000, 5000>,
}

/// Export decisions as OPA's decision log
///
/// Those of the tenant, one JSON a line, masked as the bundle in force asks. `X-Next-After` is where the next page begins;
/// the last page has none.
#[utoipa::path(
    get, path = "/v1/decisions/export", operation_id = "export_decisions", tag = "Decisions",
    params(Parameters<Export>),
    responses(
        (status = 200, description = "Events, one a line.", body = String, content_type = "application/x-ndjson"),
        Query,
    ),
)]
pub async fn export(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(export): Parameters<Export>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let allowed = doors.commands.authorise_read(&calling.caller, "read.decisions", "decision", "").await;
    allowed.map_err(|error| calling.problem(error))?;
    let ledger = doors.commands.ledger();
    let mask = mask(&doors).await.map_err(|problem| calling.problem(problem))?;
    let tenant = &calling.caller.principal.tenant;
    let page = page(ledger, tenant, &export, &mask).await.map_err(|error| calling.problem(error))?;
    let wanted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let packed = wanted.is_some_and(|encodings| encodings.split(',').any(|one| one.trim().starts_with("gzip")));
    let mut response = if packed { pack(&page.lines) } else { page.lines }.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Some(next) = page.next {
        headers.insert("x-next-after", HeaderValue::from(next));
    }
    Ok(response)
}

async fn mask(doors: &Doors) -> Result<Mask, Problem> {
    let bundles = doors.commands.bundles().await?;
    let unknown =
        |detail: String| Problem::new(ProblemType::Unavailable, format!("the masks cannot be read: {detail}"));
    let active = bundles.active().ok_or_else(|| unknown("no bundle is active".to_owned()))?;
    let bundle = recordings::bundle(doors.commands.ledger(), active).await?;
    let bundle = bundle.ok_or_else(|| unknown(format!("the bundle {} is not whole", active.digest)))?;
    Mask::of(&bundle, MASKING).map_err(|error| unknown(error.to_string()))
}

struct Page {
    lines: Vec<u8>,
    next: Option<u64>,
}

async fn page(ledger: &Ledger, tenant: &Tenant, export: &Export, mask: &Mask) -> Result<Page, LedgerError> {
    let (mut lines, mut count, mut at) = (Vec::new(), 0, export.after.0);
    while at - export.after.0 < LOOKED_AT {
        let events = ledger.range(at, PAGE).await?;
        let ended = events.len() < PAGE as usize;
        for event in events {
            at = event.position;
            let Some(made) = decision(&event, tenant) else { continue };
            let input = input(ledger, &made).await?;
            let mut shown = opa_event::of(&event, &made, input.as_deref());
            mask.apply(&mut shown);
            lines.extend_from_slice(serde_json::Value::Object(shown).to_string().as_bytes());
            lines.push(b'\n');
            count += 1;
            if count >= export.limit.0 {
                return Ok(Page { lines, next: Some(at) });
            }
        }
        if ended {
            return Ok(Page { lines, next: None });
        }
    }
    Ok(Page { lines, next: Some(at) })
}

/// The decision an event is, whichever aggregate it is of: all record it alike.
fn decision(event: &Recorded, tenant: &Tenant) -> Option<Box<DecisionMade>> {
    if event.event_type != "DecisionMade" || event.tenant != *tenant {
        return None;
    }
    match read(&event.event_type, &event.event_version, &event.payload) {
        Ok(AccessEvent::DecisionMade(made)) => Some(made),
        Ok(AccessEvent::CommandRefused { .. } | AccessEvent::RequestsRefused { .. }) | Err(_) => None,
    }
}

async fn input(ledger: &Ledger, made: &DecisionMade) -> Result<Option<String>, LedgerError> {
    match &made.input.text {
        Some(text) => Ok(Some(text.clone())),
        None => recordings::blob(ledger, &made.input.digest).await,
    }
}

fn pack(lines: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let _written = packer.write_all(lines);
    packer.finish().unwrap_or_default()
}
