//! A real Jaeger: where it is, and a server of it that holds traces in memory.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The version that the tests are held against: the last whose source the Go proxy has.
const VERSION: &str = include_str!("../jaeger/VERSION");

/// The Jaeger that `./dev jaeger` builds, or another (`XAGENT_TEST_JAEGER`). Its absence is said aloud.
fn jaeger(test: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let usual = root.join(".xagent/tools").join(format!("jaeger-{}", VERSION.trim()));
    let named = std::env::var_os("XAGENT_TEST_JAEGER").map(PathBuf::from);
    let found = named.into_iter().chain([usual]).find(|file| file.is_file());
    if found.is_none() {
        let version = VERSION.trim();
        eprintln!("SKIPPED {test}: NO REAL JAEGER WAS TRIED: there is no Jaeger {version}; `./dev jaeger` builds it");
    }
    found
}

/// A server of it, or one that is there already: `XAGENT_TEST_JAEGER_URL` is its query API, and
/// `XAGENT_TEST_JAEGER_OTLP_URL` where it takes OTLP over HTTP.
pub struct JaegerProcess {
    query: String,
    otlp: String,
    child: Option<Child>,
}

impl JaegerProcess {
    /// The one that is there, or one that is started on free loopback ports.
    pub fn start(test: &str) -> Option<Self> {
        let given = |name: &str| std::env::var(name).ok().map(|url| url.trim_end_matches('/').to_owned());
        if let (Some(query), Some(otlp)) = (given("XAGENT_TEST_JAEGER_URL"), given("XAGENT_TEST_JAEGER_OTLP_URL")) {
            return Some(Self { query, otlp, child: None });
        }
        let mut command = Command::new(jaeger(test)?);
        let listeners = [(); 7].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let ports = listeners.map(|listener| listener.local_addr().unwrap().port());
        let doors = [
            "query.http-server",
            "collector.otlp.http",
            "query.grpc-server",
            "collector.otlp.grpc",
            "collector.grpc-server",
            "collector.http-server",
            "admin.http",
        ];
        for (door, port) in doors.iter().zip(ports) {
            command.arg(format!("--{door}.host-port=127.0.0.1:{port}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let [query, otlp, ..] = ports.map(|port| format!("http://127.0.0.1:{port}"));
        Some(Self { query, otlp, child: Some(command.spawn().unwrap()) })
    }

    /// Where it answers queries.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Where it takes spans, by OTLP over HTTP.
    pub fn otlp(&self) -> &str {
        &self.otlp
    }
}

impl Drop for JaegerProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _waited = child.wait();
        }
    }
}
