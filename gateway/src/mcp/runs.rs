//! Whose run a call joins: the one its client names, or one that is opened for principal and client and closed when idle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use xagent_commands::{Caller, CommandError, Commands};
use xagent_domain::{RunId, Tenant};

/// Runs of clients remembered at once; the others are found again by their key.
const REMEMBERED: usize = 10_000;
/// How often idle runs are looked for at most.
const LOOK: Duration = Duration::from_secs(30);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Client {
    tenant: Tenant,
    principal: String,
    name: String,
    workspace: Option<String>,
}

struct Kept {
    run: String,
    used: Instant,
}

/// The runs that are open for clients. Cheap to clone.
#[derive(Clone)]
pub(super) struct Runs {
    commands: Commands,
    idle: Duration,
    clients: Arc<Mutex<HashMap<Client, RunId>>>,
    opened: Arc<Mutex<HashMap<(Tenant, String), Kept>>>,
}

impl Runs {
    pub fn new(commands: Commands, idle: Duration) -> Self {
        Self { commands, idle, clients: Arc::default(), opened: Arc::default() }
    }

    /// The run that is open for the client.
    pub async fn of(&self, caller: &Caller, name: &str, workspace: Option<&str>) -> Result<RunId, CommandError> {
        let client = Client {
            tenant: caller.principal.tenant.clone(),
            principal: caller.principal.id.clone(),
            name: name.to_owned(),
            workspace: workspace.map(str::to_owned),
        };
        let known = lock(&self.clients).get(&client).copied();
        let run = match known {
            Some(run) => run,
            None => self.commands.open_run(caller, name, workspace).await?,
        };
        let mut clients = lock(&self.clients);
        if clients.len() >= REMEMBERED {
            clients.clear();
        }
        clients.insert(client.clone(), run);
        let kept = Kept { run: run.to_string(), used: Instant::now() };
        lock(&self.opened).insert((client.tenant, kept.run.clone()), kept);
        Ok(run)
    }

    /// The run has ended: the next call opens another.
    pub fn forget(&self, run: RunId) {
        lock(&self.clients).retain(|_, known| *known != run);
    }

    /// Closes runs that are idle until `stop`, those that a server before this one left among them.
    pub async fn close_idle(&self, stop: CancellationToken) {
        let mut looks = tokio::time::interval((self.idle / 4).clamp(Duration::from_millis(100), LOOK));
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut adopted = false;
        loop {
            tokio::select! { () = stop.cancelled() => return, _ = looks.tick() => {} }
            if !adopted {
                adopted = self.adopt().await;
            }
            self.look().await;
        }
    }

    async fn adopt(&self) -> bool {
        match self.commands.opened_runs().await {
            Ok(found) => {
                let mut opened = lock(&self.opened);
                for (tenant, run) in found {
                    let kept = Kept { run: run.clone(), used: Instant::now() };
                    opened.entry((tenant, run)).or_insert(kept);
                }
                true
            }
            Err(error) => {
                tracing::debug!(error = %error, "mcp.runs.unavailable");
                false
            }
        }
    }

    async fn look(&self) {
        let idle: Vec<(Tenant, String)> = lock(&self.opened)
            .iter()
            .filter(|(_, kept)| kept.used.elapsed() >= self.idle)
            .map(|(key, _)| key.clone())
            .collect();
        for (tenant, run) in idle {
            match self.commands.close_idle_run(&tenant, &run, self.idle).await {
                Ok(true) => {
                    lock(&self.opened).remove(&(tenant, run.clone()));
                    lock(&self.clients).retain(|_, known| known.to_string() != run);
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(run, error = %error, "mcp.run.not_closed"),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
