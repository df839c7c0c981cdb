//! The log: JSON lines, each with the ids of the trace and the span it belongs to; and the spans themselves, for whoever
//! follows them.

use json_subscriber::JsonLayer;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, FilterFn, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::traces::Traces;

/// What is logged unless XAGENT_LOG says otherwise.
const USUAL: &str = "warn,xagent_gateway=info,xagent_commands=info";

/// What is told of a running process, until it ends.
pub struct Telemetry(Traces);

impl Telemetry {
    /// Logs to `writer` what XAGENT_LOG lets through, and sends spans where the environment says. Once in a process.
    pub fn begin<W>(writer: W) -> Result<Self, String>
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let traces = Traces::begin()?;
        let wanted = EnvFilter::try_from_env("XAGENT_LOG").unwrap_or_else(|_| EnvFilter::new(USUAL));
        // Spans are there whatever is logged: their ids belong to every line in them.
        let lines = lines(writer).with_filter(wanted.or(our_spans()));
        let spans = tracing_opentelemetry::layer()
            .with_tracer(traces.tracer())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(our_spans());
        tracing_subscriber::registry().with(spans).with(lines).try_init().map_err(|error| error.to_string())?;
        Ok(Self(traces))
    }

    /// Sends what is left, for a few seconds at most.
    pub async fn end(self) {
        let Self(traces) = self;
        // A thread that broke off has nothing left to send.
        drop(tokio::task::spawn_blocking(|| traces.end()).await);
    }
}

/// Our own spans, and no events: what is said in a span is for the log alone.
fn our_spans() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    fn is_ours(metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && *metadata.level() <= Level::INFO && metadata.target().starts_with("xagent")
    }
    filter_fn(is_ours as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::INFO)
}

fn lines<W, S>(writer: W) -> JsonLayer<S, W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let mut lines = JsonLayer::new(writer);
    lines.with_timer("timestamp", SystemTime);
    lines.with_level("level");
    lines.with_target("target");
    lines.with_event("fields");
    lines.with_current_span("span");
    lines.with_span_list("spans");
    lines.add_multiple_dynamic_fields(|event, context, writer| {
        if let Some((trace, span)) = ids(event, context) {
            // A line without its ids is still a line.
            drop(writer.write_field("trace_id", trace));
            drop(writer.write_field("span_id", span));
        }
    });
    lines
}

/// The ids of the span an event is in.
fn ids<S>(event: &Event<'_>, context: &Context<'_, S>) -> Option<(String, String)>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    use opentelemetry::trace::TraceContextExt;
    let span = context.event_span(event)?.id();
    let context = tracing::dispatcher::get_default(|all| tracing_opentelemetry::get_otel_context(&span, all))?;
    let of = context.span().span_context().clone();
    of.is_valid().then(|| (of.trace_id().to_string(), of.span_id().to_string()))
}
