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
pub mod openapi;
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
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
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

/// All routes, as a service.
pub fn router(doors: Doors) -> Router {
    let governed = governed().layer(from_fn_with_state(doors.clone(), lawful));
    let (routes, _) = open().merge(governed).split_for_parts();
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(doors.clone())
        .layer(from_fn_with_state(Arc::new(Semaphore::new(AT_ONCE)), bounded))
        // Its calls take as long as tools do; it has bounds of its own.
        .merge(mcp::routes().layer(from_fn_with_state(doors.clone(), lawful)).with_state(doors))
        .layer(CatchPanicLayer::custom(panicked))
}

/// All routes, as they describe themselves.
pub fn described() -> utoipa::openapi::OpenApi {
    open().merge(governed()).into_openapi()
}

/// Routes that anybody may call.
fn open() -> OpenApiRouter<Doors> {
    OpenApiRouter::default()
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(errors::page))
        .routes(routes!(openapi::serve::document))
}

/// Routes behind the law. Each is routed by the description it carries: see `openapi`.
fn governed() -> OpenApiRouter<Doors> {
    OpenApiRouter::default()
        .routes(routes!(runs::start, runs::list))
        .routes(routes!(runs::read))
        .routes(routes!(list::events))
        .routes(routes!(list::decisions))
        .routes(routes!(stream::sse::events))
        .routes(routes!(stream::ws::events))
        .routes(routes!(runs::pause))
        .routes(routes!(runs::resume))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::complete))
        .routes(routes!(calls::propose))
        .routes(routes!(calls::start))
        .routes(routes!(calls::result))
        .routes(routes!(approvals::grant))
        .routes(routes!(approvals::refuse))
        .routes(routes!(tools::register, tools::list))
        .routes(routes!(upstreams::declare, upstreams::list))
        .routes(routes!(upstreams::discover))
        .routes(routes!(upstreams::withdraw))
        .routes(routes!(ledger::root))
        .routes(routes!(checkpoints::checkpoint))
        .routes(routes!(checkpoints::checkpoints))
        .routes(routes!(checkpoints::keys))
        .routes(routes!(tlog::checkpoint))
        .routes(routes!(tlog::tile))
        .routes(routes!(tlog::entries))
        .routes(routes!(ledger::inclusion))
        .routes(routes!(ledger::consistency))
        .routes(routes!(evidence::evidence))
        .routes(routes!(decision_logs::keep))
        .routes(routes!(decision_logs::export))
        .routes(routes!(bundles::publish, bundles::list))
        .routes(routes!(bundles::roll_back))
        .routes(routes!(bundles::show))
        .routes(routes!(bundles::activate))
        .routes(routes!(bundles::retire))
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
