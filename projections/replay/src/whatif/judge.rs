//! One chunk of history, judged: what engine and policy make of each decision.

use std::cell::LazyCell;
use std::sync::Arc;

use serde_json::Value;
use xagent_domain::access::AccessEvent;
use xagent_domain::{CanonicalJson, DecisionMade, Digest, EngineIdentity, Limits, Outcome, Recorded, read};
use xagent_policies::{Bulk, Bundle, BundleError, Coverage, ParsedInput};

use super::answers::{Asking, Input};
use super::change::{Class, change};
use super::filter::{About, Filter, about};
use super::part::{Changed, Part, Why};
use super::report::{Divergence, EngineChange, Example, Reached};
use crate::decisions::{class, identity, unanswered};

/// Whatever the recordings are in cannot be reached: nothing is judged, and it may be tried again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Outage(pub String);

/// Where recordings that do not stand in the events come from, and how decisions are shown.
pub trait Sources: Send + Sync {
    /// A text of the blob table; none where it is not recorded any more.
    fn text(&self, digest: &Digest) -> Result<Option<String>, Outage>;

    /// A recorded bundle; none where it is not recorded, or not whole.
    fn bundle(&self, digest: &Digest) -> Result<Option<Bundle>, Outage>;

    /// Input and result of a decision as they may be shown.
    fn shown(&self, event: &Recorded, made: &DecisionMade, input: &str) -> (Value, Value);
}

/// Of how many decisions it is counted which lines of the candidate they reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Of none.
    None,
    /// Of those that change, and of about one in so many others, chosen by their inputs.
    OneIn(u32),
}

/// What all who judge share.
#[derive(Clone)]
pub struct Settings {
    /// Holds the candidate, and takes the bundles that decided when they are met.
    pub engine: Arc<Bulk>,
    /// The candidate.
    pub candidate: Arc<Bundle>,
    /// Its digest.
    pub digest: Digest,
    /// What is looked at.
    pub filter: Filter,
    /// Where the rest comes from.
    pub sources: Arc<dyn Sources>,
    /// Examples shown per class at most.
    pub examples: usize,
    /// Whose reach is counted.
    pub sampling: Sampling,
    /// Whether the bundle that decided is asked again about every decision, not only about those of another engine and
    /// those that the candidate makes otherwise.
    pub confirm: bool,
}

/// Judges chunks; one for each that is judged at the same time.
pub struct Judge {
    settings: Settings,
    coverage: Option<Coverage>,
    asking: Asking,
}

/// A decision with all that is read of it.
struct Case<'e> {
    event: &'e Recorded,
    /// Without the text of its input.
    made: Box<DecisionMade>,
    input: CanonicalJson,
}

/// Bounds of what is decided only to see what it reaches.
const COVERING: Limits = Limits { timeout_ms: 10_000 };

impl Judge {
    /// Over an engine that holds the candidate.
    pub fn new(settings: Settings) -> Result<Self, BundleError> {
        let covering = settings.sampling != Sampling::None;
        let coverage = covering.then(|| Coverage::of(&settings.candidate, COVERING)).transpose()?;
        Ok(Self { asking: Asking::new(settings.clone()), settings, coverage })
    }

    /// Judges the decisions of a chunk, in order.
    pub fn judge(&mut self, events: impl IntoIterator<Item = Recorded>) -> Result<Part, Outage> {
        let mut part = Part::default();
        for event in events {
            part.last = event.position;
            part.read += 1;
            if let Some(case) = self.case(&event, &mut part)? {
                self.decide(&case, &mut part)?;
            }
        }
        part.lines = self.coverage.as_mut().map(Coverage::take).unwrap_or_default();
        Ok(part)
    }

