//! A real Loki: where it is, and a server of it that can be killed and started again, with what it had.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The version that the tests are held against.
const VERSION: &str = include_str!("../loki/VERSION");
const CONFIGURATION: &str = include_str!("../loki/loki.yaml");

/// The Loki that `./dev loki` builds. Building it takes minutes, so that its absence is not an error: it is said aloud, and
/// the caller leaves its test.
pub fn loki(test: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let usual = root.join(".xagent/tools").join(format!("loki-{}", VERSION.trim()));
    let named = std::env::var_os("XAGENT_TEST_LOKI").map(PathBuf::from);
    let found = named.into_iter().chain([usual]).find(|file| file.is_file());
    if found.is_none() {
        eprintln!(
            "SKIPPED {test}: NO REAL LOKI WAS TRIED: there is no Loki {}; `./dev loki` builds it",
            VERSION.trim()
        );
    }
    found
}

/// A server of it, or one that is there already (`XAGENT_TEST_LOKI_URL`), which cannot be killed.
pub struct LokiProcess {
    url: String,
    started: Option<Started>,
}

struct Started {
    program: PathBuf,
    configuration: PathBuf,
    child: Option<Child>,
    _folder: tempfile::TempDir,
}

impl LokiProcess {
    /// The one that is there, or one that is started on free loopback ports.
    pub fn start(test: &str) -> Option<Self> {
        if let Ok(url) = std::env::var("XAGENT_TEST_LOKI_URL") {
            return Some(Self { url: url.trim_end_matches('/').to_owned(), started: None });
        }
        let (program, folder) = (loki(test)?, crate::folder("loki-"));
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (http, grpc) = (free(), free());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port().to_string();
        let text = CONFIGURATION
            .replace("HTTP_PORT", &port(&http))
            .replace("GRPC_PORT", &port(&grpc))
            .replace("FOLDER", folder.path().to_str().unwrap());
        let (configuration, url) = (folder.path().join("loki.yaml"), format!("http://127.0.0.1:{}", port(&http)));
        std::fs::write(&configuration, text).unwrap();
        drop((http, grpc));
        let mut loki = Self { url, started: Some(Started { program, configuration, child: None, _folder: folder }) };
        loki.restart();
        Some(loki)
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is this process's own, and may be killed.
    pub fn is_ours(&self) -> bool {
        self.started.is_some()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.started.as_mut().and_then(|started| started.child.take()) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again at the same place.
    pub fn restart(&mut self) {
        self.kill();
        if let Some(started) = &mut self.started {
            let mut command = Command::new(&started.program);
            command.arg(format!("-config.file={}", started.configuration.display()));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            started.child = Some(command.spawn().unwrap());
        }
    }
}

impl Drop for LokiProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
