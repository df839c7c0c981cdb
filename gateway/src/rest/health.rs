//! Health: whether the process lives, and whether it can do its work.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::Doors;
use super::openapi::{Open, Shown, Unready};

/// Something the server works with.
#[derive(Serialize, JsonSchema)]
struct Dependency {
    ready: bool,
    /// Whether commands need it; without the others the server still works.
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Whether the server can do its work.
#[derive(Serialize, JsonSchema)]
pub struct Readiness {
    ready: bool,
    ledger: Dependency,
    law: Dependency,
    nats: Dependency,
    redis: Dependency,
}

/// Whether the process lives
#[utoipa::path(
    get, path = "/livez", operation_id = "livez", tag = "Service", security(()),
    responses((status = 200, description = "It answers.", body = String, content_type = "text/plain"), Open),
)]
pub async fn livez() -> &'static str {
    "ok\n"
}

/// Whether the server can do its work
///
/// Each dependency with its reason; 503 where a required one is missing.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "Service", security(()),
    responses(Shown<Readiness>, Unready),
)]
pub async fn readyz(State(doors): State<Doors>) -> Response {
    let (ledger, redis) = tokio::join!(doors.commands.ledger().ping(), doors.views.ping());
    let law = doors.commands.executor().law().active().is_some();
    let nats = doors.bus.is_connected();
    let ready = ledger.is_ok() && law;
    let readiness = Readiness {
        ready,
        ledger: dependency(true, ledger.err().map(|error| error.to_string())),
        law: dependency(true, (!law).then(|| "the policy bundle in force is not loaded".to_owned())),
        nats: dependency(false, (!nats).then(|| "not connected".to_owned())),
        redis: dependency(false, redis.err().map(|error| error.to_string())),
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

fn dependency(required: bool, reason: Option<String>) -> Dependency {
    Dependency { ready: reason.is_none(), required, reason }
}
