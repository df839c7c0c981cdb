//! A random run: acts drawn by chance, decided by the law, by the very deciders that serve; recorded as the ledger records.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use xagent_domain::governed::{Command, Governed};
use xagent_domain::run::{Act, Past, Run, RunEvent};
use xagent_domain::{
    Blob, CanonicalJson, Content, Context, Decider, Digest, Event, Intent, Metadata, Principal, Question, Recorded,
    Tenant, Usage,
};
use xagent_replay::Recordings;

use crate::law::Law;

/// A run as it was recorded.
pub struct Story<'a> {
    pub law: &'a Law,
    pub rng: StdRng,
    pub run: Run,
    pub facts: Vec<Past>,
    pub recordings: Recordings,
    pub id: String,
    pub owner: Principal,
    /// Commands that the law or the state refused.
    pub refused: usize,
    seed: u64,
    now_us: i64,
    drawn: u64,
    in_force: usize,
}

pub fn principal(id: &str, scopes: &[&str]) -> Principal {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    Principal { id: id.to_owned(), tenant: Tenant::default_tenant(), scopes, roles: Default::default() }
}

impl<'a> Story<'a> {
    /// Nothing has happened yet.
    pub fn new(law: &'a Law, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let mut recordings = Recordings::default();
        recordings.bundles.clone_from(&law.manifests);
        recordings.blobs.clone_from(&law.blobs);
        let owner = principal("ann", &["*", "tool:look", "tool:note", "tool:pay", "tool:change"]);
        let (run, facts, id) = (Run::default(), Vec::new(), String::new());
        let now_us = 1_790_000_000_000_000;
        let mut story =
            Self { law, rng, run, facts, recordings, id, owner, refused: 0, seed, now_us, drawn: 0, in_force: 0 };
        story.id = story.draw("run");
        story
    }

    /// An id that no other story draws.
    pub fn draw(&mut self, prefix: &str) -> String {
        self.drawn += 1;
        format!("{prefix}_{:016x}{:016x}", self.seed, self.drawn)
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    pub fn one_of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        all.choose(&mut self.rng).cloned()
    }

    /// Another bundle is in force from here on.
    pub fn switch(&mut self) {
        self.in_force = 1 - self.in_force;
    }

    pub fn intent(&self, name: &str, who: &Principal, attributes: &[(&str, String)]) -> Intent {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let (aggregate, id) = ("run".to_owned(), self.id.clone());
        Intent { name: name.to_owned(), principal: who.clone(), aggregate, id, attributes: attributes.collect() }
    }

    /// Content that the events refer to.
    pub fn keep(&mut self, text: CanonicalJson) -> Content {
        let (content, blob) = Content::json(text);
        self.store(blob);
        content
    }

    /// Content that stands apart from the events, whatever its size.
    pub fn keep_apart(&mut self, text: CanonicalJson) -> Content {
        let content = self.keep(text.clone());
        self.recordings.blobs.insert(content.digest, text.into_string());
        Content { text: None, ..content }
    }

    fn store(&mut self, blob: Option<Blob>) {
        self.recordings.blobs.extend(blob.map(|blob| (blob.digest, blob.text)));
    }

    pub fn text(&self, content: &Content) -> Option<String> {
        content.text.clone().or_else(|| self.recordings.blobs.get(&content.digest).cloned())
    }

    /// Carries out an act as the server does: the law is asked on this state, and what comes of it is recorded.
    pub fn act(&mut self, act: Act, intent: Option<Intent>) -> bool {
        self.now_us += self.rng.random_range(1..5_000_000);
        let usage = Usage { this_tool_last_minute: Some(self.rng.random_range(0..9)), ..Usage::default() };
        let context = Context::new(self.now_us, usage);
        let Ok(inquiries) = self.run.inquiries(&act, intent.as_ref(), &context) else {
            self.refused += 1;
            return false;
        };
        let mut rulings = Vec::new();
        for inquiry in &inquiries {
            let apart = self.run.law().filter(|_| matches!(inquiry.question, Question::ToolCall { .. }));
            let bundle: Digest = apart.unwrap_or(self.law.bundles[self.in_force]);
            let decision = self.draw("dec");
            rulings.push(self.law.ask(&bundle, inquiry, &decision));
            self.store(Content::json(inquiry.input.clone()).1);
        }
        match self.run.decide(&Command { act, intent, context, rulings }) {
            Ok(events) => {
                let command = self.draw("command");
                events.into_iter().for_each(|event| self.record(event, &command));
            }
            Err(_) => {
                self.refused += 1;
                return false;
            }
        }
        true
    }

    fn record(&mut self, event: RunEvent, command: &str) {
        self.run.evolve(&event);
        let sequence = self.facts.len() as u64 + 1;
        let position = self.facts.last().map_or(0, |past| past.position) + self.rng.random_range(1..4);
        let metadata = Metadata { actor: self.owner.id.clone(), command_id: command.to_owned(), ..Metadata::default() };
        let mut recorded = Recorded {
            position,
            tenant: Tenant::default_tenant(),
            aggregate_type: "run".to_owned(),
            aggregate_id: self.id.clone(),
            sequence,
            event_type: event.event_type().to_owned(),
            event_version: event.event_version().to_owned(),
            payload: CanonicalJson::of(&event).unwrap().into_string(),
            metadata: CanonicalJson::of(&metadata).unwrap().into_string(),
            recorded_at_us: self.now_us,
            leaf_hash: Digest::from_bytes([0; 32]),
        };
        recorded.leaf_hash = xagent_tree::leaf_hash(&recorded).unwrap();
        self.recordings.events.push(recorded);
        self.facts.push(Past { sequence, position, event });
    }

    /// How the calls of this run ended, for a run that continues it.
    pub fn ends(&self) -> BTreeMap<Digest, (u64, u64, xagent_domain::run::ToolOutcome)> {
        let (mut digests, mut ends) = (BTreeMap::new(), BTreeMap::new());
        for past in &self.facts {
            match past.event.clone().itself() {
                RunEvent::ToolCallProposed { call, arguments_digest, .. } => {
                    digests.insert(call, arguments_digest);
                }
                RunEvent::ToolCallCompleted { call, outcome, .. } => {
                    if let Some(digest) = digests.get(&call) {
                        ends.insert(*digest, (past.sequence, past.position, outcome));
                    }
                }
                _ => {}
            }
        }
        ends
    }
}
