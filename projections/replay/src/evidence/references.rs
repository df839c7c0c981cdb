//! What events of every kind refer to: contents that stand outside, and the bundles that answered. The same for whoever
//! exports and whoever examines.

use std::collections::BTreeSet;

use xagent_domain::access::AccessEvent;
use xagent_domain::api_key::ApiKeyEvent;
use xagent_domain::bundle::BundleEvent;
use xagent_domain::decision_log::DecisionLogEvent;
use xagent_domain::run::RunEvent;
use xagent_domain::tool::ToolEvent;
use xagent_domain::upstream::UpstreamEvent;
use xagent_domain::{Content, DecisionMade, Digest, Event, Recorded, Unreadable, read};

use super::parse::Parsed;
use super::seals::place;
use super::verdict::{Fault, Finding, find};
use crate::decisions::unanswered;
use crate::recordings::contents;

/// What an event refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refers {
    /// The decision, where it is one.
    pub decision: Option<Box<DecisionMade>>,
    /// All its contents.
    pub contents: Vec<Content>,
}

impl Refers {
    /// Contents that do not stand in the event.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> {
        self.contents.iter().filter(|content| content.text.is_none()).map(|content| content.digest)
    }

    /// The bundle that answered, where one did.
    pub fn bundle(&self) -> Option<Digest> {
        let evaluation = &self.decision.as_ref()?.evaluation;
        (!unanswered(&evaluation.outcome)).then_some(evaluation.bundle)
    }

    fn decision(made: Box<DecisionMade>) -> Self {
        Self { contents: vec![made.input.clone()], decision: Some(made) }
    }

    fn contents(contents: Vec<Content>) -> Self {
        Self { contents, decision: None }
    }
}

/// What `event` refers to.
pub fn refers(event: &Recorded) -> Result<Refers, Unreadable> {
    fn fact<E: Event>(event: &Recorded) -> Result<E, Unreadable> {
        read(&event.event_type, &event.event_version, &event.payload)
    }
    Ok(match event.aggregate_type.as_str() {
        "run" => match fact(event)? {
            RunEvent::DecisionMade(made) => Refers::decision(made),
            other => Refers::contents(contents(&other).into_iter().cloned().collect()),
        },
        "access" => match fact(event)? {
            AccessEvent::DecisionMade(made) => Refers::decision(made),
            AccessEvent::CommandRefused { .. } | AccessEvent::RequestsRefused { .. } => Refers::default(),
        },
        "bundle" => match fact(event)? {
            BundleEvent::DecisionMade(made) => Refers::decision(made),
            BundleEvent::BundlePublished(published) => {
                Refers::contents(published.modules.into_values().chain([published.data]).collect())
            }
            BundleEvent::ReplayRecorded(replayed) => Refers::contents(vec![replayed.report]),
            BundleEvent::BundleActivated { .. } | BundleEvent::BundleRetired { .. } => Refers::default(),
        },
        "tool" => match fact(event)? {
            ToolEvent::DecisionMade(made) => Refers::decision(made),
            ToolEvent::ToolRegistered(_) | ToolEvent::ToolRetired { .. } => Refers::default(),
        },
        "api_key" => match fact(event)? {
            ApiKeyEvent::DecisionMade(made) => Refers::decision(made),
            ApiKeyEvent::ApiKeyIssued(_) | ApiKeyEvent::ApiKeyRevoked { .. } => Refers::default(),
        },
        "upstream" => match fact(event)? {
            UpstreamEvent::DecisionMade(made) => Refers::decision(made),
            UpstreamEvent::UpstreamDeclared(_) | UpstreamEvent::UpstreamWithdrawn { .. } => Refers::default(),
        },
        "decision_log" => match fact(event)? {
            DecisionLogEvent::DecisionMade(made) => Refers::decision(made),
            DecisionLogEvent::DecisionLogged(logged) => Refers::contents(vec![logged.event]),
        },
        _ => return Err(Unreadable::Payload(format!("events of `{}` are not known here", event.aggregate_type))),
    })
}

/// What events and bundles refer to is there, is what its digest says, and nothing else is.
pub(super) fn complete(parsed: &Parsed, findings: &mut Vec<Finding>) {
    let (mut blobs, mut bundles) = (BTreeSet::new(), BTreeSet::new());
    for event in &parsed.events {
        let refers = match refers(event) {
            Ok(refers) => refers,
            Err(error) => {
                find(findings, Fault::Unreadable, place(event), error.to_string());
                continue;
            }
        };
        for content in refers.contents.iter().filter(|content| !content.holds()) {
            find(findings, Fault::Blob, place(event), format!("its text is not what {} says", content.digest));
        }
        for digest in refers.blobs().filter(|digest| !parsed.blobs.contains_key(digest)) {
            find(findings, Fault::Blob, place(event), format!("the content {digest} is missing"));
        }
        blobs.extend(refers.blobs());
        if let Some(bundle) = refers.bundle()
            && bundles.insert(bundle)
            && !parsed.bundles.contains_key(&bundle)
        {
            find(findings, Fault::Bundle, place(event), format!("the bundle {bundle} that decided is missing"));
        }
    }
    for (digest, law) in &parsed.bundles {
        let name = format!("bundle {digest}");
        if !bundles.contains(digest) {
            find(findings, Fault::Bundle, name.clone(), "no decision here names it");
        }
        for (path, text) in law.modules.iter().map(|(path, text)| (path.as_str(), text)).chain([("data", &law.data)]) {
            if !parsed.blobs.contains_key(text) {
                find(findings, Fault::Bundle, name.clone(), format!("the text of `{path}`, {text}, is missing"));
            }
            blobs.insert(*text);
        }
    }
    for digest in parsed.blobs.keys().filter(|digest| !blobs.contains(digest)) {
        find(findings, Fault::Blob, format!("blob {digest}"), "nothing here refers to it");
    }
}
