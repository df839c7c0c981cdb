//! REST under `/v1`: one file per resource, one function per route.

mod accepted;
mod approvals;
mod bundles;
mod calls;
mod checkpoints;
mod decision_logs;
mod errors;
mod evidence;
pub mod extract;
mod fork;
mod health;
mod keys;
pub(crate) mod ledger;
pub(crate) mod list;
mod memory;
pub mod openapi;
mod outcome;
pub(crate) mod query;
pub(crate) mod replays;
pub(crate) mod runs;
pub(crate) mod timeline;
mod tlog;
mod tools;
mod upstreams;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use xagent_commands::{Commands, Toolkit};
use xagent_ledger::Notary;
use xagent_policies::Trust;
use xagent_projections::{Bus, RunViews, Tables};

use crate::access::{Tally, Tokens, authenticate};
use crate::console;
use crate::limits::{Drain, Limits, sized, watched};
use crate::mcp::{self, Mcp};
use crate::problem::{Problem, ProblemType};
use crate::stream::{self, Streams};
use crate::telemetry;
use crate::trace::Trace;
use extract::{InFlight, Strict};

/// What every route can reach. It is cloned several times with every request, so that it is one pointer.
#[derive(Clone)]
pub struct Doors(Arc<Reach>);

impl Deref for Doors {
    type Target = Reach;

    fn deref(&self) -> &Reach {
        &self.0
    }
}

impl From<Reach> for Doors {
    fn from(reach: Reach) -> Self {
        Self(Arc::new(reach))
    }
}

/// What every route can reach.
pub struct Reach {
    /// Commands.
    pub commands: Commands,
    /// The view of runs.
    pub views: RunViews,
    /// The query tables.
    pub tables: Tables,
    /// NATS, for readiness.
    pub bus: Bus,
    /// What signs checkpoints.
    pub notary: Notary,
    /// What tokens are checked with.
    pub tokens: Arc<Tokens>,
    /// The record of who was refused.
    pub tally: Tally,
    /// What a caller may ask for.
    pub limits: Arc<Limits>,
    /// What is under way.
    pub drain: Drain,
    /// Whose signatures on bundles are believed.
    pub bundle_trust: Trust,
    /// Live streams.
    pub streams: Streams,
    /// Commands that are being carried out.
    pub in_flight: InFlight,
    /// What the built-in tools work with.
    pub kit: Toolkit,
    /// The MCP door.
    pub mcp: Mcp,
}

/// All routes, as a service.
pub fn router(doors: Doors) -> Router {
    let strict = from_fn_with_state(Strict::new(&described()), Strict::layer);
    let governed = governed()
        .layer(strict.clone())
        .layer(from_fn_with_state(doors.clone(), lawful))
        .layer(from_fn_with_state(doors.clone(), authenticate));
    let (limits, drain) = (doors.limits.clone(), doors.drain.clone());
    // Its calls take as long as tools do; it has bounds of its own.
    let mcp = mcp::routes()
        .layer(from_fn_with_state(doors.clone(), lawful))
        .layer(from_fn_with_state(doors.clone(), authenticate))
        .with_state(doors.clone());
    let console = console::routes(&doors);
    let (routes, _) = open().layer(strict).merge(governed).split_for_parts();
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(doors)
        .layer(from_fn_with_state(limits, timed))
        .merge(mcp)
        .merge(console)
        .layer(from_fn(telemetry::traced))
        .layer(from_fn(sized))
        .layer(from_fn_with_state(drain, watched))
        .layer(from_fn(telemetry::counted))
        .layer(CatchPanicLayer::custom(panicked))
}

/// Health alone, for a server that serves nobody.
pub fn health_only(doors: Doors) -> Router {
    let (limits, drain) = (doors.limits.clone(), doors.drain.clone());
    OpenApiRouter::default()
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .split_for_parts()
        .0
        .fallback(no_route)
        .with_state(doors)
        .layer(from_fn_with_state(limits, timed))
        .layer(from_fn(sized))
        .layer(from_fn_with_state(drain, watched))
        .layer(from_fn(telemetry::counted))
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
        .routes(routes!(openapi::page::docs))
}

/// Routes behind the law. Each is routed by the description it carries: see `openapi`.
fn governed() -> OpenApiRouter<Doors> {
    OpenApiRouter::default()
        .routes(routes!(runs::start))
        .merge(queries())
        .routes(routes!(runs::read))
        .routes(routes!(memory::memory))
        .routes(routes!(timeline::diff))
        .routes(routes!(timeline::compare))
        .routes(routes!(fork::fork))
        .routes(routes!(list::events))
        .routes(routes!(list::decisions))
        .routes(routes!(stream::sse::events))
        .routes(routes!(stream::ws::events))
        .routes(routes!(runs::pause))
        .routes(routes!(runs::resume))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::complete))
        .routes(routes!(calls::propose))
        .routes(routes!(calls::read))
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
        .routes(routes!(replays::record, replays::list))
        .routes(routes!(keys::issue, keys::list))
        .routes(routes!(keys::revoke))
}

/// Lists, compressed for whoever takes that.
fn queries() -> OpenApiRouter<Doors> {
    OpenApiRouter::default()
        .routes(routes!(query::runs))
        .routes(routes!(query::goals))
        .routes(routes!(query::decisions))
        .routes(routes!(query::tool_calls))
        .routes(routes!(query::approvals))
        .routes(routes!(query::usage))
        .routes(routes!(query::switches))
        .routes(routes!(query::events::events))
        .routes(routes!(query::views::views))
        .routes(routes!(query::overview::overview))
        .layer(CompressionLayer::new())
}

/// Before the law is loaded nothing can be decided, so nothing is asked.
pub(crate) async fn lawful(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    if doors.commands.executor().law().active().is_some() {
        return next.run(request).await;
    }
    Problem::new(ProblemType::Starting, "the policy bundle in force is not loaded yet")
        .traced(&trace(&request))
        .into_response()
}

/// Bounds requests in time.
pub(crate) async fn timed(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    let (trace, longest) = (trace(&request), limits.options.request);
    tokio::time::timeout(longest, next.run(request)).await.unwrap_or_else(|_| {
        let detail = format!("the request took longer than {} s; what became of it is not known", longest.as_secs());
        Problem::new(ProblemType::Unavailable, detail).traced(&trace).into_response()
    })
}

async fn no_route(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    let problem = Problem::new(ProblemType::NotFound, format!("there is no route {path}"));
    problem.remedied("`GET /openapi.json` describes all routes, `/docs` shows them").traced(&trace(&request))
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
