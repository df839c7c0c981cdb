//! The composition root of a server: the list of its parts, their start and their orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use xagent_commands::{Commands, CommandsOptions, Executor, Law, SystemClock, Worker, WorkerOptions};
use xagent_domain::Limits;
use xagent_ledger::{Ledger, LedgerOptions, Notary};
use xagent_opa::{OpaError, OpaOptions, OpaServer};
use xagent_policies::{Bundle, Embedded, PolicyEngine};
use xagent_projections::{Bus, CheckpointMirror, CheckpointRelay, Relay, RunProjector, RunViews};

use crate::configuration::{Configuration, Engine, Opa, Signing};
use crate::mcp::Mcp;
use crate::rest::{Doors, router};
use crate::stream::{Patient, Peer, Streams, feed};

/// How long the parts of a stopping server may take to come to their end.
const DRAIN: Duration = Duration::from_secs(20);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The ledger's address makes no sense.
    #[error(transparent)]
    Ledger(#[from] xagent_ledger::LedgerError),
    /// NATS' address makes no sense.
    #[error("NATS: {0}")]
    Nats(String),
    /// Redis' address makes no sense.
    #[error(transparent)]
    Views(#[from] xagent_projections::ViewError),
    /// The stock bundle is broken.
    #[error(transparent)]
    Bundle(#[from] xagent_policies::BundleError),
    /// OPA's address makes no sense.
    #[error("OPA: {0}")]
    Opa(#[from] OpaError),
}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The end of the doors, then of the workers, then of the relay and the views.
    stages: [CancellationToken; 3],
    doors: JoinHandle<()>,
    streams: JoinHandle<()>,
    workers: JoinHandle<()>,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts every part. Postgres, NATS and Redis may be away: `/readyz` says so.
    pub async fn start(configuration: &Configuration) -> Result<Self, StartError> {
        let listen = configuration.listen;
        let listener = TcpListener::bind(listen).await.map_err(|error| StartError::Listen(listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(listen, error))?;

        let clock = Arc::new(SystemClock);
        let ledger = Ledger::connect(&configuration.database_url, clock.clone(), LedgerOptions::default())?;
        let engine = engine(&configuration.engine)?;
        let limits = Limits { timeout_ms: configuration.engine.timeout_ms };
        let law = Law::new(engine.clone(), limits, configuration.engine.concurrency);
        let executor = Executor::new(ledger.clone(), law, clock.clone());
        let approval_ttl_us = i64::from(configuration.approval_ttl_s) * 1_000_000;
        let options = CommandsOptions {
            workspaces: configuration.workspaces.clone(),
            approval_ttl_us,
            upstream_programs: configuration.upstream_programs.clone(),
        };
        let commands = Commands::new(executor, engine, options);
        let bus = Bus::connect(&configuration.nats_url).await.map_err(|error| StartError::Nats(error.to_string()))?;
        let views = RunViews::connect(&configuration.redis_url)?;
        let relay = Relay::new(ledger.clone(), bus.clone());
        let projector = RunProjector::new(ledger.clone(), bus.clone(), views.clone());
        let Signing { signer, old } = configuration.signing.clone();
        let notary = Notary::new(ledger.clone(), signer, old);
        let checkpoints = CheckpointRelay::new(ledger.clone(), bus.clone());
        let mirror = configuration.checkpoint_mirror.clone();
        let mirror = mirror.map(|place| CheckpointMirror::new(ledger, notary.clone(), place, clock.clone()));
        let worker = Worker::new(commands.clone(), WorkerOptions::default());
        let stock = Bundle::stock()?;

        let stages: [CancellationToken; 3] = Default::default();
        let secret = Arc::new(configuration.secret.clone());
        let (bundle_trust, notary_too) = (configuration.bundle_trust.clone(), notary.clone());
        let streams = Streams::new(commands.clone(), configuration.streams.clone(), stages[0].clone());
        let mcp = Mcp::new(commands.clone(), configuration.mcp.clone(), stages[0].clone());
        let routes = Doors {
            mcp: mcp.clone(),
            commands: commands.clone(),
            views,
            bus,
            notary: notary_too,
            secret,
            bundle_trust,
            streams: streams.clone(),
        };
        let listener = Patient { listener, stall: configuration.streams.stall };
        let doors = tokio::spawn(serve(listener, router(routes), stages[0].clone()));
        let streams = tokio::spawn(feed(streams, stages[0].clone()));
        let workers = tokio::spawn(govern(commands, stock, worker, stages[1].clone()));
        let mut readers = vec![
            tokio::spawn(mcp.run(stages[0].clone())),
            tokio::spawn(relay.run(stages[2].clone())),
            tokio::spawn(checkpoints.run(stages[2].clone())),
            tokio::spawn(projector.run(stages[2].clone())),
            tokio::spawn(notary.run(stages[2].clone())),
        ];
        readers.extend(mirror.map(|mirror| tokio::spawn(mirror.run(stages[2].clone()))));
        Ok(Self { address, stages, doors, streams, workers, readers })
    }

    /// Stops the doors and the streams, lets the workers end their steps, lets the relay and the views go, in this order.
    pub async fn stop(self) {
        let [doors, workers, readers] = self.stages;
        doors.cancel();
        // Upgraded connections are no longer the doors'.
        let ((), ()) = tokio::join!(ended("doors", self.doors), ended("streams", self.streams));
        workers.cancel();
        ended("workers", self.workers).await;
        readers.cancel();
        for reader in self.readers {
            ended("readers", reader).await;
        }
    }
}

async fn ended(part: &str, task: JoinHandle<()>) {
    if tokio::time::timeout(DRAIN, task).await.is_err() {
        tracing::warn!(part, "server.stop.late");
    }
}

async fn serve(listener: Patient, routes: axum::Router, stop: CancellationToken) {
    let routes = routes.into_make_service_with_connect_info::<Peer>();
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(error = %error, "server.doors.failed");
    }
}

/// The law comes into force before the first worker looks for work: no call is denied for want of a law.
async fn govern(commands: Commands, stock: Bundle, worker: Worker, stop: CancellationToken) {
    let mut pause = tokio::time::interval(Duration::from_millis(500));
    pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! { () = stop.cancelled() => return, _ = pause.tick() => {} }
        match commands.bring_law_into_force(stock.clone()).await {
            Ok(bundle) => {
                tracing::info!(bundle = %bundle, "law.in_force");
                break;
            }
            Err(error) => tracing::warn!(error = %error, "law.not_in_force"),
        }
    }
    tokio::join!(commands.follow_law(stop.clone()), worker.run(stop.clone()));
}

fn engine(configuration: &Engine) -> Result<Arc<dyn PolicyEngine>, StartError> {
    let limits = Limits { timeout_ms: configuration.timeout_ms };
    let Some(Opa { url, bundle_file }) = configuration.opa.clone() else {
        return Ok(Arc::new(Embedded::new(limits)));
    };
    let options = OpaOptions { url, bundle_file, limits };
    Ok(Arc::new(OpaServer::new(options, tokio::runtime::Handle::current())?))
}
