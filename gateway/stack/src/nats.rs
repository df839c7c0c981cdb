//! A private NATS server with JetStream.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::process::{Process, Start, end_leftovers};
use crate::ready::{answers, ready};
use crate::stack::Private;
use crate::{StackError, ports, tools};

const PACKAGE: &str = "nats-server 2.9 or later (Debian: apt-get install nats-server; macOS: brew install nats-server)";

pub(crate) struct Nats {
    program: PathBuf,
    configuration: PathBuf,
    log: PathBuf,
    port: u16,
    token: String,
}

impl Private for Nats {
    const NAME: &'static str = "NATS";

    fn prepare(folder: &Path) -> Result<Self, StackError> {
        let program = tools::find("nats-server", &[], PACKAGE)?;
        let token = tools::secret(&folder.join("nats-token"))?;
        let configuration = folder.join("nats.conf");
        end_leftovers(&[&configuration], Signal::SIGTERM);
        let port = ports::remembered(&folder.join("nats-port"))?;
        let store = folder.join("nats");
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nmax_payload: 8MB\nauthorization {{ token: \"{token}\" }}\njetstream {{ store_dir: \"{}\" }}\n",
            store.display()
        );
        tools::write_private(&configuration, &text)?;
        Ok(Self { program, configuration, log: folder.join("nats.log"), port, token })
    }

    fn url(&self) -> String {
        format!("nats://{}@127.0.0.1:{}", self.token, self.port)
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn start(&self) -> Result<Process, StackError> {
        let arguments = vec!["-c".to_owned(), self.configuration.display().to_string()];
        let start = Start { program: &self.program, arguments, user: None, log: &self.log, ask: Signal::SIGTERM };
        let mut process = Process::start(&start)?;
        let greeting = format!("CONNECT {{\"verbose\":false,\"auth_token\":\"{}\"}}\r\nPING\r\n", self.token);
        ready(Self::NAME, &self.log, &mut process, || answers(self.port, greeting.as_bytes(), &[b"\r\nPONG"]))?;
        Ok(process)
    }
}
