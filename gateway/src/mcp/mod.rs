//! `POST /mcp`: the tools of the caller's tenant as an MCP server over streamable HTTP, without sessions. Every list and
//! every call goes through the law and into the record.
//!
//! The protocol is rmcp's; what a call is, whose run it joins and how a refusal reads is decided here.

mod call;
mod door;
mod list;
mod remedy;
mod runs;
mod said;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use xagent_commands::Commands;

use crate::problem::{Problem, ProblemType};
use crate::rest::Doors;
use crate::rest::extract::{Calling, LARGEST_BODY, header, read};
use door::Door;
use runs::Runs;

/// Requests carried out at once; more are sent away with `Retry-After`.
const AT_ONCE: usize = 256;

/// Bounds of the MCP door.
#[derive(Clone, Debug)]
pub struct McpOptions {
    /// Web origins that may call it; other callers that name an origin are refused.
    pub origins: Vec<String>,
    /// How long an outcome is waited for.
    pub patience: Duration,
    /// How long a run that was opened for a client may be idle before it is closed.
    pub idle: Duration,
}

/// The MCP door. Cheap to clone.
#[derive(Clone)]
pub struct Mcp {
    door: Door,
    config: StreamableHttpServerConfig,
    runs: Runs,
    slots: Arc<Semaphore>,
}

impl Mcp {
    /// Over the commands; `stop` ends what is waited for.
    pub fn new(commands: Commands, options: McpOptions, stop: CancellationToken) -> Self {
        // A reverse proxy decides under which hosts this is reached, and every request carries a token.
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_max_request_body_bytes(LARGEST_BODY)
            .disable_allowed_hosts()
            .with_allowed_origins(options.origins)
            .enforce_origin_validation();
        let runs = Runs::new(commands.clone(), options.idle);
        let door = Door { commands, runs: runs.clone(), patience: options.patience, stop, called: None };
        Self { door, config, runs, slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Closes idle runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        self.runs.close_idle(stop).await;
    }
}

/// The route.
pub fn routes() -> Router<Doors> {
    Router::new().route("/mcp", any(serve))
}

/// `POST /mcp`. Other methods belong to sessions, which there are none of.
async fn serve(State(doors): State<Doors>, calling: Calling, request: Request) -> Response {
    let Ok(_slot) = doors.mcp.slots.try_acquire() else {
        let detail = format!("{AT_ONCE} MCP requests are being carried out; try again");
        return calling.problem(Problem::new(ProblemType::Unavailable, detail)).into_response();
    };
    let mut request = match whole(request, doors.limits.options.request).await {
        Ok(request) => request,
        Err(problem) => return calling.problem(problem).into_response(),
    };
    let mut door = doors.mcp.door.clone();
    // The protocol's layer compares headers with the called tool's schema, and cannot wait for it.
    if let Some(name) = header(request.headers(), "mcp-name") {
        let called = doors.commands.catalog().registration(&calling.caller.principal.tenant, name).await;
        match called {
            Ok(called) => door.called = called.as_ref().map(list::shown),
            Err(error) => return calling.problem(error).into_response(),
        }
    }
    request.extensions_mut().insert(calling.caller);
    let sessions = Arc::new(NeverSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(door.clone()), sessions, doors.mcp.config.clone());
    service.handle(request).await.into_response()
}

/// The request with all of its body, which may take `longest` to come.
async fn whole(request: Request, longest: Duration) -> Result<Request, Problem> {
    let (head, body) = request.into_parts();
    let late = |_| {
        let detail = format!("the body took longer than {} s; nothing was done", longest.as_secs());
        Problem::new(ProblemType::Unavailable, detail)
    };
    let bytes = tokio::time::timeout(longest, read(body, LARGEST_BODY)).await.map_err(late)??;
    Ok(Request::from_parts(head, bytes.into()))
}
