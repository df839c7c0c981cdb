//! The three servers as one thing.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use crate::nats::Nats;
use crate::postgres::Postgres;
use crate::process::Process;
use crate::ready::until;
use crate::redis::Redis;
use crate::{StackError, ports};

const ATTEMPTS: usize = 3;
const PORT: Duration = Duration::from_secs(5);

/// How one server is provided.
#[derive(Clone, Debug)]
pub enum Need {
    /// Started here.
    Private,
    /// It runs already, at this URL.
    Existing(String),
    /// It is not used; its URL is empty.
    None,
}

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// The folder of data, logs and secrets. It exists.
    pub folder: PathBuf,
    /// Postgres.
    pub postgres: Need,
    /// NATS.
    pub nats: Need,
    /// Redis.
    pub redis: Need,
}

/// One of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Postgres.
    Postgres,
    /// NATS.
    Nats,
    /// Redis.
    Redis,
}

/// The servers. Dropping it stops the private ones.
pub struct Stack {
    postgres_url: String,
    nats_url: String,
    redis_url: String,
    // In the order in which they are stopped: Postgres, which holds the truth, last.
    redis: Slot<Redis>,
    nats: Slot<Nats>,
    postgres: Slot<Postgres>,
}

/// What the three kinds of server have in common.
pub(crate) trait Private: Sized {
    const NAME: &'static str;

    /// Ends its leftovers, finds its program and lays out its files and its port.
    fn prepare(folder: &Path) -> Result<Self, StackError>;
    fn url(&self) -> String;
    fn port(&self) -> u16;
    /// Starts it and waits until it answers.
    fn start(&self) -> Result<Process, StackError>;
}

/// A private server and its process, where it has one.
struct Slot<S> {
    server: Option<S>,
    process: Mutex<Option<Process>>,
}

impl<S: Private> Slot<S> {
    /// The server, started where it is private, and its URL.
    fn fill(need: &Need, folder: &Path) -> Result<(Self, String), StackError> {
        let url = match need {
            Need::Private => return Self::fill_privately(folder),
            Need::Existing(url) => url.clone(),
            Need::None => String::new(),
        };
        Ok((Self { server: None, process: Mutex::default() }, url))
    }

    fn fill_privately(folder: &Path) -> Result<(Self, String), StackError> {
        let mut attempts = 0;
        loop {
            let server = S::prepare(folder)?;
            attempts += 1;
            match server.start() {
                Ok(process) => {
                    let url = server.url();
                    return Ok((Self { server: Some(server), process: Mutex::new(Some(process)) }, url));
                }
                // Somebody took the port after we had found it free.
                Err(StackError::NotReady { .. }) if attempts < ATTEMPTS && !ports::is_free(server.port()) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Result<(), StackError> {
        let server = self.server.as_ref().ok_or(StackError::NotPrivate(S::NAME))?;
        let mut process = self.process();
        if process.as_mut().is_none_or(|process| process.ended().is_some()) {
            // Where outgoing ports are taken from this range all the same, a client may hold it for a moment.
            until(PORT, || ports::is_free(server.port()).then_some(()));
            *process = Some(server.start()?);
        }
        Ok(())
    }

    fn with(&self, act: fn(&mut Process)) -> Result<(), StackError> {
        self.server.as_ref().ok_or(StackError::NotPrivate(S::NAME))?;
        if let Some(process) = self.process().as_mut() {
            act(process);
        }
        Ok(())
    }

    fn end(&self) {
        drop(self.process().take());
    }
}

impl Stack {
    /// Starts what is private, all at once, and waits until it answers.
    pub fn start(options: StackOptions) -> Result<Self, StackError> {
        let folder = options.folder.canonicalize().map_err(|error| StackError::file(&options.folder, &error))?;
        let (postgres, nats, redis) = std::thread::scope(|scope| {
            let postgres = scope.spawn(|| Slot::fill(&options.postgres, &folder));
            let nats = scope.spawn(|| Slot::fill(&options.nats, &folder));
            let redis = Slot::fill(&options.redis, &folder);
            (joined(postgres), joined(nats), redis)
        });
        let ((postgres, postgres_url), (nats, nats_url), (redis, redis_url)) = (postgres?, nats?, redis?);
        Ok(Self { postgres_url, nats_url, redis_url, redis, nats, postgres })
    }

    /// Where Postgres is: for a private one, as its superuser.
    pub fn postgres_url(&self) -> &str {
        &self.postgres_url
    }

    /// Where NATS is.
    pub fn nats_url(&self) -> &str {
        &self.nats_url
    }

    /// Where Redis is.
    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// Starts a server that was stopped or killed, on its port and its data.
    pub fn start_again(&self, server: Server) -> Result<(), StackError> {
        match server {
            Server::Postgres => self.postgres.begin(),
            Server::Nats => self.nats.begin(),
            Server::Redis => self.redis.begin(),
        }
    }

    /// Stops a server politely.
    pub fn stop(&self, server: Server) -> Result<(), StackError> {
        self.act(server, Process::stop)
    }

    /// Kills a server and its children.
    pub fn kill(&self, server: Server) -> Result<(), StackError> {
        self.act(server, Process::kill)
    }

    /// Stops a server's clock: it keeps its connections and answers nothing.
    pub fn pause(&self, server: Server) -> Result<(), StackError> {
        self.act(server, Process::pause)
    }

    /// Lets a paused server go on.
    pub fn resume(&self, server: Server) -> Result<(), StackError> {
        self.act(server, Process::resume)
    }

    /// Stops every private server.
    pub fn shutdown(self) -> Result<(), StackError> {
        self.end();
        Ok(())
    }

    fn end(&self) {
        self.redis.end();
        self.nats.end();
        self.postgres.end();
    }

    fn act(&self, server: Server, act: fn(&mut Process)) -> Result<(), StackError> {
        match server {
            Server::Postgres => self.postgres.with(act),
            Server::Nats => self.nats.with(act),
            Server::Redis => self.redis.with(act),
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.end();
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
