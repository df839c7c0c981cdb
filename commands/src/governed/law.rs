//! Asking the law: the active bundle, an engine, bounded concurrency, a bounded wait.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use xagent_domain::{
    Content, DecisionId, Digest, EngineIdentity, Entrypoint, Evaluation, FailureClass, Inquiry, Limits, Outcome, Ruling,
};
use xagent_policies::PolicyEngine;

use crate::{Ids, measured};

/// How long beyond the engine's own limit an answer is waited for.
const GRACE: Duration = Duration::from_millis(400);

/// The law in force. Whatever goes wrong in asking it is a denial.
#[derive(Clone)]
pub struct Law {
    engine: Arc<dyn PolicyEngine>,
    active: Arc<ArcSwapOption<Digest>>,
    slots: Arc<Semaphore>,
    limits: Limits,
    ids: Ids,
}

impl Law {
    /// A law without an active bundle: it denies everything until [`Law::activate`].
    pub fn new(engine: Arc<dyn PolicyEngine>, limits: Limits, concurrency: usize) -> Self {
        let slots = Arc::new(Semaphore::new(concurrency));
        Self { engine, active: Arc::default(), slots, limits, ids: Ids }
    }

    /// Lets `bundle`, which the engine has loaded, decide from here on.
    pub fn activate(&self, bundle: Digest) {
        // Without it the engine's answers are of another bundle, and each is a denial.
        if let Err(error) = self.engine.enact(&bundle) {
            tracing::error!(bundle = %bundle, error = %error, "law.enact.failed");
        }
        self.active.store(Some(Arc::new(bundle)));
    }

    /// The bundle in force.
    pub fn active(&self) -> Option<Digest> {
        self.active.load().as_deref().copied()
    }

    /// Asks one question.
    pub async fn ask(&self, inquiry: &Inquiry) -> (Ruling, Option<xagent_domain::Blob>) {
        let (asked, decision) = (Instant::now(), DecisionId::new(self.ids.draw()));
        let span = tracing::info_span!(
            "xagent.decide",
            "xagent.decision" = %decision,
            "xagent.entrypoint" = inquiry.question.entrypoint().as_str(),
            "xagent.bundle" = tracing::field::Empty,
            "xagent.verdict" = tracing::field::Empty,
        );
        let evaluation = self.evaluate(inquiry).instrument(span.clone()).await;
        if !span.is_disabled() {
            span.record("xagent.bundle", tracing::field::display(evaluation.bundle));
            span.record("xagent.verdict", measured::verdict(&evaluation.outcome.document()));
        }
        measured::decided(&evaluation, asked.elapsed());
        let (input, blob) = Content::json(inquiry.input.clone());
        (Ruling { decision, input, evaluation }, blob)
    }

    async fn evaluate(&self, inquiry: &Inquiry) -> Evaluation {
        let entrypoint = inquiry.question.entrypoint();
        let Some(bundle) = self.active() else {
            let none = Digest::from_bytes([0; 32]);
            return self.failed(none, entrypoint, FailureClass::BundleMissing, "no bundle is active");
        };
        // One deadline for the wait and the answer: an engine that is busy or away denies in the same time.
        let deadline = Instant::now() + Duration::from_millis(self.limits.timeout_ms) + GRACE;
        let waiting = measured::Waiting::begin();
        let slot = timeout_at(deadline, self.slots.clone().acquire_owned()).await;
        drop(waiting);
        let Ok(Ok(slot)) = slot else {
            return self.failed(bundle, entrypoint, FailureClass::EngineUnavailable, "the policy engine is too busy");
        };
        let (engine, input, rule) = (self.engine.clone(), inquiry.input.clone(), entrypoint.clone());
        let answer = tokio::task::spawn_blocking(move || {
            let evaluation = engine.decide(&bundle, &rule, &input);
            drop(slot);
            evaluation
        });
        match timeout_at(deadline, answer).await {
            Ok(Ok(evaluation)) => evaluation,
            Ok(Err(_)) => {
                self.failed(bundle, entrypoint, FailureClass::EngineUnavailable, "the policy engine broke off")
            }
            Err(_) => {
                self.failed(bundle, entrypoint, FailureClass::Timeout, "the policy engine gave no answer in time")
            }
        }
    }

    fn failed(&self, bundle: Digest, entrypoint: Entrypoint, class: FailureClass, message: &str) -> Evaluation {
        let engine = EngineIdentity { name: "none".to_owned(), version: String::new(), mode: String::new() };
        let outcome = Outcome::Failure { class, message: message.to_owned() };
        Evaluation { entrypoint, bundle, data: None, engine, limits: self.limits, outcome, duration_us: 0 }
    }
}
