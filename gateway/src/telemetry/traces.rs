//! Spans on their way to an OTLP receiver, as the standard environment variables say (OpenTelemetry specification, "OTLP
//! exporter configuration"). Where no receiver is named, spans have ids and go nowhere.
//!
//! The queue is bounded, and what does not fit is dropped: no request waits for a receiver.

use std::env;
use std::sync::Arc;

use metrics::{counter, describe_counter};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter as Otlp, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Handle;

/// What the service is called unless OTEL_SERVICE_NAME says otherwise.
const SERVICE: &str = "xagent";
const EXPORTED: &str = "xagent_spans_exported_total";

/// Where spans go.
pub(super) struct Traces(SdkTracerProvider);

/// An exporter whose work is done by the runtime of the server, and counted.
#[derive(Debug)]
struct Counted {
    otlp: Arc<Otlp>,
    runtime: Handle,
}

pub(super) fn describe() {
    describe_counter!(EXPORTED, "Spans sent to the OTLP receiver, by outcome: sent or failed");
}

impl Traces {
    /// From the environment.
    pub fn begin() -> Result<Self, String> {
        let builder = SdkTracerProvider::builder();
        if !is_wanted() {
            return Ok(Self(builder.with_sampler(Sampler::AlwaysOff).build()));
        }
        let exporter = Counted { otlp: Arc::new(otlp()?), runtime: Handle::current() };
        Ok(Self(builder.with_resource(resource()).with_batch_exporter(exporter).build()))
    }

    pub fn tracer(&self) -> SdkTracer {
        self.0.tracer(SERVICE)
    }

    /// Sends what is left. Blocks for a bounded time.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(error = %error, "telemetry.spans.left");
        }
    }
}

fn is_wanted() -> bool {
    let is_off = said("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || said("OTEL_TRACES_EXPORTER").is_some_and(|value| value.eq_ignore_ascii_case("none"));
    let endpoint = said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| said("OTEL_EXPORTER_OTLP_ENDPOINT"));
    endpoint.is_some() && !is_off
}

/// A variable that is set to something: an empty one counts as unset, as the specification asks.
fn said(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

/// The exporter reads the other variables itself: endpoint, headers, timeout, compression.
fn otlp() -> Result<Otlp, String> {
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
    let protocol = said("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| said(PROTOCOL));
    let built = match protocol.as_deref() {
        None | Some("http/protobuf") => Otlp::builder().with_http().with_protocol(Protocol::HttpBinary).build(),
        Some("grpc") => Otlp::builder().with_tonic().build(),
        Some(other) => return Err(format!("{PROTOCOL}: `{other}` is neither `grpc` nor `http/protobuf`")),
    };
    built.map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))
}

fn resource() -> Resource {
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    let is_named = said("OTEL_SERVICE_NAME").is_some()
        || said("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| attributes.contains("service.name="));
    if is_named { builder.build() } else { builder.with_service_name(SERVICE).build() }
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (otlp, spans) = (self.otlp.clone(), batch.len() as u64);
        // The thread that calls this has no runtime, which timers and sockets need.
        let sent = self.runtime.spawn(async move { otlp.export(batch).await }).await;
        let sent = sent.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        let outcome = if sent.is_ok() { "sent" } else { "failed" };
        counter!(EXPORTED, "outcome" => outcome).increment(spans);
        if let Err(error) = &sent {
            tracing::warn!(error = %error, spans, "telemetry.spans.lost");
        }
        sent
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(otlp) = Arc::get_mut(&mut self.otlp) {
            otlp.set_resource(resource);
        }
    }
}
