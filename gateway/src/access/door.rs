//! The one way in: who calls is known, is within their bounds, or is refused and recorded.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use xagent_domain::Tenant;

use super::{API_KEY, Known, Refusal, Refused, Remote, Why, known};
use crate::limits::{Turned, admit};
use crate::problem::{Problem, ProblemType};
use crate::rest::Doors;
use crate::telemetry;
use crate::trace::Trace;

/// Lets in who is known and within their bounds. Every route that is not public is behind it.
pub async fn authenticate(State(doors): State<Doors>, mut request: Request, next: Next) -> Response {
    let place = Place::of(&request);
    let known = match known(&doors.tokens, &doors.commands, request.headers()).await {
        Ok(known) => known,
        Err(refused) => return refuse(&doors, &place, &refused, None).await,
    };
    let admitted = match admit(&doors.limits, &known.principal).await {
        Ok(admitted) => admitted,
        Err(Turned::Busy) => return busy(&doors, &place),
        Err(Turned::Away { refused, standing, retry_s }) => {
            let mut response = refuse(&doors, &place, &refused, Some(&known)).await;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_s));
            if let Some(standing) = standing {
                standing.write(response.headers_mut());
            }
            return response;
        }
    };
    request.extensions_mut().insert::<Known>(known.clone());
    let mut response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        // Whoever tries names that are not theirs is seen trying.
        let refused = Refused::new(Why::NotFound, "");
        response = record(&doors, &place, &refused, Some(&known), response).await;
    }
    if let Some(standing) = admitted.standing {
        standing.write(response.headers_mut());
    }
    drop(admitted.slot);
    response
}

/// Refuses what a page of another site sent, whoever it says it is for.
pub async fn refuse_cross_site(doors: &Doors, request: Request) -> Response {
    let place = Place::of(&request);
    drop(request);
    let detail = "the browser says that a page of another site sent this, or does not say which page did";
    refuse(doors, &place, &Refused::new(Why::CrossSite, detail), None).await
}

async fn refuse(doors: &Doors, place: &Place, refused: &Refused, known: Option<&Known>) -> Response {
    let answer = Problem::from(refused).traced(&place.trace).into_response();
    record(doors, place, refused, known, answer).await
}

/// The answer once the refusal is in the record. What is not there is not told as a refusal: whoever is told so can rely
/// on its being there.
async fn record(doors: &Doors, place: &Place, refused: &Refused, known: Option<&Known>, answer: Response) -> Response {
    telemetry::refused(refused.why.code());
    let principal = known.map(|known| &known.principal);
    let refusal = Refusal {
        tenant: principal.map_or_else(Tenant::default_tenant, |who| who.tenant.clone()),
        why: refused.why,
        credential: place.credential,
        kid: refused.kid.clone(),
        principal: principal.map(|who| who.id.clone()),
        method: place.method.to_owned(),
        route: place.route.clone(),
        remote: place.remote,
        at_us: doors.commands.executor().now_us(),
        trace_id: place.trace.id().to_owned(),
    };
    if doors.tally.record(refusal).await.is_ok() {
        return answer;
    }
    let detail = "the request is refused, and that cannot be recorded right now: try again";
    Problem::new(ProblemType::Unavailable, detail).traced(&place.trace).into_response()
}

/// What is recorded of a request, whatever becomes of it.
struct Place {
    credential: &'static str,
    method: &'static str,
    route: String,
    remote: Remote,
    trace: Trace,
}

impl Place {
    fn of(request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str);
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self {
            credential: kind(request.headers()),
            method: method(request),
            route: route.to_owned(),
            remote: peer.map_or(Remote::Public, |ConnectInfo(peer)| Remote::of(peer.ip())),
            trace: trace(request),
        }
    }
}

/// A method of our own, or none: anybody may send any word.
fn method(request: &Request) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known.into_iter().find(|name| *name == request.method().as_str()).unwrap_or("OTHER")
}

/// What kind of credential came, by its first characters.
fn kind(headers: &HeaderMap) -> &'static str {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return "none" };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, credential)) if scheme.eq_ignore_ascii_case("bearer") => {
            if credential.trim_start().starts_with(API_KEY) { "api_key" } else { "token" }
        }
        _ => "other",
    }
}

fn busy(doors: &Doors, place: &Place) -> Response {
    let detail = format!("{} requests are being carried out; try again", doors.limits.options.requests);
    Problem::new(ProblemType::Unavailable, detail).traced(&place.trace).into_response()
}

fn trace(request: &Request) -> Trace {
    Trace::of(request.headers().get("traceparent").and_then(|value| value.to_str().ok()))
}
