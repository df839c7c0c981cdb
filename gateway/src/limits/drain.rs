//! How a server stops: what is under way is finished, what comes is sent away with a word, and nothing is cut off before its
//! time is over.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::problem::{Problem, ProblemType};
use crate::trace::Trace;

/// Requests under way, and whether new ones are still taken. Cheap to clone.
#[derive(Clone)]
pub struct Drain {
    under_way: Arc<watch::Sender<usize>>,
    stop: CancellationToken,
}

/// A request under way.
struct UnderWay(Arc<watch::Sender<usize>>);

impl Drain {
    /// New requests are sent away once `stop` is cancelled.
    pub fn new(stop: CancellationToken) -> Self {
        Self { under_way: Arc::new(watch::Sender::new(0)), stop }
    }

    /// Whether the server is stopping.
    pub fn is_draining(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits until nothing is under way, for at most `patience`; true where that came to be.
    pub async fn empty(&self, patience: Duration) -> bool {
        let mut under_way = self.under_way.subscribe();
        tokio::time::timeout(patience, under_way.wait_for(|count| *count == 0)).await.is_ok()
    }

    fn enter(&self) -> UnderWay {
        self.under_way.send_modify(|count| *count += 1);
        UnderWay(self.under_way.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Counts a request until its answer begins; sends it away while the server stops.
pub async fn watched(State(drain): State<Drain>, request: Request, next: Next) -> Response {
    let _under_way = drain.enter();
    let mut response = if drain.is_draining() && request.uri().path() != "/livez" {
        let trace = Trace::of(request.headers().get("traceparent").and_then(|value| value.to_str().ok()));
        let detail = "the server is stopping; nothing was done: try again, at another one";
        Problem::new(ProblemType::Unavailable, detail).traced(&trace).into_response()
    } else {
        next.run(request).await
    };
    if drain.is_draining() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
