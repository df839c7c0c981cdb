//! The herald: tells other processes that the ledger has grown. Beside the append, so that no commit waits for it; who
//! misses it looks for himself in a second.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::watch;

use crate::connect::SESSION;
use crate::pause::pause;

/// Between two notifications: what is appended meanwhile is told by one.
const GAP: Duration = Duration::from_millis(4);
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait after a failure, at most.
const LONGEST_PAUSE_MS: u64 = 2000;

/// Tells of every rise of `appended`, until nobody can raise it any more.
pub(super) async fn run(connect: PgConnectOptions, mut appended: watch::Receiver<u64>) {
    let (mut connection, mut failures) = (None, 0_u32);
    while appended.changed().await.is_ok() {
        loop {
            let position = *appended.borrow_and_update();
            let told = tokio::time::timeout(PATIENCE, tell(&connect, &mut connection, position)).await;
            if matches!(told, Ok(Ok(()))) {
                failures = 0;
                break;
            }
            connection = None;
            failures = failures.saturating_add(1);
            tracing::debug!(failures, "ledger.notify.interrupted");
            tokio::time::sleep(pause(failures, LONGEST_PAUSE_MS)).await;
        }
        tokio::time::sleep(GAP).await;
    }
}

async fn tell(
    connect: &PgConnectOptions,
    connection: &mut Option<PgConnection>,
    position: u64,
) -> Result<(), sqlx::Error> {
    let connection = match connection {
        Some(connection) => connection,
        none => {
            let mut fresh = PgConnection::connect_with(connect).await?;
            fresh.execute(SESSION).await?;
            none.insert(fresh)
        }
    };
    let notify = sqlx::query("SELECT pg_notify('xagent_events', $1)").bind(position.to_string());
    notify.execute(connection).await.map(drop)
}
