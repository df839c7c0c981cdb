//! A stock OPA, as a server and in process.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use xagent_opa::{OpaOptions, OpaServer, archive};
use xagent_policies::{Bundle, PolicyEngine};
use xagent_tests::OpaProcess;

use crate::LIMITS;
use crate::inputs::Input;

pub struct Opa {
    pub engine: OpaServer,
    program: PathBuf,
    file: PathBuf,
    _process: OpaProcess,
    _runtime: Runtime,
    folder: TempDir,
}

impl Opa {
    /// None where it is not installed, which is said.
    pub fn start(bundle: &Bundle) -> Option<Self> {
        let program = xagent_tests::opa("OPA beside our engine")?;
        let folder = xagent_tests::folder("bench-policies-");
        let file = folder.path().join("bundle.tar.gz");
        std::fs::write(&file, archive(bundle).unwrap()).unwrap();
        let process = OpaProcess::start(&program, &["--bundle".to_owned(), file.display().to_string()]);
        let runtime = Runtime::new().unwrap();
        let options = OpaOptions { url: process.url(), bundle_file: None, limits: LIMITS };
        let engine = OpaServer::new(options, runtime.handle().clone()).unwrap();
        engine.load(bundle).unwrap();
        Some(Self { engine, program, file, _process: process, _runtime: runtime, folder })
    }

    /// Decisions a second of `opa bench`, on one input and one core.
    pub fn in_process(&self, input: &Input) -> Option<f64> {
        let path = self.folder.path().join("input.json");
        std::fs::write(&path, input.text.as_str()).unwrap();
        let mut command = Command::new(&self.program);
        command.env("GOMAXPROCS", "1").args(["bench", "--format", "json", "--benchmem=false", "--bundle"]);
        command.arg(&self.file).arg("--input").arg(&path).arg("data.xagent.tools.decision");
        let output = command.output().unwrap();
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let (count, nanoseconds) = (result["N"].as_f64()?, result["T"].as_f64()?);
        Some(count / (nanoseconds / 1e9))
    }
}
