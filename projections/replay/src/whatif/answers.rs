//! What bundles say to an input today: the candidate, and the bundle that decided where its word is wanted.

use std::cell::LazyCell;
use std::collections::HashMap;

use xagent_domain::{DecisionMade, Digest, EngineIdentity, Entrypoint, Outcome};
use xagent_policies::{DecidedBy, ParsedInput};

use super::judge::Settings;

/// Answers kept to be given again.
const MEMO: usize = 4096;

/// An input that is parsed once it is needed.
pub(super) type Input<'a> = LazyCell<ParsedInput, Box<dyn FnOnce() -> ParsedInput + 'a>>;

/// What is said to one input today.
pub(super) struct Answers {
    /// By the bundle that decided; none where the record stands for it.
    pub baseline: Option<Outcome>,
    /// By the candidate.
    pub candidate: Outcome,
}

/// Asks, and remembers what was said.
pub(super) struct Asking {
    settings: Settings,
    today: EngineIdentity,
    said: HashMap<(Digest, Entrypoint, Digest), (Outcome, DecidedBy)>,
}

impl Asking {
    pub fn new(settings: Settings) -> Self {
        Self { today: settings.engine.authority(), settings, said: HashMap::new() }
    }

    /// Whose word counts today.
    pub fn today(&self) -> &EngineIdentity {
        &self.today
    }

    /// What both bundles say. Where today's engine recorded the very answer that the candidate gives, nothing has changed,
    /// whatever the bundle that decided would say now: it is asked then only if all are to be confirmed.
    pub fn both(&mut self, made: &DecisionMade, input: &Input<'_>) -> Answers {
        let (recorded, decided, candidate) = (&made.evaluation.outcome, made.evaluation.bundle, self.settings.digest);
        if !self.settings.confirm && made.evaluation.engine == self.today {
            let said = self.says(candidate, made, input, recorded);
            let baseline = (said != *recorded).then(|| match decided == candidate {
                true => said.clone(),
                false => self.says(decided, made, input, recorded),
            });
            return Answers { baseline, candidate: said };
        }
        let baseline = self.says(decided, made, input, recorded);
        let candidate = match decided == candidate {
            true => baseline.clone(),
            false => self.says(candidate, made, input, &baseline),
        };
        Answers { baseline: Some(baseline), candidate }
    }

    /// What `bundle` says; anything but `expected` is the authority's word.
    fn says(&mut self, bundle: Digest, made: &DecisionMade, input: &Input<'_>, expected: &Outcome) -> Outcome {
        let key = (bundle, made.evaluation.entrypoint.clone(), made.input.digest);
        if let Some((said, by)) = self.said.get(&key)
            && (*by == DecidedBy::Authority || said == expected)
        {
            return said.clone();
        }
        let said = self.settings.engine.decide_parsed(&bundle, &key.1, input, expected);
        if self.said.len() >= MEMO {
            self.said.clear();
        }
        self.said.insert(key, said.clone());
        said.0
    }
}
