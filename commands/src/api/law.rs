//! Commands to the law: publish a bundle, activate it, roll back, retire, keep this process at the active one.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use xagent_domain::bundle::{BundleAct, BundleEvent, Bundles, Manifest, Publication};
use xagent_domain::governed::Refusal;
use xagent_domain::{Blob, Content, Digest, Tenant};
use xagent_ledger::Receipt;
use xagent_policies::{Bundle, Checked, check};

use super::runs::{LONGEST_TEXT, check_text};
use super::{Caller, Commands, Done, Subject, intent};
use crate::ambient::pause;
use crate::governed::{Executed, Request, unloadable};
use crate::{CommandError, InvalidInput};

/// One law per installation: all bundles are in this stream.
pub(super) const STREAM: &str = "policies";
/// How often at most the stream of bundles is looked at while the ledger grows.
const LOOK: Duration = Duration::from_millis(250);

/// Whose stream the law is in.
pub(super) fn tenant() -> Tenant {
    Tenant::default_tenant()
}

/// How long a bundle waits for the one that is being checked.
const QUEUE: Duration = Duration::from_secs(10);

/// What changes of the law share in this process.
pub(super) struct Lawmaking {
    /// One bundle is checked at a time: its tests take what time they take.
    gate: Semaphore,
    /// Who holds it brings the active bundle of the ledger into force here, so that none ever goes back.
    switch: Mutex<()>,
}

impl Default for Lawmaking {
    fn default() -> Self {
        Self { gate: Semaphore::new(1), switch: Mutex::new(()) }
    }
}

/// A bundle that was published.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Published {
    /// Its digest.
    pub bundle: Digest,
    /// What the gate found.
    #[serde(flatten)]
    pub checked: Checked,
    /// What is promised.
    pub receipt: Receipt,
}

/// A bundle that decides from here on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Activated {
    /// Its digest.
    pub bundle: Digest,
    /// The one before it.
    pub previous: Option<Digest>,
    /// What is promised.
    pub receipt: Receipt,
}

impl Commands {
    /// Checks a bundle and keeps it for ever. Whoever may not publish has nothing checked.
    pub async fn publish_bundle(&self, caller: &Caller, bundle: Bundle) -> Result<Published, CommandError> {
        let digest = bundle.digest();
        let attributes = vec![("bundle", digest.to_string())];
        let asked = intent(caller, "bundle.publish", "bundle", STREAM.to_owned(), &attributes);
        self.executor.authorise_read(&asked, false, &self.metadata(caller, "")).await?;
        let (manifest, checked, blobs) = self.gate(bundle).await?;
        let body = json!({"bundle": digest});
        let subject = Subject { name: "bundle.publish", id: STREAM.to_owned(), attributes, body };
        let executed = self.carry_out::<Bundles>(caller, subject, BundleAct::Publish(manifest), blobs).await?;
        Ok(Published { bundle: digest, checked, receipt: executed.receipt })
    }

    /// Lets a published bundle decide from here on, once the engine has taken it.
    pub async fn activate_bundle(&self, caller: &Caller, digest: Digest) -> Result<Activated, CommandError> {
        let bundles = self.bundles().await?;
        let missing = || Refusal::NotFound { what: "published bundle", id: digest.to_string() };
        self.take(bundles.published(&digest).ok_or_else(missing)?).await?;
        let attributes = vec![("bundle", digest.to_string())];
        let body = json!({"bundle": digest});
        let subject = Subject { name: "bundle.activate", id: STREAM.to_owned(), attributes, body };
        let executed = self.carry_out::<Bundles>(caller, subject, BundleAct::Activate(digest), Vec::new()).await?;
        self.activated(executed).await
    }

    /// Lets the bundle decide again that was active before: `to`, or whichever it is.
    pub async fn roll_back_bundle(&self, caller: &Caller, to: Option<Digest>) -> Result<Activated, CommandError> {
        let bundles = self.bundles().await?;
        let body = json!({"to": to});
        let to = to.or_else(|| bundles.previous()).unwrap_or_else(|| Digest::from_bytes([0; 32]));
        if let Some(manifest) = bundles.published(&to) {
            self.take(manifest).await?;
        }
        // To the law it is an activation: whoever may activate a bundle may return to one.
        let attributes = vec![("bundle", to.to_string()), ("rollback", "true".to_owned())];
        let subject = Subject { name: "bundle.activate", id: STREAM.to_owned(), attributes, body };
        let executed = self.carry_out::<Bundles>(caller, subject, BundleAct::RollBack { to }, Vec::new()).await?;
        self.activated(executed).await
    }

