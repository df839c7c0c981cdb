//! The composition root of a server: the list of its parts, their start and their orderly end.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use xagent_commands::{Commands, CommandsOptions, Executor, Law, SystemClock, SystemResolver, Toolkit, Worker};
use xagent_domain::Limits as EngineLimits;
use xagent_ledger::{Ledger, LedgerOptions, Notary, Watch};
use xagent_opa::{OpaError, OpaOptions, OpaServer};
use xagent_policies::{Bundle, Embedded, PolicyEngine};
use xagent_projections::{
    AuditError, AuditTrail, Bus, CheckpointMirror, CheckpointRelay, Lines, Loki, OtlpLogs, RateCounters, Relay,
    RunProjector, RunViews, TableProjector, Tables, TablesError, WorkStream,
};
use xagent_sandbox::{Sandbox, SandboxError};

use crate::access::{KeyRing, SourceError, Tally, Tokens};
use crate::configuration::{AuditLines, Configuration, Engine, Opa, Role, Signing};
use crate::limits::{Drain, Limits};
use crate::listen::{Listening, Patient, TlsError, serve};
use crate::mcp::Mcp;
use crate::rest::extract::InFlight;
use crate::rest::{Doors, Reach, health_only, router};
use crate::stream::{Streams, feed};
use crate::telemetry::{Exporter, Metrics};
use crate::work::RunQueue;

/// The queue of this installation's workers.
type Queue = RunQueue<SystemClock>;

