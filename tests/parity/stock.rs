//! The stock bundle decides alike in every engine.

use std::collections::BTreeMap;

use xagent_domain::Outcome;
use xagent_policies::Bundle;
use xagent_tests::opa;

use crate::contest::{Contest, Difference, Question, class};
use crate::generated::{Generator, question};
use crate::hostile;

/// Fixed, so that a failure can be looked at; each change of the rules makes new inputs of it.
const SEED: u64 = 20_261_125;
const EACH: usize = 5_000;

fn none(differences: &[Difference]) {
    let shown = differences.iter().take(3).map(|d| {
        let input: String = d.input.chars().take(2000).collect();
        format!("{input}\n  interpreter {:?}\n  machine     {:?}\n  OPA         {:?}\n", d.embedded, d.machine, d.opa)
    });
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), shown.collect::<String>());
}

/// How often each answer was given: `allow`, a deny code, or the class of a failure.
fn tally(outcomes: &[Outcome]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for outcome in outcomes {
        let document = outcome.document();
        let words = match (class(outcome), document.allow) {
            (Some(class), _) => vec![format!("{class:?}")],
            (None, true) => vec!["allow".to_owned()],
            (None, false) => document.deny.into_iter().map(|reason| reason.code).collect(),
        };
        for word in words {
            *tally.entry(word).or_default() += 1;
        }
    }
    tally
}

#[test]
fn every_engine_says_the_same_to_inputs_such_as_occur() {
    let Some(opa) = opa("parity on generated inputs") else { return };
    let contest = Contest::of(&Bundle::stock().unwrap(), &opa);
    let mut generator = Generator::new(SEED);
    let questions: Vec<Question> = (0..EACH).map(|_| question(generator.input())).collect();
    let (said, differences) = contest.hold(&questions);
    none(&differences);
    let tally = tally(&said);
    assert!(tally["allow"] > EACH / 20, "{tally:?}");
    assert!(tally.len() > 15, "the inputs reach few rules: {tally:?}");
}

#[test]
fn every_engine_says_the_same_to_inputs_made_to_tell_them_apart() {
    let Some(opa) = opa("parity on hostile inputs") else { return };
    let contest = Contest::of(&Bundle::stock().unwrap(), &opa);
    let mut generator = Generator::new(SEED + 1);
    let questions: Vec<Question> = (0..EACH).map(|_| question(hostile::typed(&mut generator))).collect();
    let (said, differences) = contest.hold(&questions);
    none(&differences);
    assert_eq!(said.len(), EACH);
}

/// Their types are fixed by Rust, so that no such input is ever built; if one were, neither engine that may decide would
/// be more lenient. The machine would: it reads a builtin's error as undefined, which is why it never decides.
#[test]
fn neither_engine_that_decides_allows_an_input_of_the_wrong_types_that_another_denies() {
    let Some(opa) = opa("parity on inputs of the wrong types") else { return };
    let contest = Contest::of(&Bundle::stock().unwrap(), &opa);
    let mut generator = Generator::new(SEED + 2);
    let questions: Vec<Question> = (0..EACH / 2).map(|_| question(hostile::untyped(&mut generator))).collect();
    let (_, mut differences) = contest.hold(&questions);
    let allows = |outcome: &Outcome| outcome.document().allow;
    differences.retain(|difference| allows(&difference.opa) != allows(&difference.embedded));
    none(&differences);
}
