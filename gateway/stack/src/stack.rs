//! The three servers as one thing.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::StackError;
use crate::nats::Nats;
use crate::postgres::Postgres;
use crate::process::Process;
use crate::redis::Redis;

/// How one server is provided.
#[derive(Clone, Debug)]
pub enum Need {
    /// Started here.
    Private,
    /// It runs already, at this URL.
    Existing(String),
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

/// A private server and its process, where it has one.
struct Slot<S> {
    name: &'static str,
    server: Option<S>,
    start: fn(&S) -> Result<Process, StackError>,
    process: Mutex<Option<Process>>,
}

impl<S> Slot<S> {
    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Result<(), StackError> {
        let server = self.server.as_ref().ok_or(StackError::NotPrivate(self.name))?;
        let mut process = self.process();
        if process.as_mut().is_none_or(|process| process.ended().is_some()) {
            *process = Some((self.start)(server)?);
        }
        Ok(())
    }

    fn with(&self, act: fn(&mut Process)) -> Result<(), StackError> {
        self.server.as_ref().ok_or(StackError::NotPrivate(self.name))?;
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
    /// Starts what is private, and waits until it answers.
    pub fn start(options: StackOptions) -> Result<Self, StackError> {
        let folder = options.folder.canonicalize().map_err(|error| StackError::file(&options.folder, &error))?;
        let postgres = private(&options.postgres).then(|| Postgres::prepare(&folder)).transpose()?;
        let nats = private(&options.nats).then(|| Nats::prepare(&folder)).transpose()?;
        let redis = private(&options.redis).then(|| Redis::prepare(&folder)).transpose()?;
        let url = |need: &Need, own: Option<String>| match need {
            Need::Existing(url) => url.clone(),
            Need::Private => own.unwrap_or_default(),
        };
        let stack = Self {
            postgres_url: url(&options.postgres, postgres.as_ref().map(Postgres::url)),
            nats_url: url(&options.nats, nats.as_ref().map(Nats::url)),
            redis_url: url(&options.redis, redis.as_ref().map(Redis::url)),
            redis: Slot { name: "Redis", server: redis, start: Redis::start, process: Mutex::default() },
            nats: Slot { name: "NATS", server: nats, start: Nats::start, process: Mutex::default() },
            postgres: Slot { name: "Postgres", server: postgres, start: Postgres::start, process: Mutex::default() },
        };
        for server in [Server::Postgres, Server::Nats, Server::Redis] {
            match stack.start_again(server) {
                Ok(()) | Err(StackError::NotPrivate(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(stack)
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
        self.act(server, |process| process.pause())
    }

    /// Lets a paused server go on.
    pub fn resume(&self, server: Server) -> Result<(), StackError> {
        self.act(server, |process| process.resume())
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

fn private(need: &Need) -> bool {
    matches!(need, Need::Private)
}
