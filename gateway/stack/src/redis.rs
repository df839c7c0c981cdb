//! A private Redis. It keeps nothing over a restart: its views are rebuilt from the ledger.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::process::{Process, Start, end_leftovers};
use crate::ready::{answers, ready};
use crate::stack::Private;
use crate::{StackError, ports, tools};

const PACKAGE: &str = "Redis 6.2 or later (Debian: apt-get install redis-server; macOS: brew install redis)";

pub(crate) struct Redis {
    program: PathBuf,
    configuration: PathBuf,
    log: PathBuf,
    port: u16,
    password: String,
}

impl Private for Redis {
    const NAME: &'static str = "Redis";

    fn prepare(folder: &Path) -> Result<Self, StackError> {
        let program = tools::find("redis-server", &[], PACKAGE)?;
        let password = tools::secret(&folder.join("redis-password"))?;
        let configuration = folder.join("redis.conf");
        end_leftovers(&[&configuration], Signal::SIGTERM);
        let port = ports::remembered(&folder.join("redis-port"))?;
        // Its title would otherwise hide its command line, by which a leftover is found.
        let text = format!(
            "bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\ndaemonize no\n\
             set-proc-title no\ndir \"{}\"\n",
            folder.display()
        );
        tools::write_private(&configuration, &text)?;
        Ok(Self { program, configuration, log: folder.join("redis.log"), port, password })
    }

    fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn start(&self) -> Result<Process, StackError> {
        let arguments = vec![self.configuration.display().to_string()];
        let start = Start { program: &self.program, arguments, user: None, log: &self.log, ask: Signal::SIGTERM };
        let mut process = Process::start(&start)?;
        let greeting = format!("AUTH {}\r\nPING\r\n", self.password);
        ready(Self::NAME, &self.log, &mut process, || answers(self.port, greeting.as_bytes(), &[b"+PONG"]))?;
        Ok(process)
    }
}
