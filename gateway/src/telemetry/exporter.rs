//! `/metrics` in Prometheus' text format, at an address of its own: it is for operators, and asks for no token.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Bounds of histograms of seconds: from a decision (under a millisecond) to a tool that takes its time.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Bounds of histograms of counts.
const COUNTS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// How often histograms are drained while nobody reads them, which bounds what they hold.
const UPKEEP: Duration = Duration::from_secs(5);
/// Prometheus' text format, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where what was measured can be read.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Begins to measure. Once in a process.
    pub fn begin() -> Result<Self, String> {
        let text = |error: metrics_exporter_prometheus::BuildError| error.to_string();
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_commands".to_owned()), &COUNTS));
        let handle = builder.map_err(text)?.install_recorder().map_err(text)?;
        super::describe();
        Ok(Self(handle))
    }
}

/// Serves what was measured.
pub struct Exporter {
    /// Where it listens.
    pub address: SocketAddr,
    listener: TcpListener,
    metrics: Metrics,
}

impl Exporter {
    /// Listens; port 0 takes a free one.
    pub async fn bind(address: SocketAddr, metrics: Metrics) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { address: listener.local_addr()?, listener, metrics })
    }

    /// Serves until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Metrics(handle) = self.metrics;
        let shown = handle.clone();
        let routes = Router::new().route("/metrics", get(async move || ([(CONTENT_TYPE, TEXT)], shown.render())));
        let upkeep = async {
            let mut tick = tokio::time::interval(UPKEEP);
            loop {
                tick.tick().await;
                handle.run_upkeep();
            }
        };
        let served = axum::serve(self.listener, routes).with_graceful_shutdown(stop.cancelled_owned());
        tokio::select! {
            served = served.into_future() => if let Err(error) = served {
                tracing::error!(error = %error, "metrics.failed");
            },
            () = upkeep => {}
        }
    }
}