/// How long the other parts of a stopping server may take to come to their end.
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
    /// The query tables' address makes no sense.
    #[error(transparent)]
    Tables(#[from] TablesError),
    /// Where the audit trail should go makes no sense.
    #[error("the audit trail: {0}")]
    Audit(#[from] AuditError),
    /// The stock bundle is broken.
    #[error(transparent)]
    Bundle(#[from] xagent_policies::BundleError),
    /// Measuring could not begin.
    #[error("metrics: {0}")]
    Metrics(String),
    /// OPA's address makes no sense.
    #[error("OPA: {0}")]
    Opa(#[from] OpaError),
    /// There are no keys to be had from where they are said to be.
    #[error("the token issuer's keys: {0}")]
    Keys(#[from] SourceError),
    /// There is no TLS.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
}

/// A running server.
pub struct Server {
    /// Where it listens, if it does.
    pub address: SocketAddr,
    /// Where metrics can be read.
    pub metrics: Option<SocketAddr>,
    /// How long what is under way at the doors may take when they close.
    drain: Duration,
    /// How long the workers may take.
    work: Duration,
    /// The end of the doors, then of the workers, then of the relay and the views.
    stages: [CancellationToken; 3],
    doors: Vec<JoinHandle<()>>,
    workers: JoinHandle<()>,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts every part. Postgres, NATS and Redis may be away: `/readyz` says so.
    pub async fn start(configuration: &Configuration) -> Result<Self, StartError> {
        let (listen, roles) = (configuration.listen, configuration.roles.clone());
        let failed = |error| StartError::Listen(listen, error);
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let exporter = match configuration.metrics_listen {
            Some(listen) => Some(exporter(listen).await?),
            None => None,
        };

        let clock = Arc::new(SystemClock);
        let ledger = Ledger::connect(&configuration.database_url, clock.clone(), LedgerOptions::default())?;
        let engine = engine(&configuration.engine)?;
        let limits = EngineLimits { timeout_ms: configuration.engine.timeout_ms };
        let law = Law::new(engine.clone(), limits, configuration.engine.concurrency);
        let executor = Executor::new(ledger.clone(), law, clock.clone());
        let approval_ttl_us = i64::from(configuration.approval_ttl_s) * 1_000_000;
        let kit = Toolkit::new(configuration.tools.clone(), detected().await);
        let options = CommandsOptions {
            workspaces: configuration.workspaces.clone(),
            approval_ttl_us,
            resolver: Arc::new(SystemResolver),
            model: configuration.model.clone(),
            upstream_programs: configuration.upstream_programs.clone(),
            kit: Some(kit.clone()),
        };
        let commands = Commands::new(executor, engine, options);
        let bus = Bus::connect(&configuration.nats_url).await.map_err(|error| StartError::Nats(error.to_string()))?;
        let views = RunViews::connect(&configuration.redis_url)?;
        let relay = Relay::new(ledger.clone(), bus.clone());
        let projector = RunProjector::new(ledger.clone(), bus.clone(), views.clone());
        let tables = Tables::connect(&configuration.database_url)?;
        let rows = TableProjector::new(ledger.clone(), tables.clone());
        let Signing { signer, old } = configuration.signing.clone();
        let notary = Notary::new(ledger.clone(), signer, old);
        let checkpoints = CheckpointRelay::new(ledger.clone(), bus.clone());
        let trails = Trails::of(configuration, &ledger)?;
        let mirror = configuration.checkpoint_mirror.clone();
        let watch = configuration.verify_every.map(|every| Watch::new(ledger.clone(), every));
        let mirror = mirror.map(|place| CheckpointMirror::new(ledger, notary.clone(), place, clock.clone()));
        let worker = Worker::new(commands.clone(), kit.clone(), configuration.worker.clone());
        let worker = roles.has(Role::Worker).then(|| (worker, RunQueue::new(WorkStream::new(bus.clone()), *clock)));
        let stock = Bundle::stock()?;

        let stages: [CancellationToken; 3] = Default::default();
        let issuer = configuration.issuer.clone().map(|(options, keys)| Ok((options, KeyRing::new(keys)?)));
        let tokens =
            Tokens { secret: configuration.secret.clone(), issuer: issuer.transpose().map_err(StartError::Keys)? };
        let ring = tokens.issuer.as_ref().map(|(_, ring)| tokio::spawn(ring.clone().run(stages[1].clone())));
        let (tally, teller) = Tally::new(commands.clone());
        let limits = Limits::new(configuration.limits.clone(), RateCounters::connect(&configuration.redis_url)?);
        let drain = Drain::new(stages[0].clone());
        let tls = match configuration.tls.clone() {
            None => None,
            Some(files) => Some((files.clone(), RustlsConfig::from_config(files.load().await?))),
        };
        let (bundle_trust, notary_too) = (configuration.bundle_trust.clone(), notary.clone());
        let streams = Streams::new(commands.clone(), configuration.streams.clone(), stages[0].clone());
        let mcp = Mcp::new(commands.clone(), configuration.mcp.clone(), stages[0].clone());
        let routes = Doors::from(Reach {
            mcp: mcp.clone(),
            commands: commands.clone(),
            views,
            tables,
            bus,
            notary: notary_too,
            tokens: Arc::new(tokens),
            tally,
            limits: Arc::new(limits),
            drain: drain.clone(),
            bundle_trust,
            streams: streams.clone(),
            in_flight: InFlight::default(),
            kit,
        });
        let limits = configuration.limits.clone();
        let patient = Patient::new(configuration.streams.stall, limits.connections);
        let mut readers = Vec::new();
        let listening = Listening { listener, patient, tls, limits, drain };
        let routes = if roles.has(Role::Api) { router(routes) } else { health_only(routes) };
        let doors = tokio::spawn(doors(listening, routes, stages[0].clone()));
        let workers = tokio::spawn(govern(commands, stock, worker, stages[1].clone()));
        let mut doors = vec![doors];
        if roles.has(Role::Api) {
            doors.push(tokio::spawn(feed(streams, stages[0].clone())));
            readers.push(tokio::spawn(mcp.run(stages[0].clone())));
            readers.push(tokio::spawn(teller.run(stages[1].clone())));
        }
        if roles.has(Role::Relay) {
            readers.push(tokio::spawn(relay.run(stages[2].clone())));
            readers.push(tokio::spawn(checkpoints.run(stages[2].clone())));
            readers.push(tokio::spawn(notary.run(stages[2].clone())));
            readers.extend(watch.map(|watch| tokio::spawn(watch.run(stages[2].clone()))));
            readers.extend(mirror.map(|mirror| tokio::spawn(mirror.run(stages[2].clone()))));
        }
        if roles.has(Role::Projector) {
            readers.push(tokio::spawn(projector.run(stages[2].clone())));
            readers.push(tokio::spawn(rows.run(stages[2].clone())));
            readers.extend(trails.start(&stages[2]));
        }
        readers.extend(ring);
        let metrics = exporter.as_ref().map(|exporter| exporter.address);
        readers.extend(exporter.map(|exporter| tokio::spawn(exporter.run(stages[2].clone()))));
        let (drain, work) = (configuration.limits.drain + DRAIN, configuration.worker.drain + DRAIN);
        Ok(Self { address, metrics, drain, work, stages, doors, workers, readers })
    }

    /// Stops the doors and the streams, lets the workers end their steps, lets the relay and the views go, in this order.
    pub async fn stop(self) {
        let [doors, workers, readers] = self.stages;
        doors.cancel();
        // Upgraded connections are no longer the doors'.
        let ends = self.doors.into_iter().map(|door| ended("doors", door, self.drain));
        futures::future::join_all(ends).await;
        workers.cancel();
        ended("workers", self.workers, self.work).await;
        readers.cancel();
        for reader in self.readers {
            ended("readers", reader, DRAIN).await;
        }
    }
}

async fn ended(part: &str, task: JoinHandle<()>, patience: Duration) {
    if tokio::time::timeout(patience, task).await.is_err() {
        tracing::warn!(part, "server.stop.late");
    }
}

async fn doors(listening: Listening, routes: axum::Router, stop: CancellationToken) {
    if let Err(error) = serve(listening, routes, stop).await {
        tracing::error!(error = %error, "server.doors.failed");
    }
}

/// The law comes into force before the first worker looks for work: no call is denied for want of a law.
async fn govern(commands: Commands, stock: Bundle, worker: Option<(Worker, Queue)>, stop: CancellationToken) {
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
    let work = async {
        if let Some((worker, queue)) = worker {
            worker.run(Arc::new(queue), stop.clone()).await;
        }
    };
    tokio::join!(commands.follow_law(stop.clone()), work);
}

/// The copies of the audit trail that are kept.
struct Trails {
    loki: Option<AuditTrail<Loki>>,
    otlp: Option<AuditTrail<OtlpLogs>>,
    lines: Option<AuditTrail<Lines>>,
}

impl Trails {
    fn of(configuration: &Configuration, ledger: &Ledger) -> Result<Self, AuditError> {
        let (audit, url) = (configuration.audit.clone(), &configuration.database_url);
        let loki = audit.loki.map(|options| AuditTrail::new(ledger.clone(), url, Loki::new(options)?));
        let otlp =
            audit.otlp_url.map(|otlp| AuditTrail::new(ledger.clone(), url, OtlpLogs::new(&otlp, audit.job.clone())?));
        let lines = audit.lines.map(|lines| {
            let file = match lines {
                AuditLines::Out => None,
                AuditLines::File(file) => Some(file),
            };
            AuditTrail::new(ledger.clone(), url, Lines::new(file, audit.job.clone()))
        });
        Ok(Self { loki: loki.transpose()?, otlp: otlp.transpose()?, lines: lines.transpose()? })
    }

    fn start(self, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
        let loki = self.loki.map(|trail| tokio::spawn(trail.run(stop.clone())));
        let otlp = self.otlp.map(|trail| tokio::spawn(trail.run(stop.clone())));
        let lines = self.lines.map(|trail| tokio::spawn(trail.run(stop.clone())));
        [loki, otlp, lines].into_iter().flatten().collect()
    }
}

async fn exporter(listen: SocketAddr) -> Result<Exporter, StartError> {
    let metrics = Metrics::begin().map_err(StartError::Metrics)?;
    Exporter::bind(listen, metrics).await.map_err(|error| StartError::Listen(listen, error))
}

/// The sandbox of this host, tried before the first call needs it.
pub async fn detected() -> Result<Arc<dyn Sandbox>, SandboxError> {
    let detect = || xagent_sandbox::detect(std::path::Path::new("/proc/self/exe"));
    let detected = tokio::task::spawn_blocking(detect).await;
    let detected = detected.unwrap_or_else(|error| Err(SandboxError::Broken(error.to_string())));
    match &detected {
        Ok(sandbox) => tracing::info!(by = sandbox.isolation().by, "sandbox.ready"),
        Err(error) => tracing::warn!(error = %error, "sandbox.unavailable"),
    }
    detected
}

fn engine(configuration: &Engine) -> Result<Arc<dyn PolicyEngine>, StartError> {
    let limits = EngineLimits { timeout_ms: configuration.timeout_ms };
    let Some(Opa { url, bundle_file }) = configuration.opa.clone() else {
        return Ok(Arc::new(Embedded::new(limits)));
    };
    let options = OpaOptions { url, bundle_file, limits };
    Ok(Arc::new(OpaServer::new(options, tokio::runtime::Handle::current())?))
}
