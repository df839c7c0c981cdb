//! One change of what was recorded, and where a replay has to find it, and under which name.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::{Value, json};
use xagent_domain::run::Run;
use xagent_domain::{CanonicalJson, Digest, Recorded};
use xagent_replay::{Kind, Needs, Recordings};

use crate::law::Law;

/// A run with one change.
pub struct Mutated {
    /// What was changed.
    pub name: &'static str,
    pub recordings: Recordings,
    /// The state that a view serves.
    pub served: Option<(u64, Run)>,
    /// How the replay has to call it.
    pub kind: Kind,
    /// The sequence of the event at which it has to find it.
    pub sequence: u64,
}

/// A way to change something; none where there is nothing of the sort.
type Way = fn(&mut Change<'_>) -> Option<(Kind, u64)>;

/// What may be changed.
struct Change<'a> {
    rng: &'a mut StdRng,
    law: &'a Law,
    recordings: Recordings,
    end: &'a Run,
    served: Option<(u64, Run)>,
}

const WAYS: [(&str, Way); 25] = [
    ("an event left out", |change| {
        let at = change.any(|_, is_last| !is_last)?;
        change.recordings.events.remove(at);
        Some((Kind::SequenceGap, at as u64 + 2))
    }),
    ("an event told twice", |change| {
        let at = change.any(|_, _| true)?;
        let again = change.recordings.events[at].clone();
        change.recordings.events.insert(at, again);
        Some((Kind::SequenceGap, at as u64 + 1))
    }),
    ("two events in the other order", |change| {
        let at = change.any(|_, is_last| !is_last)?;
        change.recordings.events.swap(at, at + 1);
        Some((Kind::SequenceGap, at as u64 + 2))
    }),
    ("a text that is no event", |change| {
        let at = change.any(|_, _| true)?;
        change.recordings.events[at].payload = "{\"Nothing\":{}}".to_owned();
        Some((Kind::Undecodable, at as u64 + 1))
    }),
    ("a version there never was", |change| {
        let at = change.any(|event, _| !["DecisionMade", "EventInherited"].contains(&event.event_type.as_str()))?;
        change.recordings.events[at].event_version = "9".to_owned();
        Some((Kind::Undecodable, at as u64 + 1))
    }),
    ("another moment", |change| {
        let at = change.any(|_, _| true)?;
        change.recordings.events[at].recorded_at_us += 1;
        Some((Kind::LeafHash, at as u64 + 1))
    }),
    ("another actor", |change| {
        let at = change.any(|_, _| true)?;
        change.recordings.events[at].metadata = "{\"actor\":\"mallory\"}".to_owned();
        Some((Kind::LeafHash, at as u64 + 1))
    }),
    ("another leaf hash", |change| {
        let at = change.any(|_, _| true)?;
        change.recordings.events[at].leaf_hash = Digest::of(b"another");
        Some((Kind::LeafHash, at as u64 + 1))
    }),
    ("another goal", |change| {
        change.edited("GoalSet", Kind::LeafHash, false, |fact| fact["text"] = json!("something else"))
    }),
    ("another agent", |change| {
        change.edited("RunStarted", Kind::LeafHash, false, |fact| fact["agent"] = json!("mallory"))
    }),
    ("a verdict turned over", |change| {
        change.edited("DecisionMade", Kind::Verdict, true, |fact| fact["allow"] = json!(fact["allow"] == false))
    }),
    ("reasons left out or added", |change| {
        change.edited("DecisionMade", Kind::Verdict, true, |fact| {
            let none = fact["deny"] == json!([]);
            fact["deny"] = if none { json!([{"code": "x", "rule": "", "message": ""}]) } else { json!([]) };
        })
    }),
    ("a result and its verdict forged", |change| {
        change.edited("DecisionMade", Kind::Result, true, |fact| {
            let allow = fact["allow"] == false;
            let deny = if allow { json!([]) } else { json!([{"code": "x", "rule": "", "message": ""}]) };
            let document = json!({"allow": allow, "deny": deny, "obligations": []});
            fact["evaluation"]["outcome"] = json!({"document": CanonicalJson::of_value(&document).unwrap()});
            (fact["allow"], fact["deny"], fact["obligations"]) = (json!(allow), deny, json!([]));
        })
    }),
    ("another input", |change| {
        change.edited("DecisionMade", Kind::Input, true, |fact| {
            let text = fact["input"]["text"].as_str().unwrap_or("{}").replace("\"tenant\":\"default\"", "\"tenant\":\"other\"");
            fact["input"] = json!({"digest": Digest::of(text.as_bytes()), "size": text.len(), "media_type": "application/json", "text": text});
        })
    }),
    ("another moment of a decision", |change| {
        change.edited("DecisionMade", Kind::Input, true, |fact| {
            fact["context"]["now_us"] = json!(fact["context"]["now_us"].as_i64().unwrap() + 1);
        })
    }),
    ("another engine", |change| {
        change
            .edited("DecisionMade", Kind::Engine, true, |fact| fact["evaluation"]["engine"]["version"] = json!("0.0.1"))
    }),
    ("a bundle there never was", |change| {
        let bundle = Digest::of(b"nothing");
        let at = change.any(|event, _| event.event_type == "DecisionMade")?;
        change.edit(at, true, |fact| fact["evaluation"]["bundle"] = json!(bundle));
        Some((Kind::MissingBundle, at as u64 + 1))
    }),
    ("the other bundle", |change| {
        let bundles = change.law.bundles;
        let at = change.any(|event, _| event.event_type == "DecisionMade")?;
        change.edit(at, true, |fact| {
            let is_first = fact["evaluation"]["bundle"] == json!(bundles[0]);
            fact["evaluation"]["bundle"] = json!(bundles[usize::from(is_first)]);
        });
        Some((Kind::Result, at as u64 + 1))
    }),
    ("a start under a decision that allows nothing", |change| {
        change.edited("ToolCallStarted", Kind::StartWithoutAllow, true, |fact| {
            fact["decision"] = json!(format!("dec_{:032x}", 1));
        })
    }),
    ("a model asked something else", |change| {
        let at = change.any(|event, _| event.event_type == "PlannerConsulted" && event.event_version == "2")?;
        change.edit(at, true, |fact| fact["perceived"] = json!(Digest::of(b"something else")));
        Some((Kind::Consultation, at as u64 + 1))
    }),
    ("a content that is not what its digest says", |change| {
        let at =
            change.any(|event, _| event.event_type == "ToolCallProposed" && event.payload.contains("\"text\":\""))?;
        change.edit(at, true, |fact| fact["arguments"]["text"] = json!("{\"path\":\"/etc/shadow\"}"));
        Some((Kind::ContentDigest, at as u64 + 1))
    }),
    ("a content gone", |change| {
        let (at, digest) = change.apart()?;
        change.recordings.blobs.remove(&digest);
        Some((Kind::MissingBlob, at))
    }),
    ("something taken over that never was", |change| {
        let at = change.any(|event, _| event.event_type == "EventInherited")?;
        change.edit(at, true, |fact| fact["sequence"] = json!(fact["sequence"].as_u64().unwrap() + 1));
        Some((Kind::Inheritance, at as u64 + 1))
    }),
    ("an answer that no recording gave", |change| {
        let at = change.any(|event, _| event.event_type == "ToolCallCompleted" && event.event_version == "2")?;
        let text = "{\"text\":\"forged\"}";
        let output = json!({
            "digest": Digest::of(text.as_bytes()), "size": text.len(), "media_type": "application/json", "text": text,
        });
        change.edit(at, true, |fact| fact["outcome"]["output"] = output.clone());
        Some((Kind::Recording, at as u64 + 1))
    }),
    ("another state served", |change| {
        let mut state = serde_json::to_value(change.end).unwrap();
        state["agent"] = json!("mallory");
        let sequence = change.recordings.events.len() as u64;
        change.served = Some((sequence, serde_json::from_value(state).unwrap()));
        Some((Kind::State, sequence))
    }),
];

