//! Commands to the law: publish a bundle, activate it, keep this process at the active one.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use xagent_domain::bundle::{BundleAct, BundleEvent, Bundles, Manifest};
use xagent_domain::governed::Refusal;
use xagent_domain::{Blob, Content, Digest, Tenant};
use xagent_ledger::Receipt;
use xagent_policies::{Bundle, check};

use super::{Caller, Commands, Done, Subject};
use crate::ambient::pause;
use crate::governed::Request;
use crate::{CommandError, InvalidInput};

/// One law per installation: all bundles are in this stream.
const STREAM: &str = "policies";
/// How often at most the stream of bundles is looked at while the ledger grows.
const LOOK: Duration = Duration::from_millis(250);

/// Whose stream the law is in.
pub(super) fn tenant() -> Tenant {
    Tenant::default_tenant()
}

/// A bundle that was published.
#[derive(Clone, Debug, Serialize)]
pub struct Published {
    /// Its digest.
    pub bundle: Digest,
    /// How many of its tests passed.
    pub tests_passed: u32,
    /// What is promised.
    pub receipt: Receipt,
}

impl Commands {
    /// Checks a bundle and keeps it for ever.
    pub async fn publish_bundle(&self, caller: &Caller, bundle: Bundle) -> Result<Published, CommandError> {
        let (manifest, blobs) = gate(bundle).await?;
        let (digest, tests_passed) = (manifest.digest, manifest.tests_passed);
        let attributes = vec![("bundle", digest.to_string())];
        let body = json!({"bundle": digest});
        let subject = Subject { name: "bundle.publish", id: STREAM.to_owned(), attributes, body };
        let executed = self.carry_out::<Bundles>(caller, subject, BundleAct::Publish(manifest), blobs).await?;
        Ok(Published { bundle: digest, tests_passed, receipt: executed.receipt })
    }

    /// Lets a published bundle decide from here on, once the engine has taken it.
    pub async fn activate_bundle(&self, caller: &Caller, digest: Digest) -> Result<Done, CommandError> {
        let bundles = self.bundles().await?;
        let missing = || Refusal::NotFound { what: "published bundle", id: digest.to_string() };
        self.take(bundles.published(&digest).ok_or_else(missing)?).await?;
        let attributes = vec![("bundle", digest.to_string())];
        let body = json!({"bundle": digest});
        let subject = Subject { name: "bundle.activate", id: STREAM.to_owned(), attributes, body };
        let executed = self.carry_out::<Bundles>(caller, subject, BundleAct::Activate(digest), Vec::new()).await?;
        self.executor.law().activate(digest);
        Ok(Done { receipt: executed.receipt })
    }

    /// All bundles of the installation.
    pub async fn bundles(&self) -> Result<Bundles, CommandError> {
        Ok(self.ledger().load::<Bundles>(&tenant(), STREAM).await?.state)
    }

    /// Puts the recorded law in force in this process. An installation without one gets `stock` first.
    pub async fn bring_law_into_force(&self, stock: Bundle) -> Result<Digest, CommandError> {
        if self.bundles().await?.active().is_none() {
            let (manifest, blobs) = gate(stock).await?;
            let digest = manifest.digest;
            self.record_law(BundleAct::Publish(manifest), blobs).await?;
            self.record_law(BundleAct::Activate(digest), Vec::new()).await?;
        }
        let bundles = self.bundles().await?;
        let none = || Refusal::NotFound { what: "active bundle", id: String::new() };
        let active = bundles.active().ok_or_else(none)?;
        self.take(active).await?;
        self.executor.law().activate(active.digest);
        Ok(active.digest)
    }

    /// Follows activations by other processes until `stop`.
    pub async fn follow_law(&self, stop: CancellationToken) {
        let mut tail = self.ledger().tail();
        let (mut position, mut failures) = (0, 0);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            let step = async {
                look.tick().await;
                position = tail.wait_past(position, Duration::from_secs(1)).await?;
                self.catch_up_with_law().await
            };
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = step => result,
            };
            match result {
                Ok(()) => failures = 0,
                Err(error) => {
                    tracing::debug!(error = %error, "law.follow.failed");
                    failures += 1;
                    tokio::time::sleep(pause(failures, 2000)).await;
                }
            }
        }
    }

    async fn catch_up_with_law(&self) -> Result<(), CommandError> {
        let bundles = self.bundles().await?;
        if let Some(active) = bundles.active().filter(|active| self.executor.law().active() != Some(active.digest)) {
            self.take(active).await?;
            self.executor.law().activate(active.digest);
            tracing::info!(bundle = %active.digest, "law.activated");
        }
        Ok(())
    }

    /// The first law is recorded by the system: there is none yet that could be asked.
    async fn record_law(&self, act: BundleAct, blobs: Vec<Blob>) -> Result<(), CommandError> {
        let metadata = self.system_metadata("system:bootstrap", "");
        let (tenant, aggregate_id) = (tenant(), STREAM.to_owned());
        let request =
            Request { tenant, aggregate_id, act, intent: None, on_behalf_of: None, blobs, metadata, key: None };
        let executed = self.executor.execute::<Bundles>(request).await?;
        debug_assert!(executed.events.iter().all(|e| !matches!(e.event(), BundleEvent::DecisionMade(_))));
        Ok(())
    }

    /// Loads a recorded bundle into the engine.
    async fn take(&self, manifest: &Manifest) -> Result<(), CommandError> {
        if self.engine.holds(&manifest.digest) {
            return Ok(());
        }
        let mut modules = std::collections::BTreeMap::new();
        for (path, content) in &manifest.modules {
            modules.insert(path.clone(), self.text_of(content).await?.into_string());
        }
        let data = self.text_of(&manifest.data).await?.into_string();
        let invalid = |error: xagent_policies::BundleError| InvalidInput::new("/bundle", error.to_string());
        let bundle = Bundle::from_parts(modules, &data).map_err(invalid)?;
        if bundle.digest() != manifest.digest {
            let message = format!("its content is {}, not {}", bundle.digest(), manifest.digest);
            return Err(InvalidInput::new("/bundle", message).into());
        }
        self.engine.load(&bundle).map_err(invalid)?;
        Ok(())
    }
}

/// Checks a bundle off the asynchronous threads: its tests may take a while.
async fn gate(bundle: Bundle) -> Result<(Box<Manifest>, Vec<Blob>), CommandError> {
    let checked = tokio::task::spawn_blocking(move || check(&bundle).map(|checked| (bundle, checked)));
    let invalid = |message: String| InvalidInput::new("/modules", message);
    let checked = checked.await.map_err(|error| invalid(format!("the check broke off: {error}")))?;
    let (bundle, checked) = checked.map_err(|error| invalid(error.to_string()))?;
    let mut blobs = Vec::new();
    let mut keep = |text: &str, media_type: &str| {
        let (content, blob) = Content::of(text.to_owned(), media_type);
        blobs.extend(blob);
        content
    };
    let modules = bundle.modules().iter().map(|(path, text)| (path.clone(), keep(text, "text/x-rego"))).collect();
    let data = keep(bundle.data(), "application/json");
    let manifest = Manifest { digest: bundle.digest(), modules, data, tests_passed: checked.tests_passed };
    Ok((Box::new(manifest), blobs))
}
