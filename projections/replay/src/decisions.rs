//! One decision: its input rebuilt from the state before it, its bundle asked again, its verdict drawn again.

use xagent_domain::run::Run;
use xagent_domain::{
    CanonicalJson, DecisionMade, Document, EngineIdentity, Entrypoint, FailureClass, Inquiry, Outcome, Question,
    Recorded, command_inquiry, tool_inquiry,
};
use xagent_policies::{Bulk, Bundle};

use crate::verify::Walk;
use crate::{Divergence, Kind, Recordings};

/// Loads every recorded bundle into the engine. A missing one is reported where it is needed.
pub(crate) fn load_bundles(recordings: &Recordings, engine: &Bulk) -> Result<(), Box<Divergence>> {
    for (digest, manifest) in recordings.bundles.iter().filter(|(digest, _)| !engine.holds(digest)) {
        let text = |content| recordings.text(content).map(str::to_owned);
        let modules = manifest.modules.iter().map(|(path, content)| Some((path.clone(), text(content)?))).collect();
        let (Some(modules), Some(data)) = (modules, text(&manifest.data)) else { continue };
        let Ok(bundle) = Bundle::from_parts(modules, &data) else { continue };
        if bundle.digest() == *digest {
            // A bundle that no longer loads is reported as missing by the decision that needs it.
            let _unloadable = engine.load(&bundle);
        }
    }
    Ok(())
}

pub(crate) fn check_decision(
    walk: &mut Walk<'_>,
    event: &Recorded,
    made: &DecisionMade,
) -> Result<(), Box<Divergence>> {
    let at = |kind, recorded: String, replayed: String| Divergence::at(event, kind, recorded, replayed);
    let recorded = walk.recordings.text(&made.input).unwrap_or_default().to_owned();
    let inquiry = rebuild(walk, made).map_err(|why| at(Kind::Input, recorded.clone(), why))?;
    if inquiry.input.as_str() != recorded {
        return Err(at(Kind::Input, recorded, inquiry.input.into_string()));
    }
    if inquiry.question != made.question {
        return Err(at(Kind::Input, json(&made.question), json(&inquiry.question)));
    }
    decide_again(walk, &inquiry, made).map_err(|(kind, recorded, replayed)| at(kind, recorded, replayed))?;
    drawn(made).map_err(|(kind, recorded, replayed)| at(kind, recorded, replayed))
}

/// The verdict is what the recorded result says.
pub(crate) fn drawn(made: &DecisionMade) -> Result<(), Difference> {
    let drawn = made.evaluation.outcome.document();
    let (deny, obligations) = (made.deny.clone(), made.obligations.clone());
    let recorded = Document { allow: made.allow, deny, obligations };
    if recorded != drawn {
        return Err((Kind::Verdict, json(&recorded), json(&drawn)));
    }
    Ok(())
}

/// The question as the same pure functions put it, on the state before the decision.
fn rebuild(walk: &Walk<'_>, made: &DecisionMade) -> Result<Inquiry, String> {
    let run: &Run = &walk.run;
    let inquiry = match &made.question {
        Question::Command(intent) => command_inquiry(Some(run), intent, &made.context),
        Question::ToolCall { call, .. } => {
            let call = run.call(call).ok_or_else(|| format!("the call {call} is not open before this decision"))?;
            let missing = || format!("the arguments {} are not recorded", call.arguments.digest);
            let arguments = walk.recordings.json(&call.arguments).ok_or_else(missing)?;
            tool_inquiry(run, call, &arguments, &made.context)
        }
    };
    inquiry.map_err(|error| error.to_string())
}

pub(crate) type Difference = (Kind, String, String);

/// What deciding again came to, where nothing differs.
pub(crate) enum Again {
    /// There was no answer, so there is none to compare.
    NotDecidable,
    /// The same answer.
    Same { by_another_engine: bool },
}

fn decide_again(walk: &mut Walk<'_>, inquiry: &Inquiry, made: &DecisionMade) -> Result<(), Difference> {
    let (entrypoint, parts) = (inquiry.question.entrypoint(), (walk.recordings, walk.engine));
    match again(parts, &entrypoint, &inquiry.input, made)? {
        Again::NotDecidable => walk.report.not_decidable_again.push(made.decision.to_string()),
        Again::Same { by_another_engine } => {
            walk.report.decided_again += 1;
            walk.report.by_another_engine += u64::from(by_another_engine);
        }
    }
    Ok(())
}

/// Asks the recorded bundle again, and compares.
pub(crate) fn again(
    (recordings, engine): (&Recordings, &Bulk),
    entrypoint: &Entrypoint,
    input: &CanonicalJson,
    made: &DecisionMade,
) -> Result<Again, Difference> {
    let evaluation = &made.evaluation;
    if unanswered(&evaluation.outcome) {
        return Ok(Again::NotDecidable);
    }
    if !engine.holds(&evaluation.bundle) {
        let replayed = "no such bundle is recorded".to_owned();
        return Err((Kind::MissingBundle, evaluation.bundle.to_string(), replayed));
    }
    let data = recordings.bundles.get(&evaluation.bundle).map(|manifest| manifest.data.digest);
    if let (Some(recorded), Some(data)) = (evaluation.data, data)
        && recorded != data
    {
        return Err((Kind::Result, format!("data {recorded}"), format!("data {data}")));
    }
    let authority = engine.authority();
    if *entrypoint != evaluation.entrypoint {
        return Err((Kind::Engine, evaluation.entrypoint.to_string(), entrypoint.to_string()));
    }
    // Where another engine decided, the authority must say the same; error messages are each engine's own.
    let is_same = evaluation.engine.name == authority.name;
    if is_same && evaluation.engine != authority {
        return Err((Kind::Engine, identity(&evaluation.engine), identity(&authority)));
    }
    let (outcome, _) = engine.decide_again(&evaluation.bundle, entrypoint, input, &evaluation.outcome);
    if outcome == evaluation.outcome
        || (!is_same && class(&outcome).is_some() && class(&outcome) == class(&evaluation.outcome))
    {
        return Ok(Again::Same { by_another_engine: !is_same });
    }
    Err((Kind::Result, shown(&evaluation.outcome), shown(&outcome)))
}

pub(crate) fn class(outcome: &Outcome) -> Option<FailureClass> {
    match outcome {
        Outcome::Failure { class, .. } => Some(*class),
        Outcome::Document(_) => None,
    }
}

/// Failures that say nothing about bundle and input, so that asking again proves nothing.
pub(crate) fn unanswered(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Failure {
            class: FailureClass::Timeout | FailureClass::EngineUnavailable | FailureClass::BundleMissing,
            ..
        }
    )
}

pub(crate) fn identity(engine: &EngineIdentity) -> String {
    format!("{} {} ({})", engine.name, engine.version, engine.mode)
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Document(text) => text.as_str().to_owned(),
        Outcome::Failure { .. } => {
            CanonicalJson::of(outcome).map_or_else(|e| e.to_string(), CanonicalJson::into_string)
        }
    }
}

/// A value as canonical JSON, for showing both sides of a divergence.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    CanonicalJson::of(value).map_or_else(|error| error.to_string(), CanonicalJson::into_string)
}
