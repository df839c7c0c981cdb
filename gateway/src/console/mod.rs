//! The web console under `/console`: pages for people, rendered here, with nothing from elsewhere and no build step.
//!
//! `rest` puts its routes beside its own. Whoever looks is let in by the same door as at the API (its cookie holds the same
//! credential), asks the same functions, and is decided on and recorded the same way: there is no second way to any of it.

mod approvals;
mod assets;
mod decisions;
mod door;
mod filters;
mod form;
mod layout;
mod ledger;
mod parts;
mod problem;
mod run;
mod runs;
mod sign_in;
mod site;
mod what_if;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;

use crate::access::authenticate;
use crate::problem::{Problem, ProblemType};
use crate::rest::{Doors, lawful, timed};
use crate::stream;

/// All pages, as a service.
pub fn routes(doors: &Doors) -> Router {
    governed(doors)
        .merge(signing_in(doors))
        .merge(open())
        .layer(from_fn_with_state(doors.clone(), site::own))
        .layer(CompressionLayer::new())
        .with_state(doors.clone())
        .layer(from_fn_with_state(doors.limits.clone(), timed))
        .layer(from_fn(door::paged))
}

/// Pages behind the law.
fn governed(doors: &Doors) -> Router<Doors> {
    Router::new()
        .route("/console", get(async || Redirect::to("/console/runs")))
        .route("/console/runs", get(runs::list))
        .route("/console/runs/{run}", get(run::page))
        .route("/console/decisions", get(decisions::list))
        .route("/console/decisions/{decision}", get(decisions::page))
        .route("/console/approvals", get(approvals::inbox))
        .route("/console/approvals/{approval}/grant", post(approvals::grant))
        .route("/console/approvals/{approval}/refuse", post(approvals::refuse))
        .route("/console/what-if", get(what_if::list))
        .route("/console/what-if/{sequence}", get(what_if::page))
        .route("/console/ledger", get(ledger::page))
        .route("/console/stream", get(stream::sse::events))
        .layer(from_fn(door::knowing))
        .layer(from_fn_with_state(doors.clone(), lawful))
        .layer(from_fn_with_state(doors.clone(), authenticate))
        .layer(from_fn(door::by_cookie))
}

/// The same door, for a credential that comes by a form.
fn signing_in(doors: &Doors) -> Router<Doors> {
    Router::new()
        .route(sign_in::PATH, post(sign_in::enter))
        .layer(from_fn_with_state(doors.clone(), authenticate))
        .layer(from_fn(sign_in::by_form))
}

/// What anybody may see.
fn open() -> Router<Doors> {
    Router::new()
        .route(sign_in::PATH, get(sign_in::page))
        .route("/console/sign-out", post(sign_in::leave))
        .route("/console/assets/{name}", get(assets::asset))
        .route("/console/{*rest}", get(async || Problem::new(ProblemType::NotFound, "there is no such page")))
}
