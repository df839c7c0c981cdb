//! What the files in `deploy/` are held against: Prometheus, schemas, linters, a current NATS; and where they are.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// What `./dev test` installs them from, and keeps beside them.
const FROM: [(&str, &str); 5] = [
    ("go/go.mod", include_str!("../stack/go/go.mod")),
    ("go/compose/main.go", include_str!("../stack/go/compose/main.go")),
    ("go/dashboards/main.go", include_str!("../stack/go/dashboards/main.go")),
    ("package.json", include_str!("../stack/package.json")),
    ("requirements.txt", include_str!("../stack/requirements.txt")),
];

/// The folder of the tools.
#[derive(Clone, Debug)]
pub struct StackTools(PathBuf);

impl StackTools {
    /// Those that `./dev test` installed. Where a change is judged (`CI`) they must be there; elsewhere their absence is
    /// said aloud, and the caller leaves its test.
    pub fn find(test: &str) -> Option<Self> {
        let usual = root().join(".xagent/tools/stack");
        let named = std::env::var_os("XAGENT_TEST_STACK").map(PathBuf::from);
        let is_theirs = |folder: &PathBuf| {
            let holds = |(file, text): &(&str, &str)| {
                std::fs::read_to_string(folder.join("from").join(file)).is_ok_and(|found| found == *text)
            };
            FROM.iter().all(holds)
        };
        let found = named.into_iter().chain([usual]).find(is_theirs).filter(|_| installed("prometheus").is_some());
        if let Some(found) = found {
            return Some(Self(found.canonicalize().unwrap()));
        }
        let missing = format!("{test}: the tools for deploy/ are not there; `./dev test` installs them");
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("SKIPPED {missing}");
        None
    }

    /// A program that was built from Go: `compose`, `dashboards`.
    pub fn built(&self, name: &str) -> Command {
        Command::new(self.0.join("bin").join(name))
    }

    /// A program of a Python package: `hadolint`, `kubernetes-validate`, `nats-server`.
    pub fn packaged(&self, name: &str) -> Command {
        let mut command = Command::new("python3");
        let program = self.0.join("python/bin").join(name);
        if std::fs::read(&program)
            .is_ok_and(|text| text.starts_with(b"\x7fELF") || text.starts_with(b"\xcf\xfa\xed\xfe"))
        {
            command = Command::new(program);
        } else {
            command.arg(program);
        }
        command.env("PYTHONPATH", self.0.join("python"));
        command
    }

    /// What is wrong with these queries, as the parser of LogQL sees it.
    pub fn logql(&self, queries: &[String]) -> Value {
        let mut node = Command::new("node");
        node.arg(root().join("tests/stack/logql.mjs")).arg(self.0.join("node/package.json"));
        let said = piped(node, &serde_json::to_vec(queries).unwrap());
        serde_json::from_slice(&said).unwrap()
    }

    /// The documents of a YAML file.
    pub fn yaml(&self, file: &str) -> Vec<Value> {
        let script = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout, default=str)";
        let mut python = Command::new("python3");
        python.args(["-c", script]).env("PYTHONPATH", self.0.join("python"));
        serde_json::from_slice(&piped(python, &std::fs::read(root().join(file)).unwrap())).unwrap()
    }
}

/// Prometheus or promtool, of the system's package.
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// What a command printed, which has to succeed.
pub fn succeeded(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    shown(command, output)
}

fn shown(command: &Command, output: Output) -> String {
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said.join("\n"));
    said.into_iter().next().unwrap()
}

fn piped(mut command: Command, input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    use std::process::Stdio;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    output.stdout
}
