//! REST under `/v1`: one file per resource, one function per route.

mod approvals;
mod bundles;
mod calls;
mod checkpoints;
mod decision_logs;
mod errors;
mod evidence;
pub mod extract;
mod health;
mod ledger;
mod list;
mod runs;
mod tlog;
mod tools;
mod upstreams;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use xagent_commands::Commands;
use xagent_ledger::Notary;
use xagent_policies::Trust;
use xagent_projections::{Bus, RunViews};

use crate::access::Secret;
use crate::mcp::{self, Mcp};
use crate::problem::{Problem, ProblemType};
use crate::stream::{self, Streams};
use crate::trace::Trace;

/// No request takes longer.
const REQUEST: Duration = Duration::from_secs(15);
/// Requests carried out at once; more are sent away with `Retry-After`.
const AT_ONCE: usize = 512;

/// What every route can reach.
#[derive(Clone)]
pub struct Doors {
    /// Commands.
    pub commands: Commands,
    /// The view of runs.
    pub views: RunViews,
    /// NATS, for readiness.
    pub bus: Bus,
    /// What signs checkpoints.
    pub notary: Notary,
    /// What tokens are signed with.
    pub secret: Arc<Secret>,
    /// Whose signatures on bundles are believed.
    pub bundle_trust: Trust,
    /// Live streams.
    pub streams: Streams,
    /// The MCP door.
    pub mcp: Mcp,
}

/// All routes.
pub fn router(doors: Doors) -> Router {
    let governed = Router::new()
        .route("/v1/runs", post(runs::start).get(runs::list))
        .route("/v1/runs/{run}", get(runs::read))
        .route("/v1/runs/{run}/events", get(list::events))
        .route("/v1/runs/{run}/decisions", get(list::decisions))
        .route("/v1/events/stream", get(stream::sse::events))
        .route("/v1/ws", get(stream::ws::events))
        .route("/v1/runs/{run}/pause", post(runs::pause))
        .route("/v1/runs/{run}/resume", post(runs::resume))
        .route("/v1/runs/{run}/cancel", post(runs::cancel))
        .route("/v1/runs/{run}/complete", post(runs::complete))
        .route("/v1/runs/{run}/tool-calls", post(calls::propose))
        .route("/v1/runs/{run}/tool-calls/{call}/start", post(calls::start))
        .route("/v1/runs/{run}/tool-calls/{call}/result", post(calls::result))
        .route("/v1/approvals/{approval}/grant", post(approvals::grant))
        .route("/v1/approvals/{approval}/refuse", post(approvals::refuse))
        .route("/v1/tools", post(tools::register).get(tools::list))
        .route("/v1/upstreams", post(upstreams::declare).get(upstreams::list))
        .route("/v1/upstreams/{upstream}/discover", post(upstreams::discover))
        .route("/v1/upstreams/{upstream}/withdraw", post(upstreams::withdraw))
        .route("/v1/ledger/root", get(ledger::root))
        .route("/v1/ledger/checkpoint", get(checkpoints::checkpoint))
        .route("/v1/ledger/checkpoints", get(checkpoints::checkpoints))
        .route("/v1/ledger/keys", get(checkpoints::keys))
        .route("/v1/ledger/tlog/checkpoint", get(tlog::checkpoint))
        .route("/v1/ledger/tlog/tile/{*tile}", get(tlog::tile))
        .route("/v1/ledger/tlog/tile/entries/{*bundle}", get(tlog::entries))
        .route("/v1/ledger/proof", get(ledger::inclusion))
        .route("/v1/ledger/consistency", get(ledger::consistency))
        .route("/v1/evidence", get(evidence::evidence))
        .route("/logs", post(decision_logs::keep))
        .route("/v1/decisions/export", get(decision_logs::export))
        .route("/v1/bundles", post(bundles::publish).get(bundles::list))
        .route("/v1/bundles/rollback", post(bundles::roll_back))
        .route("/v1/bundles/{digest}", get(bundles::show))
        .route("/v1/bundles/{digest}/activate", post(bundles::activate))
        .route("/v1/bundles/{digest}/retire", post(bundles::retire))
        .layer(from_fn_with_state(doors.clone(), lawful));
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/errors/{code}", get(errors::page))
        .merge(governed)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(doors.clone())
        .layer(from_fn_with_state(Arc::new(Semaphore::new(AT_ONCE)), bounded))
        // Its calls take as long as tools do; it has bounds of its own.
        .merge(mcp::routes().layer(from_fn_with_state(doors.clone(), lawful)).with_state(doors))
        .layer(CatchPanicLayer::custom(panicked))
}

/// Before the law is loaded nothing can be decided, so nothing is asked.
async fn lawful(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    if doors.commands.executor().law().active().is_some() {
        return next.run(request).await;
    }
    Problem::new(ProblemType::Starting, "the policy bundle in force is not loaded yet")
        .traced(&trace(&request))
        .into_response()
}

/// Bounds requests in number and time.
async fn bounded(State(slots): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let trace = trace(&request);
    let Ok(_slot) = slots.try_acquire() else {
        let detail = format!("{AT_ONCE} requests are being carried out; try again");
        return Problem::new(ProblemType::Unavailable, detail).traced(&trace).into_response();
    };
    tokio::time::timeout(REQUEST, next.run(request)).await.unwrap_or_else(|_| {
        let detail = format!("the request took longer than {} s; what became of it is not known", REQUEST.as_secs());
        Problem::new(ProblemType::Unavailable, detail).traced(&trace).into_response()
    })
}

async fn no_route(request: Request) -> Problem {
    Problem::new(ProblemType::NotFound, format!("there is no route {}", request.uri().path())).traced(&trace(&request))
}

async fn no_method(request: Request) -> Problem {
    let detail = format!("{} is not a method of {}", request.method(), request.uri().path());
    Problem::new(ProblemType::MethodNotAllowed, detail).traced(&trace(&request))
}

fn trace(request: &Request) -> Trace {
    Trace::of(request.headers().get("traceparent").and_then(|value| value.to_str().ok()))
}

fn panicked(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = message.unwrap_or("?"), "request.panicked");
    Problem::new(ProblemType::Internal, "this is a fault of the server; its log has the details").into_response()
}
