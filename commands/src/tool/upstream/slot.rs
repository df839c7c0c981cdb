//! One upstream: its connection, its turns, and the pause after a failure.

use std::sync::Arc;
use std::time::Duration;

use rmcp::service::{RoleClient, RunningService};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use xagent_domain::run::UrlUse;
use xagent_domain::upstream::{Declaration, Reach};

use super::child::{Child, start};
use super::{INTRODUCTION, UpstreamError, Upstreams, http};
use crate::ambient::pause;

/// The longest pause between two attempts to reach an upstream that fails, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 60_000;
/// The first pause is as that of this attempt: about half a second.
const FIRST_PAUSE: u32 = 7;

/// A connection, held by those who use it; what it runs on ends with it.
pub(super) struct Connection {
    pub service: RunningService<RoleClient, ()>,
    /// The child process; none over HTTP.
    pub child: Option<Child>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    failures: u32,
    not_before: Option<Instant>,
}

/// An upstream as this process knows it.
pub(super) struct Slot {
    declaration: Declaration,
    turns: Semaphore,
    state: Mutex<State>,
}

impl Slot {
    pub fn new(declaration: Declaration) -> Self {
        let turns = Semaphore::new(declaration.concurrency as usize);
        Self { declaration, turns, state: Mutex::default() }
    }

    pub fn name(&self) -> &str {
        &self.declaration.name
    }

    /// A turn among those who use it at once.
    pub async fn turn(&self, patience: Duration) -> Result<SemaphorePermit<'_>, UpstreamError> {
        let busy = || UpstreamError::Failed(format!("the upstream `{}` is busy: call again", self.declaration.name));
        tokio::time::timeout(patience, self.turns.acquire()).await.ok().and_then(Result::ok).ok_or_else(busy)
    }

    /// The connection, made where there is none. A child is kept; over HTTP each call connects to the addresses it was
    /// decided on.
    pub async fn connection(
        &self,
        upstreams: &Upstreams,
        url: Option<&UrlUse>,
    ) -> Result<Arc<Connection>, UpstreamError> {
        let mut state = self.state.lock().await;
        if let Some(connection) = state.connection.take() {
            if connection.is_alive() {
                state.connection = Some(Arc::clone(&connection));
                return Ok(connection);
            }
            state.failed();
        }
        if let Some(left) = state.not_before.and_then(|at| at.checked_duration_since(Instant::now())) {
            let (name, left_ms) = (&self.declaration.name, left.as_millis());
            return Err(UpstreamError::Failed(format!(
                "the upstream `{name}` is down; it is tried again in {left_ms} ms"
            )));
        }
        match self.connect(upstreams, url).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                // Over HTTP the next call connects to the addresses that it is decided on.
                state.connection = connection.child.as_ref().map(|_| Arc::clone(&connection));
                state.not_before = None;
                Ok(connection)
            }
            Err(error) => {
                state.failed();
                Err(error)
            }
        }
    }

    /// The connection is of no more use, to nobody.
    pub async fn lost(&self, connection: &Arc<Connection>) {
        connection.child.iter().for_each(Child::end);
        let mut state = self.state.lock().await;
        if state.connection.as_ref().is_none_or(|kept| Arc::ptr_eq(kept, connection)) {
            state.connection = None;
            state.failed();
        }
    }

    async fn connect(&self, upstreams: &Upstreams, url: Option<&UrlUse>) -> Result<Connection, UpstreamError> {
        let connecting = async {
            match &self.declaration.reach {
                Reach::Stdio { program, .. } if !upstreams.may_start(program) => Err(format!(
                    "`{program}` is not a program that may be started; see `xagent serve --upstream-program`"
                )),
                Reach::Stdio { program, arguments, environment } => start(program, arguments, environment).await,
                Reach::Http { headers, .. } => http::connect(url, headers).await,
            }
        };
        let failed = |what: String| {
            UpstreamError::Failed(format!("the upstream `{}` cannot be reached: {what}", self.declaration.name))
        };
        let late = || failed(format!("it did not introduce itself in {} s", INTRODUCTION.as_secs()));
        tokio::time::timeout(INTRODUCTION, connecting).await.map_err(|_| late())?.map_err(failed)
    }
}

impl State {
    fn failed(&mut self) {
        let wait = pause(FIRST_PAUSE + self.failures, LONGEST_PAUSE_MS);
        self.failures = (self.failures + 1).min(16);
        self.not_before = Some(Instant::now() + wait);
    }
}

impl Connection {
    fn is_alive(&self) -> bool {
        !self.service.is_closed() && !self.service.peer().is_transport_closed()
    }
}