    fn case<'e>(&self, event: &'e Recorded, part: &mut Part) -> Result<Option<Case<'e>>, Outage> {
        let position = event.position;
        if xagent_tree::leaf_hash(event).ok() != Some(event.leaf_hash) {
            part.undecided(position, Why::Tampered, "the event is not the one that was sealed");
            return Ok(None);
        }
        let mut made = match read::<AccessEvent>(&event.event_type, &event.event_version, &event.payload) {
            Ok(AccessEvent::DecisionMade(made)) => made,
            Ok(AccessEvent::CommandRefused { .. } | AccessEvent::RequestsRefused { .. }) => return Ok(None),
            Err(error) => {
                part.undecided(position, Why::Unreadable, error.to_string());
                return Ok(None);
            }
        };
        if !self.settings.filter.may_take(&made) {
            part.left_out += 1;
            return Ok(None);
        }
        let digest = made.input.digest;
        let text = match made.input.text.take() {
            Some(text) => Some(text),
            None => self.settings.sources.text(&digest)?,
        };
        let Some(text) = text else {
            part.undecided(position, Why::MissingInput, digest.to_string());
            return Ok(None);
        };
        if Digest::of(text.as_bytes()) != digest {
            part.undecided(position, Why::Tampered, format!("the input is not {digest}"));
            return Ok(None);
        }
        Ok(Some(Case { event, made, input: CanonicalJson::recorded(text) }))
    }

    fn decide(&mut self, case: &Case<'_>, part: &mut Part) -> Result<(), Outage> {
        let subject = (!self.settings.filter.is_empty()).then(|| about(&case.made, case.input.as_str()));
        if subject.as_ref().is_some_and(|subject| !self.settings.filter.takes(subject)) {
            part.left_out += 1;
            return Ok(());
        }
        let evaluation = &case.made.evaluation;
        let bundle = evaluation.bundle;
        if !self.holds(&bundle)? {
            part.undecided(case.event.position, Why::MissingBundle, bundle.to_string());
            return Ok(());
        }
        part.decided += 1;
        *part.bundles.entry(bundle).or_default() += 1;
        let parsed: Input<'_> = LazyCell::new(Box::new(|| ParsedInput::parse(&case.input)));
        let answers = self.asking.both(&case.made, &parsed);
        engine_changed(self.asking.today(), case, answers.baseline.as_ref(), part);
        let before = answers.baseline.as_ref().unwrap_or(&evaluation.outcome);
        let change = change(before, &answers.candidate);
        if self.samples(&case.made.input.digest, change.is_some())
            && let Some(coverage) = &mut self.coverage
        {
            coverage.ask(&evaluation.entrypoint, &parsed);
            part.covering += 1;
        }
        if let Some((class, rules)) = change {
            let subject = subject.unwrap_or_else(|| about(&case.made, case.input.as_str()));
            let example = self.example(case, (before, &answers.candidate), class, &subject, part);
            part.changed.push(changed(case, class, rules.into_iter().collect(), subject, example));
        }
        Ok(())
    }

    /// Whether the engine holds the bundle, taking it where it does not yet.
    fn holds(&self, bundle: &Digest) -> Result<bool, Outage> {
        if self.settings.engine.holds(bundle) {
            return Ok(true);
        }
        let recorded = self.settings.sources.bundle(bundle)?;
        Ok(recorded.is_some_and(|recorded| self.settings.engine.load(&recorded).is_ok()))
    }

    /// By the input alone, so that it does not matter where a chunk begins.
    fn samples(&self, input: &Digest, changed: bool) -> bool {
        match self.settings.sampling {
            Sampling::None => false,
            Sampling::OneIn(every) => {
                let number = input.as_bytes().first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
                changed || number.is_multiple_of(every.max(1))
            }
        }
    }

    fn example(
        &self,
        case: &Case<'_>,
        (before, after): (&Outcome, &Outcome),
        class: Class,
        subject: &About,
        part: &mut Part,
    ) -> Option<Box<Example>> {
        let shown = part.examples.entry(class).or_default();
        if *shown >= self.settings.examples {
            return None;
        }
        *shown += 1;
        let said = |outcome: &Outcome| {
            let mut made = (*case.made).clone();
            made.evaluation.outcome = outcome.clone();
            self.settings.sources.shown(case.event, &made, case.input.as_str())
        };
        let ((input, before), (_, after)) = (said(before), said(after));
        Some(Box::new(Example {
            class,
            position: case.event.position,
            stream: format!("{}/{}", case.event.aggregate_type, case.event.aggregate_id),
            sequence: case.event.sequence,
            decision: case.made.decision.to_string(),
            about: named(subject),
            agent: subject.agent.clone(),
            principal: subject.principal.clone(),
            bundle: case.made.evaluation.bundle.to_string(),
            input,
            before,
            after,
        }))
    }
}

fn changed(
    case: &Case<'_>,
    class: Class,
    rules: Vec<String>,
    subject: About,
    example: Option<Box<Example>>,
) -> Changed {
    let at = Divergence {
        run: case.event.aggregate_id.clone(),
        position: case.event.position,
        sequence: case.event.sequence,
        decision: case.made.decision.to_string(),
        class,
        about: named(&subject),
    };
    let of_run = case.event.aggregate_type == "run";
    Changed { at, of_run, rules, tool: subject.tool, agent: subject.agent, principal: subject.principal, example }
}

fn named(subject: &About) -> String {
    match &subject.tool {
        Some(tool) if subject.asked == "tool call" => tool.clone(),
        Some(tool) => format!("{} {tool}", subject.asked),
        None => subject.asked.clone(),
    }
}

/// Compares what was recorded with what the same bundle says today, where it was asked.
fn engine_changed(today: &EngineIdentity, case: &Case<'_>, baseline: Option<&Outcome>, part: &mut Part) {
    let evaluation = &case.made.evaluation;
    let name = identity(&evaluation.engine);
    let none = || Reached { engine: evaluation.engine.clone(), decisions: 0, asked_again: 0, changed: 0 };
    let reached = part.engines.by_engine.entry(name.clone()).or_insert_with(none);
    reached.decisions += 1;
    if unanswered(&evaluation.outcome) {
        part.engines.unanswered += 1;
        return;
    }
    let Some(baseline) = baseline else { return };
    reached.asked_again += 1;
    // Where another engine decided, error messages are each engine's own.
    let same_engine = evaluation.engine == *today;
    let alike = !same_engine && class(baseline).is_some() && class(baseline) == class(&evaluation.outcome);
    let Some((class, _)) = change(&evaluation.outcome, baseline).filter(|_| !alike) else { return };
    reached.changed += 1;
    part.engines.unexplained += u64::from(same_engine);
    let decision = case.made.decision.to_string();
    part.engines.note(EngineChange { position: case.event.position, decision, engine: name, class });
}
