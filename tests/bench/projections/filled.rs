//! How fast views are filled from nothing, beside how fast the same events are merely read and appended.

use std::time::Instant;

use tokio_util::sync::CancellationToken;
use xagent_ledger::Ledger;
use xagent_projections::{AuditTrail, Built, Loki, LokiOptions, Rebuild, Relay, Tables, Target, ViewsRebuild};
use xagent_tests::LokiProcess;

use crate::{Servers, rate, ratio, reached};

/// Events of a page.
const PAGE: u32 = 1000;
const TURNS: usize = 3;

/// Events a second of reading alone.
async fn reading(ledger: &Ledger) -> f64 {
    let (head, begun, mut at) = (ledger.head().await.unwrap().position, Instant::now(), 0);
    while at < head {
        at = ledger.range(at, PAGE).await.unwrap().last().unwrap().position;
    }
    rate(head, begun)
}

/// The query tables and the views in Redis, in turns with reading.
pub async fn views(servers: &Servers) -> String {
    let ledger = &servers.ledger;
    let tables = Rebuild::new(ledger.clone(), Tables::connect(&servers.postgres).unwrap());
    let redis = ViewsRebuild::new(ledger.clone(), servers.views.clone());
    let mut table =
        "| events | tables, events/s | Redis, events/s | merely read, events/s | tables to read | Redis to read |\n\
                     |---|---|---|---|---|---|\n"
            .to_owned();
    for _ in 0..TURNS {
        let head = ledger.head().await.unwrap().position;
        let in_tables = tables.run(Target::At(head), &|_, _| {}).await.unwrap();
        let in_redis = redis.run(Target::At(head), &|_, _| {}).await.unwrap();
        redis.drop_at(head).await.unwrap();
        let read = reading(ledger).await;
        let [of_tables, of_redis] = [&in_tables, &in_redis].map(|built: &Built| {
            assert_eq!(built.built.unreadable, 0);
            built.events_per_second
        });
        table += &format!(
            "| {head} | {of_tables} | {of_redis} | {read:.0} | {:.2} | {:.2} |\n",
            ratio(of_tables, read),
            ratio(of_redis, read)
        );
    }
    table
}

/// The relay over all there is, beside the rate at which it was appended.
pub async fn relay(servers: &Servers, appended: f64) -> String {
    let (stop, begun, head) = (CancellationToken::new(), Instant::now(), servers.ledger.head().await.unwrap().position);
    let relay = tokio::spawn(Relay::new(servers.ledger.clone(), servers.bus.clone()).run(stop.clone()));
    reached(
        "the relay",
        || async { servers.bus.stream().await.ok().map(|stream| stream.cached_info().state.last_sequence) },
        head,
    )
    .await;
    let relayed = rate(head, begun);
    stop.cancel();
    relay.await.unwrap();
    format!(
        "| events | appended, events/s | relayed, events/s | relayed to appended |\n|---|---|---|---|\n\
         | {head} | {appended:.0} | {relayed:.0} | {:.2} |\n",
        relayed / appended
    )
}

/// The audit trail to a Loki of its own, where there is one.
pub async fn loki(servers: &Servers) -> String {
    let Some(loki) = LokiProcess::start("the rate of pushes to Loki") else {
        return "No Loki was tried: `./dev loki` builds it.\n".to_owned();
    };
    let url = format!("{}/ready", loki.url());
    reached(
        "Loki",
        || async { reqwest::get(&url).await.ok().map(|answer| u64::from(answer.status().is_success())) },
        1,
    )
    .await;
    let options = LokiOptions {
        url: loki.url().to_owned(),
        tenant: None,
        token: None,
        job: "bench".to_owned(),
        max_age: std::time::Duration::from_secs(7 * 24 * 3600),
        max_line_bytes: 256 * 1024,
    };
    let (ledger, stop) = (&servers.ledger, CancellationToken::new());
    let (begun, head) = (Instant::now(), ledger.head().await.unwrap().position);
    let trail = AuditTrail::new(ledger.clone(), &servers.postgres, Loki::new(options).unwrap()).unwrap();
    let trail = tokio::spawn(trail.run(stop.clone()));
    let at = || async {
        let sql = "SELECT position FROM audit_trails WHERE target = 'loki'";
        let at: Option<i64> = sqlx::query_scalar(sql).fetch_optional(&servers.superuser).await.unwrap();
        at.and_then(|at| u64::try_from(at).ok())
    };
    reached("the audit trail", at, head).await;
    let pushed = rate(head, begun);
    stop.cancel();
    trail.await.unwrap();
    format!("| events | pushed to Loki, events/s |\n|---|---|\n| {head} | {pushed:.0} |\n")
}
