//! What a replay reads: events, the content they refer to, the bundles that decided.

use std::collections::{BTreeMap, BTreeSet};

use xagent_domain::bundle::Manifest;
use xagent_domain::run::{Consultation, PlannerSpec, RunEvent};
use xagent_domain::{CanonicalJson, Content, Digest, Recorded, RunId, read};

/// The recordings of one run.
#[derive(Clone, Debug, Default)]
pub struct Recordings {
    /// The run's events, in order, as they were recorded.
    pub events: Vec<Recorded>,
    /// The events of the run that this one continues, in order; none where they are not at hand.
    pub origin: Option<Vec<Recorded>>,
    /// Texts of the blob table, by digest.
    pub blobs: BTreeMap<Digest, String>,
    /// Manifests of the bundles, by digest.
    pub bundles: BTreeMap<Digest, Manifest>,
}

/// What events refer to and recordings must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Content that does not stand in the events.
    pub blobs: BTreeSet<Digest>,
    /// Bundles that decided.
    pub bundles: BTreeSet<Digest>,
}

impl Needs {
    /// What these events refer to. Events that cannot be read are skipped here; the replay names them.
    pub fn of(events: &[Recorded]) -> Self {
        let mut needs = Self::default();
        let read = |event: &Recorded| read::<RunEvent>(&event.event_type, &event.event_version, &event.payload).ok();
        for event in events.iter().filter_map(read) {
            contents(&event).iter().for_each(|content| needs.content(content));
            if let RunEvent::DecisionMade(made) = &event {
                needs.bundles.insert(made.evaluation.bundle);
            }
        }
        needs
    }

    /// The run that these events continue, where they do.
    pub fn origin(events: &[Recorded]) -> Option<RunId> {
        events.iter().filter(|event| event.event_type == "RunForked").find_map(|event| {
            match read::<RunEvent>(&event.event_type, &event.event_version, &event.payload).ok()? {
                RunEvent::RunForked { from, .. } => Some(from),
                _ => None,
            }
        })
    }

    /// Adds what a bundle's manifest refers to.
    pub fn manifest(&mut self, manifest: &Manifest) {
        manifest.modules.values().chain([&manifest.data]).for_each(|content| self.content(content));
    }

    fn content(&mut self, content: &Content) {
        if content.text.is_none() {
            self.blobs.insert(content.digest);
        }
    }
}

impl Recordings {
    /// The text of a content, if it is recorded.
    pub(crate) fn text<'a>(&'a self, content: &'a Content) -> Option<&'a str> {
        content.text.as_deref().or_else(|| self.blobs.get(&content.digest).map(String::as_str))
    }

    /// As [`Recordings::text`], as the canonical JSON it was recorded as.
    pub(crate) fn json(&self, content: &Content) -> Option<CanonicalJson> {
        self.text(content).map(|text| CanonicalJson::recorded(text.to_owned()))
    }
}

/// The contents an event refers to.
pub(crate) fn contents(event: &RunEvent) -> Vec<&Content> {
    match event {
        RunEvent::EventInherited(inherited) => contents(&inherited.event),
        RunEvent::DecisionMade(made) => vec![&made.input],
        RunEvent::RunStarted { planner: PlannerSpec::Scripted(plan), .. } => vec![plan],
        RunEvent::PlannerConsulted(Consultation { exchange: Some(exchange), .. }) => {
            exchange.reply.iter().chain([&exchange.tools]).collect()
        }
        RunEvent::ToolCallProposed { arguments, .. } => vec![arguments],
        RunEvent::ToolCallCompleted { outcome, .. } => vec![&outcome.output],
        _ => Vec::new(),
    }
}
