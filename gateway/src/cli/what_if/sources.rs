//! What a judge of history needs beside the events, read from the ledger. Asked from threads that may wait.

use serde_json::Value;
use tokio::runtime::Handle;
use xagent_domain::bundle::Bundles;
use xagent_domain::{DecisionMade, Digest, Limits, Recorded};
use xagent_ledger::{Ledger, LedgerError};
use xagent_policies::{Bundle, Mask};
use xagent_replay::whatif::{Outage, Sources};

use crate::cli::CliError;
use crate::{opa_event, recordings};

/// Bounds of one evaluation of the masks.
const MASKING: Limits = Limits { timeout_ms: 500 };
/// A longer part of a decision is not shown, in bytes.
const LONGEST: usize = 16 * 1024;

/// The ledger, and the masks of the bundle in force.
pub struct FromLedger {
    ledger: Ledger,
    law: Bundles,
    mask: Option<Mask>,
    runtime: Handle,
}

impl FromLedger {
    pub async fn new(ledger: Ledger, law: Bundles) -> Result<Self, CliError> {
        let in_force = match law.active() {
            Some(active) => recordings::bundle(&ledger, active).await?,
            None => None,
        };
        let mask = in_force.and_then(|bundle| Mask::of(&bundle, MASKING).ok());
        Ok(Self { ledger, law, mask, runtime: Handle::current() })
    }
}

impl Sources for FromLedger {
    fn text(&self, digest: &Digest) -> Result<Option<String>, Outage> {
        self.runtime.block_on(recordings::blob(&self.ledger, digest)).map_err(outage)
    }

    fn bundle(&self, digest: &Digest) -> Result<Option<Bundle>, Outage> {
        let Some(manifest) = self.law.published(digest) else { return Ok(None) };
        self.runtime.block_on(recordings::bundle(&self.ledger, manifest)).map_err(outage)
    }

    /// Where the masks cannot be known, nothing is shown.
    fn shown(&self, event: &Recorded, made: &DecisionMade, input: &str) -> (Value, Value) {
        let Some(mask) = &self.mask else { return (Value::Null, Value::Null) };
        let mut shown = opa_event::of(event, made, Some(input));
        mask.apply(&mut shown);
        let mut take = |name: &str| shown.remove(name).map(bounded);
        let said = take("result").or_else(|| take("error")).unwrap_or_default();
        (take("input").unwrap_or_default(), said)
    }
}

fn bounded(value: Value) -> Value {
    let bytes = value.to_string().len();
    if bytes > LONGEST { Value::from(format!("{bytes} bytes: too long to be shown here")) } else { value }
}

fn outage(error: LedgerError) -> Outage {
    Outage(error.to_string())
}
