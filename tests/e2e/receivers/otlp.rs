//! An OTLP receiver of traces and logs: gRPC, or HTTP with protobuf.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

const PROTOBUF: &str = "application/x-protobuf";

/// A span as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub service: String,
    pub name: String,
    pub trace: String,
    pub span: String,
    pub parent: String,
    pub attributes: BTreeMap<String, String>,
    /// Events in the span, by name.
    pub events: Vec<String>,
}

#[derive(Clone, Default)]
struct Inbox {
    spans: Arc<Mutex<Vec<Seen>>>,
    logs: Arc<Mutex<Vec<LogRecord>>>,
}

pub struct OtlpReceiver {
    address: SocketAddr,
    inbox: Inbox,
}

impl OtlpReceiver {
    /// Over HTTP, at `/v1/traces` and `/v1/logs`.
    pub async fn http() -> Self {
        let (inbox, listener) = (Inbox::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/v1/traces", post(traces)).route("/v1/logs", post(logs));
        let routes = routes.with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, inbox }
    }

    /// Over gRPC.
    pub async fn grpc() -> Self {
        let (inbox, listener) = (Inbox::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let service = TraceServiceServer::new(inbox.clone());
        let served = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(async move { served.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap() });
        Self { address, inbox }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans of a trace.
    pub fn trace(&self, trace: &str) -> Vec<Seen> {
        self.spans().into_iter().filter(|span| span.trace == trace).collect()
    }

    pub fn spans(&self) -> Vec<Seen> {
        self.inbox.spans.lock().unwrap().clone()
    }

    pub fn logs(&self) -> Vec<LogRecord> {
        self.inbox.logs.lock().unwrap().clone()
    }
}

impl Inbox {
    fn take(&self, request: ExportTraceServiceRequest) {
        let mut spans = self.spans.lock().unwrap();
        for of_resource in request.resource_spans {
            let about = attributes(&of_resource.resource.unwrap().attributes);
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Seen {
                    service: about["service.name"].clone(),
                    name: span.name,
                    trace: hex(&span.trace_id),
                    span: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    attributes: attributes(&span.attributes),
                    events: span.events.into_iter().map(|event| event.name).collect(),
                });
            }
        }
    }
}

#[tonic::async_trait]
impl TraceService for Inbox {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.take(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn traces(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(request) = decoded::<ExportTraceServiceRequest>(&headers, body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    inbox.take(request);
    ([(CONTENT_TYPE, PROTOBUF)], ExportTraceServiceResponse::default().encode_to_vec()).into_response()
}

async fn logs(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(request) = decoded::<ExportLogsServiceRequest>(&headers, body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    inbox.logs.lock().unwrap().extend(scopes.flat_map(|scope| scope.log_records));
    ([(CONTENT_TYPE, PROTOBUF)], ExportLogsServiceResponse::default().encode_to_vec()).into_response()
}

fn decoded<M: Message + Default>(headers: &HeaderMap, body: Bytes) -> Option<M> {
    (headers.get(CONTENT_TYPE)? == PROTOBUF).then(|| M::decode(body).ok())?
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.as_ref().map(text_of).unwrap_or_default())).collect()
}

/// A value as a text.
pub fn text_of(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
