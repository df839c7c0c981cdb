//! The projector of the query tables: it follows the ledger itself, so that they need neither NATS nor Redis.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use xagent_ledger::{Lease, Led, Ledger, lead};

use super::fold::Fold;
use super::write::apply;
use super::{Tables, TablesError};
use crate::measured;

/// Events applied at once.
const PAGE: u32 = 2000;
/// How often an idle projector looks at its lease and at the tables.
const WATCH: Duration = Duration::from_secs(1);

/// Keeps the query tables. Runs in every process; one of them writes.
pub struct TableProjector {
    ledger: Ledger,
    tables: Tables,
}

impl TableProjector {
    /// From `ledger` into `tables`.
    pub fn new(ledger: Ledger, tables: Tables) -> Self {
        Self { ledger, tables }
    }

    /// Projects until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        // Told from the start: a count that is missing looks like one that is 0, and is not.
        measured::unallowed(0);
        lead(&self, &stop).await;
    }
}

impl Led for TableProjector {
    const KEY: &'static str = "view/tables";
    type Error = TablesError;

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Applies page after page, for as long as the lease is held and nobody else moves the tables.
    async fn work(&self, lease: &Lease, failures: &mut u32) -> Result<(), TablesError> {
        let mut fold = Fold::new();
        let begin = self.tables.position().await?;
        measured::begins("view/tables", begin);
        let mut events = self.ledger.subscribe(begin, PAGE);
        while lease.is_held().await {
            let position = events.position();
            let page = events.next_within(WATCH).await?;
            if page.is_empty() {
                let found = self.tables.position().await?;
                if found != position {
                    return Err(TablesError::Moved { expected: position, found });
                }
                continue;
            }
            let unallowed = self.tables.take(&mut fold, position, &page).await?;
            measured::unallowed(unallowed);
            if let Some(last) = page.last() {
                measured::reached("view/tables", page.len(), last, self.ledger.now_us());
            }
            *failures = 0;
        }
        Ok(())
    }
}

impl Tables {
    async fn take(&self, fold: &mut Fold, from: u64, page: &[xagent_domain::Recorded]) -> Result<u64, TablesError> {
        let acquired = self.writer.acquire().await;
        let mut connection = acquired.map_err(|error| TablesError::database("connect", &error))?;
        apply(&mut connection, "views", fold, from, page).await
    }
}
