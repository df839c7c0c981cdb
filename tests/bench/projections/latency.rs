//! From a commit that was acknowledged to the event in Redis, while so many events a second come in, evenly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use xagent_domain::run::Run;
use xagent_domain::{Metadata, Tenant};
use xagent_ledger::{Append, Expected, Ledger};
use xagent_projections::{Relay, RunProjector, RunViews};

use crate::{RUN, Servers, copied, reached};

const RATES: [u64; 3] = [100, 500, 2000];
/// Runs that go on at once, and events of a command.
const LANES: u64 = 40;
const OF_COMMAND: usize = 4;
const LASTS: Duration = Duration::from_secs(10);
/// How often the view is looked at: so much is added to what is measured, at most.
const LOOK: Duration = Duration::from_micros(300);

/// Positions with the moments at which they were acknowledged, and at which they were seen.
type Moments = Arc<Mutex<Vec<(u64, Instant)>>>;

pub async fn latency(servers: &Servers) -> String {
    let stop = CancellationToken::new();
    let relay = Relay::new(servers.ledger.clone(), servers.bus.clone());
    let projector = RunProjector::new(servers.ledger.clone(), servers.bus.clone(), servers.views.clone());
    let tasks = [tokio::spawn(relay.run(stop.clone())), tokio::spawn(projector.run(stop.clone()))];
    let head = servers.ledger.head().await.unwrap().position;
    reached("the view", || async { servers.views.position().await.ok() }, head).await;
    let mut table =
        "| events/s wanted | events/s | commit to view, p50 ms | p90 ms | p99 ms | most ms |\n|---|---|---|---|---|---|\n"
            .to_owned();
    let numbers = Arc::new(AtomicU64::new(1 << 40));
    for rate in RATES {
        // The first second is not counted.
        measured(servers, rate, Duration::from_secs(1), &numbers).await;
        let (events, took, delays) = measured(servers, rate, LASTS, &numbers).await;
        let [half, nine, most, all] = [0.5, 0.9, 0.99, 1.0].map(|share| quantile(&delays, share) * 1e3);
        let came = crate::per_second(events, took);
        table += &format!("| {rate} | {came:.0} | {half:.1} | {nine:.1} | {most:.1} | {all:.1} |\n");
    }
    stop.cancel();
    for task in tasks {
        task.await.unwrap();
    }
    table
}

async fn measured(
    servers: &Servers,
    rate: u64,
    lasts: Duration,
    numbers: &Arc<AtomicU64>,
) -> (u64, Duration, Vec<Duration>) {
    let (acknowledged, stop): (Moments, _) = (Moments::default(), CancellationToken::new());
    let watching = tokio::spawn(watch(servers.views.clone(), stop.clone()));
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let every = Duration::from_secs_f64((LANES * OF_COMMAND as u64) as f64 / rate as f64);
    let begun = Instant::now();
    let lanes = (0..LANES).map(|lane| {
        let (ledger, acknowledged, numbers) = (servers.ledger.clone(), acknowledged.clone(), numbers.clone());
        tokio::spawn(async move {
            let first = begun
                + every.mul_f64(f64::from(u32::try_from(lane).unwrap()) / f64::from(u32::try_from(LANES).unwrap()));
            drive(&ledger, &numbers, first, every, begun + lasts, &acknowledged).await;
        })
    });
    for lane in futures::future::join_all(lanes.collect::<Vec<_>>()).await {
        lane.unwrap();
    }
    let took = begun.elapsed();
    let head = servers.ledger.head().await.unwrap().position;
    reached("the view", || async { servers.views.position().await.ok() }, head).await;
    stop.cancel();
    let seen = watching.await.unwrap();
    let acknowledged = acknowledged.lock().await;
    let events = acknowledged.len() * OF_COMMAND;
    let mut delays: Vec<_> = acknowledged
        .iter()
        .map(|(position, at)| {
            let first = seen.partition_point(|(seen, _)| seen < position);
            seen[first].1.saturating_duration_since(*at)
        })
        .collect();
    delays.sort_unstable();
    (events as u64, took, delays)
}

/// Commands of one run after another, each at its time.
async fn drive(
    ledger: &Ledger,
    numbers: &AtomicU64,
    mut next: Instant,
    every: Duration,
    end: Instant,
    acknowledged: &Moments,
) {
    let file: Value = serde_json::from_str(RUN).unwrap();
    loop {
        let (run, events) = copied(file["events"].as_array().unwrap(), numbers.fetch_add(1, Ordering::Relaxed));
        for (index, chunk) in events.chunks_exact(OF_COMMAND).enumerate() {
            if next >= end {
                return;
            }
            tokio::time::sleep_until(next.into()).await;
            next += every;
            let append = Append {
                tenant: Tenant::default_tenant(),
                aggregate_id: run.clone(),
                expected: Expected::Exactly((index * OF_COMMAND) as u64),
                events: chunk.to_vec(),
                blobs: Vec::new(),
                metadata: Metadata { actor: "alice".to_owned(), ..Metadata::default() },
                command: None,
            };
            let receipt = ledger.append::<Run>(append).await.unwrap().receipt;
            acknowledged.lock().await.push((receipt.last_position, Instant::now()));
        }
    }
}

/// When which position was first seen in Redis.
async fn watch(views: RunViews, stop: CancellationToken) -> Vec<(u64, Instant)> {
    let mut seen = Vec::new();
    loop {
        let ends = stop.is_cancelled();
        let position = views.position().await.unwrap();
        if seen.last().is_none_or(|(last, _)| position > *last) {
            seen.push((position, Instant::now()));
        }
        if ends {
            return seen;
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
fn quantile(delays: &[Duration], share: f64) -> f64 {
    let index = ((delays.len() as f64 * share).ceil() as usize).saturating_sub(1);
    delays.get(index).map_or(0.0, Duration::as_secs_f64)
}