    /// Never lets a bundle decide again. It is kept: what it decided stays decidable.
    pub async fn retire_bundle(&self, caller: &Caller, digest: Digest, reason: String) -> Result<Done, CommandError> {
        check_text("/reason", &reason, LONGEST_TEXT)?;
        let attributes = vec![("bundle", digest.to_string())];
        let body = json!({"bundle": digest, "reason": reason});
        let subject = Subject { name: "bundle.retire", id: STREAM.to_owned(), attributes, body };
        let act = BundleAct::Retire { digest, reason };
        let executed = self.carry_out::<Bundles>(caller, subject, act, Vec::new()).await?;
        Ok(Done { receipt: executed.receipt })
    }

    /// A published bundle with its content.
    pub async fn bundle(&self, manifest: &Manifest) -> Result<Bundle, CommandError> {
        self.executor.bundle(manifest).await
    }

    async fn activated(&self, executed: Executed<Bundles>) -> Result<Activated, CommandError> {
        // The activation is committed: what fails from here on, following the ledger makes up for.
        if let Err(error) = self.catch_up_with_law().await {
            tracing::warn!(error = %error, "law.switch.late");
        }
        let activated = executed.events.iter().rev().find_map(|event| match event.event() {
            BundleEvent::BundleActivated { digest, previous, .. } => Some((*digest, *previous)),
            _ => None,
        });
        let now = || (executed.state.active().map(|manifest| manifest.digest), executed.state.previous());
        let (bundle, previous) = activated.map_or_else(now, |(bundle, previous)| (Some(bundle), previous));
        let none = || Refusal::NotFound { what: "active bundle", id: String::new() };
        Ok(Activated { bundle: bundle.ok_or_else(none)?, previous, receipt: executed.receipt })
    }

    /// All bundles of the installation.
    pub async fn bundles(&self) -> Result<Bundles, CommandError> {
        Ok(self.ledger().load::<Bundles>(&tenant(), STREAM).await?.state)
    }

    /// Puts the recorded law in force in this process. An installation without one gets `stock` first.
    pub async fn bring_law_into_force(&self, stock: Bundle) -> Result<Digest, CommandError> {
        if self.bundles().await?.active().is_none() {
            let (manifest, _, blobs) = self.gate(stock).await?;
            let digest = manifest.digest;
            self.record_law(BundleAct::Publish(manifest), blobs).await?;
            self.record_law(BundleAct::Activate(digest), Vec::new()).await?;
        }
        self.catch_up_with_law().await?;
        let none = || Refusal::NotFound { what: "active bundle", id: String::new() };
        Ok(self.executor.law().active().ok_or_else(none)?)
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
        let _switching = self.lawmaking.switch.lock().await;
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
        let bundle = self.bundle(manifest).await?;
        self.engine.load(&bundle).map_err(|error| unloadable(&error))?;
        Ok(())
    }

    /// Checks a bundle off the asynchronous threads.
    async fn gate(&self, bundle: Bundle) -> Result<(Box<Manifest>, Checked, Vec<Blob>), CommandError> {
        let turn = tokio::time::timeout(QUEUE, self.lawmaking.gate.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(CommandError::Contended("of bundles to be checked".to_owned())) };
        let checked = tokio::task::spawn_blocking(move || check(&bundle).map(|checked| (bundle, checked)));
        let broke_off = |message: String| InvalidInput::new("/modules", format!("the check broke off: {message}"));
        let checked = checked.await.map_err(|error| broke_off(error.to_string()))?;
        let (bundle, checked) = checked.map_err(|error| CommandError::Unfit(error.findings))?;
        let (manifest, blobs) = manifest(&bundle, &checked);
        Ok((manifest, checked, blobs))
    }
}

/// A bundle as it is recorded, and the content that does not stand in the event.
fn manifest(bundle: &Bundle, checked: &Checked) -> (Box<Manifest>, Vec<Blob>) {
    let mut blobs = Vec::new();
    let mut keep = |text: &str, media_type: &str| {
        let (content, blob) = Content::of(text.to_owned(), media_type);
        blobs.extend(blob);
        content
    };
    let modules = bundle.modules().iter().map(|(path, text)| (path.clone(), keep(text, "text/x-rego"))).collect();
    let data = keep(bundle.data(), "application/json");
    let publication = Publication {
        revision: bundle.revision().to_owned(),
        roots: bundle.roots().to_vec(),
        signed_by: bundle.signed_by().map(str::to_owned),
        lines_covered: checked.lines_covered,
        lines: checked.lines,
    };
    let (digest, tests_passed) = (bundle.digest(), checked.tests_passed);
    (Box::new(Manifest { digest, modules, data, tests_passed, publication: Some(publication) }), blobs)
}
