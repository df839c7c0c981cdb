//! Deciding recorded decisions again, many of them: the machine proposes, the authority confirms every flip.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use xagent_domain::{CanonicalJson, Digest, EngineIdentity, Entrypoint, Limits, Outcome};

use crate::machine::{MOST_INSTRUCTIONS, Machine};
use crate::{Bundle, BundleError, Embedded, ParsedInput, PolicyEngine, embedded};

/// Who drew a decision made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// The machine, and it is what was recorded.
    Machine,
    /// The interpreter in strict mode, because the machine said something else or nothing.
    Authority,
}

/// Decides again what was recorded. Nothing it says is recorded.
pub struct Bulk {
    authority: Embedded,
    instructions: usize,
    machine: bool,
    machines: RwLock<HashMap<Digest, Arc<Machine>>>,
}

impl Bulk {
    /// Holds no bundle yet.
    pub fn new(limits: Limits) -> Self {
        Self::with_instructions(limits, MOST_INSTRUCTIONS)
    }

    /// Leaves every decision to the authority: slower, and nothing rests on two engines' agreeing.
    pub fn exact(limits: Limits) -> Self {
        Self { machine: false, ..Self::new(limits) }
    }

    /// As [`Bulk::new`], with another bound of the machine's instructions.
    pub fn with_instructions(limits: Limits, instructions: usize) -> Self {
        Self { authority: Embedded::new(limits), instructions, machine: true, machines: RwLock::default() }
    }

    /// Takes a bundle. One that the machine cannot compile is left to the authority.
    pub fn load(&self, bundle: &Bundle) -> Result<Digest, BundleError> {
        let digest = self.authority.load(bundle)?;
        if !self.machine {
            return Ok(digest);
        }
        if let Ok(machine) = Machine::new(bundle, self.authority.limits(), self.instructions) {
            let mut machines = self.machines.write().unwrap_or_else(PoisonError::into_inner);
            machines.insert(digest, Arc::new(machine));
        }
        Ok(digest)
    }

    /// Whether the bundle has been taken.
    pub fn holds(&self, bundle: &Digest) -> bool {
        self.authority.holds(bundle)
    }

    /// Whose word counts.
    pub fn authority(&self) -> EngineIdentity {
        embedded::identity("interpreter-strict")
    }

    /// What the machine alone says; none where it does not hold the bundle.
    pub fn proposed(&self, bundle: &Digest, entrypoint: &Entrypoint, input: &CanonicalJson) -> Option<Outcome> {
        self.proposed_on(bundle, entrypoint, &ParsedInput::parse(input))
    }

    fn proposed_on(&self, bundle: &Digest, entrypoint: &Entrypoint, input: &ParsedInput) -> Option<Outcome> {
        let machine = self.machines.read().unwrap_or_else(PoisonError::into_inner).get(bundle).cloned()?;
        Some(machine.outcome(entrypoint, input))
    }

    /// What the bundle says to `input`, of which `recorded` was said before.
    pub fn decide_again(
        &self,
        bundle: &Digest,
        entrypoint: &Entrypoint,
        input: &CanonicalJson,
        recorded: &Outcome,
    ) -> (Outcome, DecidedBy) {
        self.decide_parsed(bundle, entrypoint, &ParsedInput::parse(input), recorded)
    }

    /// As [`Bulk::decide_again`], for an input that more than one bundle is asked about: `expected` is what another bundle
    /// or engine said, and whatever else this one says is the authority's word.
    pub fn decide_parsed(
        &self,
        bundle: &Digest,
        entrypoint: &Entrypoint,
        input: &ParsedInput,
        expected: &Outcome,
    ) -> (Outcome, DecidedBy) {
        match self.proposed_on(bundle, entrypoint, input) {
            Some(proposed @ Outcome::Document(_)) if proposed == *expected => (proposed, DecidedBy::Machine),
            _ => (self.authority.decide_parsed(bundle, entrypoint, input), DecidedBy::Authority),
        }
    }
}
