//! A stock OPA server under the same bundle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Bytes;
use tempfile::TempDir;
use xagent_opa::archive;
use xagent_policies::Bundle;
use xagent_tests::OpaProcess;

use crate::load::{Figures, drive, post};
use crate::ours::Asked;

pub struct Stock {
    address: SocketAddr,
    /// Where each input is decided, and the body that asks it.
    inputs: Arc<Vec<(String, Bytes)>>,
    _process: OpaProcess,
    _folder: TempDir,
}

impl Stock {
    pub fn start(bundle: &Bundle, inputs: Vec<Asked>) -> Self {
        let program = xagent_tests::opa("OPA beside our server").unwrap_or_else(|| panic!("nothing to compare with"));
        let folder = xagent_tests::folder("bench-gateway-");
        let file = folder.path().join("bundle.tar.gz");
        std::fs::write(&file, archive(bundle).unwrap()).unwrap();
        let process = OpaProcess::start(&program, &["--bundle".to_owned(), file.display().to_string()]);
        let address = process.url().strip_prefix("http://").unwrap().parse().unwrap();
        let body = |asked: Asked| {
            (format!("/v1/data/{}", asked.entrypoint), Bytes::from(format!("{{\"input\":{}}}", asked.input)))
        };
        let inputs = Arc::new(inputs.into_iter().map(body).collect());
        Self { address, inputs, _process: process, _folder: folder }
    }

    pub fn count(&self) -> usize {
        self.inputs.len()
    }

    pub fn bytes(&self) -> usize {
        self.inputs.iter().map(|(_, body)| body.len()).sum::<usize>() / self.inputs.len()
    }

    pub async fn turn(&self, connections: usize, time: Duration) -> Figures {
        let inputs = self.inputs.clone();
        drive(self.address, connections, time, (StatusCode::OK, "\"allow\":true"), move |connection, count| {
            let number = connection * 7919 + usize::try_from(count).unwrap();
            let (path, body) = &inputs[number % inputs.len()];
            post(path, body.clone(), &[])
        })
        .await
    }
}
