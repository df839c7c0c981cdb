//! Asking the law: the active bundle, an engine, bounded concurrency, a bounded wait.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use xagent_domain::{
    Blob, CanonicalJson, Content, DecisionId, Digest, EngineIdentity, Entrypoint, Evaluation, FailureClass, Inquiry,
    Limits, Outcome, Question, Ruling,
};
use xagent_policies::{Bundle, BundleError, Embedded, PolicyEngine};

use crate::{Ids, measured};

/// How long beyond the engine's own limit an answer is waited for.
const GRACE: Duration = Duration::from_millis(400);

/// The law in force. Whatever goes wrong in asking it is a denial.
#[derive(Clone)]
pub struct Law {
    engine: Arc<dyn PolicyEngine>,
    /// Holds bundles that are not in force. What they say has no effect but on runs that touch nothing.
    apart: Arc<Embedded>,
    active: Arc<ArcSwapOption<Digest>>,
    slots: Arc<Semaphore>,
    limits: Limits,
    ids: Ids,
}

impl Law {
    /// A law without an active bundle: it denies everything until [`Law::activate`].
    pub fn new(engine: Arc<dyn PolicyEngine>, limits: Limits, concurrency: usize) -> Self {
        let slots = Arc::new(Semaphore::new(concurrency));
        Self { engine, apart: Arc::new(Embedded::new(limits)), active: Arc::default(), slots, limits, ids: Ids }
    }

    /// Takes a bundle that need not be in force.
    pub(crate) fn take_apart(&self, bundle: &Bundle) -> Result<(), BundleError> {
        self.apart.load(bundle).map(drop)
    }

    /// Whether it was taken.
    pub(crate) fn holds_apart(&self, bundle: &Digest) -> bool {
        self.apart.holds(bundle)
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
    pub async fn ask(&self, inquiry: &Inquiry) -> (Ruling, Option<Blob>) {
        let answer = self.ask_each(std::slice::from_ref(inquiry), None).await.pop();
        answer.unwrap_or_else(|| {
            let (asked, posed) = self.pose(inquiry, None);
            asked.answered(
                posed.failed(FailureClass::EngineUnavailable, "the policy engine was not asked"),
                Duration::ZERO,
            )
        })
    }

    /// Asks questions one after the other, in one go; tool calls of a bundle that need not be in force, where one is named.
    /// There are as many answers.
    pub(crate) async fn ask_each(&self, inquiries: &[Inquiry], apart: Option<Digest>) -> Vec<(Ruling, Option<Blob>)> {
        let begin = Instant::now();
        let (asked, posed): (Vec<_>, Vec<_>) = inquiries.iter().map(|inquiry| self.pose(inquiry, apart)).unzip();
        let evaluations = self.evaluate(posed.into()).await;
        let (took, all) = (begin.elapsed(), evaluations.iter().map(|evaluation| evaluation.duration_us).sum::<u64>());
        let answers = asked.into_iter().zip(evaluations).map(|(asked, evaluation)| {
            let others = Duration::from_micros(all - evaluation.duration_us);
            asked.answered(evaluation, took.saturating_sub(others))
        });
        answers.collect()
    }

    fn pose(&self, inquiry: &Inquiry, apart: Option<Digest>) -> (Asked, Posed) {
        let (decision, entrypoint) = (DecisionId::new(self.ids.draw()), inquiry.question.entrypoint());
        let span = tracing::info_span!(
            "xagent.decide",
            "xagent.decision" = %decision,
            "xagent.entrypoint" = entrypoint.as_str(),
            "xagent.bundle" = tracing::field::Empty,
            "xagent.verdict" = tracing::field::Empty,
        );
        let apart = apart.filter(|_| matches!(inquiry.question, Question::ToolCall { .. }));
        let engine: Arc<dyn PolicyEngine> = if apart.is_some() { self.apart.clone() } else { self.engine.clone() };
        let (bundle, input, limits) = (apart.or_else(|| self.active()), inquiry.input.clone(), self.limits);
        (Asked { decision, input: input.clone(), span }, Posed { engine, bundle, entrypoint, input, limits })
    }

    async fn evaluate(&self, questions: Arc<[Posed]>) -> Vec<Evaluation> {
        let failed = |class, message| questions.iter().map(|question| question.failed(class, message)).collect();
        // One deadline for the wait and the answers: an engine that is busy or away denies in the same time.
        let limit = Duration::from_millis(self.limits.timeout_ms) * u32::try_from(questions.len()).unwrap_or(u32::MAX);
        let deadline = Instant::now() + limit + GRACE;
        let waiting = measured::Waiting::begin();
        let slot = timeout_at(deadline, self.slots.clone().acquire_owned()).await;
        drop(waiting);
        let Ok(Ok(slot)) = slot else {
            return failed(FailureClass::EngineUnavailable, "the policy engine is too busy");
        };
        let asked = Arc::clone(&questions);
        let answers = tokio::task::spawn_blocking(move || {
            let evaluations = asked.iter().map(Posed::answer).collect();
            drop(slot);
            evaluations
        });
        match timeout_at(deadline, answers).await {
            Ok(Ok(evaluations)) => evaluations,
            Ok(Err(_)) => failed(FailureClass::EngineUnavailable, "the policy engine broke off"),
            Err(_) => failed(FailureClass::Timeout, "the policy engine gave no answer in time"),
        }
    }
}

/// A question on its way to an engine.
struct Posed {
    engine: Arc<dyn PolicyEngine>,
    /// None where none is in force.
    bundle: Option<Digest>,
    entrypoint: Entrypoint,
    input: CanonicalJson,
    limits: Limits,
}

impl Posed {
    fn answer(&self) -> Evaluation {
        match &self.bundle {
            Some(bundle) => self.engine.decide(bundle, &self.entrypoint, &self.input),
            None => self.failed(FailureClass::BundleMissing, "no bundle is active"),
        }
    }

    fn failed(&self, class: FailureClass, message: &str) -> Evaluation {
        Evaluation {
            entrypoint: self.entrypoint.clone(),
            bundle: self.bundle.unwrap_or_else(|| Digest::from_bytes([0; 32])),
            data: None,
            engine: EngineIdentity { name: "none".to_owned(), version: String::new(), mode: String::new() },
            limits: self.limits,
            outcome: Outcome::Failure { class, message: message.to_owned() },
            duration_us: 0,
        }
    }
}

/// A question that waits for its answer.
struct Asked {
    decision: DecisionId,
    input: CanonicalJson,
    span: tracing::Span,
}

impl Asked {
    fn answered(self, evaluation: Evaluation, took: Duration) -> (Ruling, Option<Blob>) {
        if !self.span.is_disabled() {
            self.span.record("xagent.bundle", tracing::field::display(evaluation.bundle));
            self.span.record("xagent.verdict", measured::verdict(&evaluation.outcome.document()));
        }
        measured::decided(&evaluation, took);
        let (input, blob) = Content::json(self.input);
        (Ruling { decision: self.decision, input, evaluation }, blob)
    }
}
