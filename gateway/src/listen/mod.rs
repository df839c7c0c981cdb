//! The listener: connections within bounds, in the clear or by TLS, and their orderly end.

mod connection;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use connection::{Patient, Peer};
pub use tls::{TlsError, TlsFiles};

use crate::limits::{Drain, HEADERS, LimitOptions};

/// What one connection keeps of a request's head at most: more ends it with 431.
const HEAD_BYTES: usize = 64 * 1024;
/// Headers a head may have at most, before they are counted for the answer that says so.
const MOST_HEADERS: usize = 2 * HEADERS;

/// How connections are served.
pub struct Listening {
    pub listener: TcpListener,
    pub patient: Patient,
    pub tls: Option<(TlsFiles, RustlsConfig)>,
    pub limits: LimitOptions,
    pub drain: Drain,
}

/// Serves until `stop`: from then on requests are sent away, those under way are finished, and what is idle is closed.
pub async fn serve(listening: Listening, routes: Router, stop: CancellationToken) -> io::Result<()> {
    let Listening { listener, patient, tls, limits, drain } = listening;
    let (handle, patience) = (Handle::<SocketAddr>::new(), limits.drain);
    let mut server = axum_server::from_tcp(listener)?.handle(handle.clone());
    // The first head is not read by what reads the others: it has a time of its own.
    server = server.first_request_timeout(limits.head);
    server.http_builder().http1().header_read_timeout(limits.head).max_buf_size(HEAD_BYTES).max_headers(MOST_HEADERS);
    let ending = end(handle, drain, patience, stop.clone());
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    let Some((files, config)) = tls else {
        return tokio::join!(server.acceptor(patient).serve(routes), ending).0;
    };
    let acceptor = RustlsAcceptor::new(config.clone()).handshake_timeout(limits.head).acceptor(patient);
    let (served, (), followed) =
        tokio::join!(server.acceptor(acceptor).serve(routes), ending, files.follow(config, stop));
    served.and(followed)
}

/// Ends the connections after `stop`: first nothing new is begun, then what is under way ends, then what is idle is closed.
async fn end(handle: Handle<SocketAddr>, drain: Drain, patience: Duration, stop: CancellationToken) {
    stop.cancelled().await;
    let deadline = Instant::now() + patience;
    if !drain.empty(patience).await {
        tracing::warn!(drain_s = patience.as_secs(), "server.drain.late");
    }
    // Answers that are still being written, and streams that say goodbye, have what is left of the time, but some at least.
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
    handle.graceful_shutdown(Some(left));
}