/// One change of a run that ended in `end`, by a way drawn by chance among those there are.
pub fn mutated(rng: &mut StdRng, law: &Law, recordings: &Recordings, end: &Run) -> Mutated {
    let mut ways = WAYS;
    ways.shuffle(rng);
    for (name, way) in ways {
        let mut change = Change { rng, law, recordings: recordings.clone(), end, served: None };
        if let Some((kind, sequence)) = way(&mut change) {
            let Change { recordings, served, .. } = change;
            return Mutated { name, recordings, served, kind, sequence };
        }
    }
    unreachable!("every run has an event")
}

/// The names of all ways.
pub fn names() -> Vec<&'static str> {
    WAYS.iter().map(|(name, _)| *name).collect()
}

impl Change<'_> {
    /// An event that fits, drawn by chance; it is told whether it is the last.
    fn any(&mut self, fits: impl Fn(&Recorded, bool) -> bool) -> Option<usize> {
        let events = &self.recordings.events;
        let fitting: Vec<_> = (0..events.len()).filter(|at| fits(&events[*at], at + 1 == events.len())).collect();
        fitting.choose(self.rng).copied()
    }

    /// Changes an event of this type, and its leaf hash with it where whoever changed it could.
    fn edited(&mut self, kind: &str, found: Kind, reseal: bool, edit: impl Fn(&mut Value)) -> Option<(Kind, u64)> {
        let at = self.any(|event, _| event.event_type == kind)?;
        self.edit(at, reseal, edit);
        Some((found, at as u64 + 1))
    }

    fn edit(&mut self, at: usize, reseal: bool, edit: impl Fn(&mut Value)) {
        let event = &mut self.recordings.events[at];
        let mut payload: Value = serde_json::from_str(&event.payload).unwrap();
        edit(&mut payload[&event.event_type]);
        event.payload = CanonicalJson::of_value(&payload).unwrap().into_string();
        if reseal {
            event.leaf_hash = xagent_tree::leaf_hash(event).unwrap();
        }
    }

    /// A content that stands apart, and the first event that refers to it.
    fn apart(&mut self) -> Option<(u64, Digest)> {
        let blobs = |event: &Recorded| Needs::of(std::slice::from_ref(event)).blobs;
        let all: Vec<_> = self.recordings.events.iter().flat_map(blobs).collect();
        let digest = *all.get(self.rng.random_range(0..all.len().max(1)))?;
        let first = self.recordings.events.iter().find(|event| blobs(event).contains(&digest))?;
        Some((first.sequence, digest))
    }
}
