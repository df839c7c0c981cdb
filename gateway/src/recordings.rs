//! The recordings of a run, read from the ledger for replay. Reads only.

use std::collections::BTreeMap;

use xagent_domain::bundle::{Bundles, Manifest};
use xagent_domain::{Content, Digest, Recorded, Tenant};
use xagent_ledger::{Ledger, LedgerError};
use xagent_policies::Bundle;
use xagent_replay::{Needs, Recordings};

/// Events read at once.
const PAGE: u32 = 1000;

/// All bundles ever published.
pub async fn law(ledger: &Ledger) -> Result<Bundles, LedgerError> {
    Ok(ledger.load::<Bundles>(&Tenant::default_tenant(), "policies").await?.state)
}

/// Everything recorded that a replay of the run needs. What is missing stays missing: replay names it. The texts of bundles
/// that are `held` already are not read.
pub async fn read(
    ledger: &Ledger,
    (tenant, run): (&Tenant, &str),
    law: &Bundles,
    held: impl Fn(&Digest) -> bool,
) -> Result<Recordings, LedgerError> {
    let mut recordings = Recordings { events: events(ledger, tenant, run).await?, ..Recordings::default() };
    if let Some(origin) = Needs::origin(&recordings.events) {
        recordings.origin = Some(events(ledger, tenant, &origin.to_string()).await?);
    }
    let mut needs = Needs::of(&recordings.events);
    for digest in std::mem::take(&mut needs.bundles) {
        if let Some(manifest) = law.published(&digest) {
            if !held(&digest) {
                needs.manifest(manifest);
            }
            recordings.bundles.insert(digest, manifest.clone());
        }
    }
    for digest in needs.blobs {
        if let Some(text) = blob(ledger, &digest).await? {
            recordings.blobs.insert(digest, text);
        }
    }
    Ok(recordings)
}

/// The events of a run, in order.
pub async fn events(ledger: &Ledger, tenant: &Tenant, run: &str) -> Result<Vec<Recorded>, LedgerError> {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.sequence);
        let page = ledger.stream(tenant, "run", run, after, PAGE).await?;
        let ended = page.len() < PAGE as usize;
        events.extend(page);
        if ended {
            return Ok(events);
        }
    }
}

/// A recorded bundle; none where not all of it is there.
pub async fn bundle(ledger: &Ledger, manifest: &Manifest) -> Result<Option<Bundle>, LedgerError> {
    let mut modules = BTreeMap::new();
    for (path, content) in &manifest.modules {
        let Some(text) = text(ledger, content).await? else { return Ok(None) };
        modules.insert(path.clone(), text);
    }
    let Some(data) = text(ledger, &manifest.data).await? else { return Ok(None) };
    Ok(Bundle::from_parts(modules, &data).ok().filter(|bundle| bundle.digest() == manifest.digest))
}

async fn text(ledger: &Ledger, content: &Content) -> Result<Option<String>, LedgerError> {
    match &content.text {
        Some(text) => Ok(Some(text.clone())),
        None => blob(ledger, &content.digest).await,
    }
}

/// A text of the blob table, if it is there.
pub async fn blob(ledger: &Ledger, digest: &Digest) -> Result<Option<String>, LedgerError> {
    match ledger.blob(digest).await {
        Ok(blob) => Ok(Some(blob.text)),
        Err(LedgerError::Blob { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
