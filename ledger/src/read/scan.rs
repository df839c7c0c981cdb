//! Scanning: the events of one kind in a range of positions, streamed with bounded memory. Unverified: who scans, judges.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use xagent_domain::{Recorded, RunId, Tenant};

use super::{AHEAD, Copied, copy};
use crate::row::Row;
use crate::{Ledger, LedgerError};

/// Which events a scan gives.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The position after which it begins.
    pub after: u64,
    /// The last position.
    pub to: u64,
    /// Whose; none for all tenants.
    pub tenant: Option<Tenant>,
    /// The fact.
    pub event_type: &'static str,
    /// Of this run alone.
    pub run: Option<RunId>,
    /// Recorded at this moment or later, in microseconds since 1970.
    pub since_us: Option<i64>,
    /// Recorded before this moment, in microseconds since 1970.
    pub until_us: Option<i64>,
}

/// A scan under way. The task behind it ends with it.
pub struct Scanned {
    ahead: mpsc::Receiver<Result<Vec<Row>, LedgerError>>,
    reader: JoinHandle<()>,
}

impl Drop for Scanned {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Ledger {
    /// Begins a scan. A range that begins in an archive is an error: nothing is left out unsaid.
    pub async fn scan(&self, scan: &Scan) -> Result<Scanned, LedgerError> {
        if scan.after < scan.to && self.attached_from().await? > scan.after + 1 {
            return Err(self.archived_at(scan.after + 1).await?);
        }
        let (sender, ahead) = mpsc::channel(AHEAD);
        let (ledger, condition, after, to) = (self.clone(), scan.condition(), scan.after, scan.to);
        let reader = tokio::spawn(async move {
            if let Err(error) = copy(&ledger, &Copied { after, to, condition: &condition }, &sender, Ok).await {
                // Who asked may have stopped listening.
                drop(sender.send(Err(error)).await);
            }
        });
        Ok(Scanned { ahead, reader })
    }
}

impl Scanned {
    /// The next events, at least one, in order; none at the end.
    pub async fn next(&mut self) -> Result<Option<Chunk>, LedgerError> {
        self.ahead.recv().await.transpose().map(|rows| rows.map(Chunk))
    }
}

/// Events as they came from the database: they are read one by one, where they are judged.
pub struct Chunk(Vec<Row>);

impl Chunk {
    /// The events.
    pub fn events(&self) -> impl Iterator<Item = Result<Recorded, LedgerError>> {
        self.0.iter().map(recorded)
    }
}

impl Scan {
    /// COPY takes no parameters: what stands here is a number, or text of a narrow alphabet.
    fn condition(&self) -> String {
        let mut parts = vec![format!("AND event_type = '{}'", self.event_type)];
        parts.extend(self.tenant.as_ref().map(|tenant| format!("AND tenant = '{tenant}'")));
        parts.extend(self.run.map(|run| format!("AND aggregate_type = 'run' AND aggregate_id = '{run}'")));
        let moment = |us: i64| format!("timestamptz 'epoch' + {us} * interval '1 microsecond'");
        parts.extend(self.since_us.map(|us| format!("AND recorded_at >= {}", moment(us))));
        parts.extend(self.until_us.map(|us| format!("AND recorded_at < {}", moment(us))));
        parts.join(" ")
    }
}

fn recorded(row: &Row) -> Result<Recorded, LedgerError> {
    let place = row.place();
    let undecodable = |column: &'static str| LedgerError::Undecodable {
        position: place.position,
        column,
        detail: "it is not of the form this ledger writes".to_owned(),
    };
    let tenant = row.tenant().map_err(undecodable)?;
    let said = row.placeless(&tenant).map_err(undecodable)?;
    Ok(Recorded {
        position: place.position,
        aggregate_type: said.aggregate_type.to_owned(),
        aggregate_id: said.aggregate_id.to_owned(),
        sequence: place.sequence,
        event_type: said.event_type.to_owned(),
        event_version: said.event_version.to_owned(),
        payload: said.payload.to_owned(),
        metadata: said.metadata.to_owned(),
        recorded_at_us: place.recorded_at_us,
        leaf_hash: row.leaf_hash().ok_or_else(|| undecodable("leaf_hash"))?,
        tenant,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_says_what_is_wanted_and_nothing_of_a_callers() {
        let all = Scan {
            after: 0,
            to: 9,
            tenant: None,
            event_type: "DecisionMade",
            run: None,
            since_us: None,
            until_us: None,
        };
        assert_eq!(all.condition(), "AND event_type = 'DecisionMade'");
        let run = "run_00000000000000000000000000000007";
        let narrow = Scan { tenant: "acme".parse().ok(), run: run.parse().ok(), since_us: Some(-1), ..all };
        let expected = "AND event_type = 'DecisionMade' AND tenant = 'acme' AND aggregate_type = 'run' \
                        AND aggregate_id = 'run_00000000000000000000000000000007' \
                        AND recorded_at >= timestamptz 'epoch' + -1 * interval '1 microsecond'";
        assert_eq!(narrow.condition(), expected);
    }
}
