//! The trail as OTLP logs over HTTP, protobuf (OTLP 1.x, `POST /v1/logs`): each entry a log record, its line the body.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use url::Url;

use super::entry::Entry;
use super::level::Level;
use super::loki::{client, judged};
use super::target::{AuditError, Sent, Target};

const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(15);
/// A longer answer is not one of this protocol.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// An OTLP receiver of logs as a target of the audit trail.
pub struct OtlpLogs {
    http: Client,
    url: Url,
    service: String,
}

impl OtlpLogs {
    /// At its whole address, for example `http://alloy:4318/v1/logs`, as the service `service`.
    pub fn new(url: &str, service: String) -> Result<Self, AuditError> {
        let expected = "the address of an OTLP receiver of logs is expected like http://alloy:4318/v1/logs";
        let misconfigured = || AuditError::Misconfigured(expected.to_owned());
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        Ok(Self { http: client(CONNECT, ANSWER)?, url: url.ok_or_else(misconfigured)?, service })
    }
}

fn request(service: &str, entries: &[Entry]) -> ExportLogsServiceRequest {
    let resource = Resource { attributes: vec![pair("service.name", service)], ..Resource::default() };
    let scope = InstrumentationScope { name: "xagent.audit".to_owned(), ..InstrumentationScope::default() };
    let log_records = entries.iter().map(record).collect();
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }
}

fn record(entry: &Entry) -> LogRecord {
    let at = u64::try_from(entry.at_ns).unwrap_or_default();
    let severity = match entry.level {
        Level::Info => SeverityNumber::Info,
        Level::Warn => SeverityNumber::Warn,
        Level::Error => SeverityNumber::Error,
    };
    let bytes = |id: &Option<String>| id.as_deref().map(from_hex).unwrap_or_default();
    let labels = [("tenant", entry.tenant.as_str()), ("event_type", entry.event_type.as_str())];
    // The ids of trace and span have fields of their own.
    let metadata = entry.metadata.pairs().filter(|(name, _)| !matches!(*name, "trace_id" | "span_id"));
    LogRecord {
        time_unix_nano: at,
        observed_time_unix_nano: at,
        severity_number: severity.into(),
        severity_text: entry.level.to_string(),
        body: Some(text(&entry.line)),
        attributes: labels.into_iter().chain(metadata).map(|(name, value)| pair(name, value)).collect(),
        trace_id: bytes(&entry.metadata.trace_id),
        span_id: bytes(&entry.metadata.span_id),
        event_name: entry.event_type.clone(),
        ..LogRecord::default()
    }
}

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(text(value)), ..KeyValue::default() }
}

fn from_hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks_exact(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

impl Target for OtlpLogs {
    const READER: &'static str = "audit/otlp";
    const NAME: &'static str = "otlp";

    async fn send(&self, entries: &[Entry]) -> Sent {
        let body = request(&self.service, entries).encode_to_vec();
        let request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/x-protobuf").body(body);
        let response = match request.send().await {
            Ok(response) if response.status().is_success() => response,
            Ok(response) => return judged(response).await,
            Err(error) => return Sent::Later(error.without_url().to_string(), None),
        };
        if response.content_length().is_some_and(|length| length > LONGEST_ANSWER) {
            return Sent::Stored;
        }
        // A receiver that takes some of the records says so in a success (OTLP, "Partial Success").
        let answer = response.bytes().await.ok().and_then(|bytes| ExportLogsServiceResponse::decode(bytes).ok());
        match answer.and_then(|answer| answer.partial_success) {
            Some(partial) if partial.rejected_log_records > 0 => Sent::Refused(partial.error_message),
            _ => Sent::Stored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::event;
    use super::*;

    #[test]
    fn a_record_carries_the_line_and_the_trace() {
        let entry = Entry::of(&event(7, "RunFailed", "{}"), 5).unwrap();
        let record = record(&entry);
        assert_eq!(record.body, Some(text(&entry.line)));
        assert_eq!((record.time_unix_nano, record.severity_number, record.event_name.as_str()), (5, 17, "RunFailed"));
        assert_eq!(
            (record.trace_id.len(), record.span_id.as_slice()),
            (16, &[0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31][..])
        );
        let names: Vec<_> = record.attributes.iter().map(|pair| pair.key.as_str()).collect();
        assert_eq!(names, ["tenant", "event_type", "run_id", "position"]);
    }
}
