//! OPA in process: a program of its own Go module, built here, that decides the same inputs from a file.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tokio::process::Command;
use xagent_domain::access::AccessEvent;
use xagent_ledger::{Ledger, Scan};
use xagent_opa::archive;
use xagent_policies::Bundle;
use xagent_tests::{Ran, ran};

pub struct Opa {
    program: PathBuf,
    bundle: PathBuf,
}

/// The inputs of all decisions, in a file.
pub struct Inputs {
    pub file: PathBuf,
    pub count: u64,
    pub bytes: u64,
}

impl Opa {
    /// None where there is no Go to build it with, which is said.
    pub fn build(bundle: &Bundle, folder: &Path) -> Option<Self> {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("bench/replay/opa");
        let program = folder.join("opa-bench");
        let mut go = std::process::Command::new("go");
        go.args(["build", "-trimpath", "-o"]).arg(&program).arg(".").current_dir(source);
        match go.status() {
            Ok(status) if status.success() => {}
            other => {
                eprintln!("SKIPPED OPA in process: it cannot be built with Go: {other:?}");
                return None;
            }
        }
        let file = folder.join("bundle.tar.gz");
        std::fs::write(&file, archive(bundle).unwrap()).unwrap();
        Some(Self { program, bundle: file })
    }

    pub async fn decide(&self, inputs: &Path) -> Ran {
        let mut command = Command::new(&self.program);
        command.arg(&self.bundle).arg(inputs);
        let ran = ran(command).await;
        assert_eq!(ran.said["failed"], 0, "{}", ran.said);
        ran
    }
}

pub async fn inputs(ledger: &Ledger, path: &Path) -> Inputs {
    let to = ledger.head().await.unwrap().position;
    let (tenant, event_type) = (None, "DecisionMade");
    let scan = Scan { after: 0, to, tenant, event_type, run: None, since_us: None, until_us: None };
    let mut scanned = ledger.scan(&scan).await.unwrap();
    let mut inputs = Inputs { file: path.to_owned(), count: 0, bytes: 0 };
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    while let Some(chunk) = scanned.next().await.unwrap() {
        for event in chunk.events().map(Result::unwrap) {
            let read = xagent_domain::read(&event.event_type, &event.event_version, &event.payload).unwrap();
            let AccessEvent::DecisionMade(made) = read else { continue };
            let (path, input) = (made.evaluation.entrypoint, made.input.text.unwrap());
            writeln!(file, "{{\"path\":\"{path}\",\"input\":{input}}}").unwrap();
            inputs.count += 1;
            inputs.bytes += input.len() as u64;
        }
    }
    file.flush().unwrap();
    inputs
}
