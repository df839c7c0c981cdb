//! Evidence: what holds is found to hold, and whatever is changed, left out or put in is named. The files in `vectors/` are
//! for other verifiers, too; `XAGENT_REGENERATE=1` writes them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod forked;
mod kit;

use std::path::PathBuf;

use kit::{OF_RUN, SIZE, earlier, examined, key, ledger, ledger_of, of_run, package, signer, with_tail};
use serde_json::{Value, json};
use xagent_domain::Digest;
use xagent_policies::Bulk;
use xagent_replay::evidence::{Continues, Fault, Package, Tail, Verdict, examine};
use xagent_tree::Checkpoint;

/// The vectors: name, content, and the faults that are to be found.
fn vectors() -> Vec<(&'static str, Package, Vec<&'static str>)> {
    let ledger = ledger();
    let (run, tail) = (of_run(&ledger), with_tail(&ledger));
    let mut follows = of_run(&ledger);
    follows.earlier = Some(earlier(&ledger));
    // Left out by somebody who holds the whole ledger and makes the proof anew.
    let mut gap = package(&ledger, &[2, 3, 4, 7, 8]);
    gap.subject = run.subject.clone();
    let mut cut = package(&ledger, &OF_RUN[..5]);
    cut.subject = run.subject.clone();
    let mut range_gap = package(&ledger, &[2, 3, 4, 6, 7, 8, 9]);
    range_gap.subject = tail.subject.clone();
    let mut changed = run.clone();
    changed.events[2].payload = changed.events[2].payload.replace("a goal", "a gaol");
    let mut bundle = run.clone();
    bundle.blobs.clear();
    let mut foreign = package(&ledger, &[2, 3, 4, 5, 6, 7, 8]);
    foreign.subject = run.subject.clone();
    vec![
        ("run", run, vec![]),
        ("run_with_tail", tail, vec![]),
        ("run_since_checkpoint", follows, vec![]),
        ("event_left_out", gap, vec!["gap"]),
        ("last_event_left_out", cut, vec!["gap"]),
        ("event_left_out_of_range", range_gap, vec!["gap"]),
        ("event_changed", changed, vec!["leaf", "proof"]),
        ("policy_left_out", bundle, vec!["bundle", "bundle"]),
        ("event_of_another_run", foreign, vec!["foreign"]),
        ("decision_forged", of_run(&ledger_of(false)), vec!["decision"]),
        ("fork", forked::of(&forked::ledger(|_| {}), &[0, 1]), vec![]),
        ("fork_alone", forked::of(&forked::ledger(|_| {}), &[1]), vec![]),
        ("fork_forged", forked::of(&forked::ledger(forked::took_over_something_else), &[0, 1]), vec!["decision"]),
        ("fork_forged_alone", forked::of(&forked::ledger(forked::took_over_something_else), &[1]), vec![]),
    ]
}

fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/evidence/vectors").join(name)
}

fn faults(verdict: &Verdict) -> Vec<Value> {
    verdict.findings.iter().map(|finding| json!(finding.fault)).collect()
}

#[test]
fn every_vector_is_written_as_it_was_and_found_as_is_said_of_it() {
    let mut expected = serde_json::Map::new();
    for (name, mut package, faults_expected) in vectors() {
        // The leaves of an event that was changed are those it had.
        if name != "event_changed" {
            package.events.iter_mut().for_each(|event| event.leaf_hash = xagent_tree::leaf_hash(event).unwrap());
        }
        let bytes = package.write().unwrap();
        let verdict = examined(&bytes);
        assert_eq!(faults(&verdict), faults_expected, "{name}: {:#?}", verdict.findings);
        expected.insert(name.to_owned(), json!({"holds": faults_expected.is_empty(), "faults": faults_expected}));
        let path = vector(&format!("{name}.xe"));
        if std::env::var_os("XAGENT_REGENERATE").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == bytes, "{name} is not what the code writes");
    }
    let text = format!("{:#}\n", json!({"key": key().to_string(), "files": expected}));
    if std::env::var_os("XAGENT_REGENERATE").is_some() {
        std::fs::write(vector("expected.json"), &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(vector("expected.json")).unwrap(), text);
}

#[test]
fn a_run_is_proven_with_its_tail_where_everything_after_it_is_there() {
    let verdict = examined(&of_run(&ledger()).write().unwrap());
    assert!(verdict.holds, "{:#?}", verdict.findings);
    assert_eq!((verdict.runs.len(), verdict.runs[0].events, verdict.runs[0].tail), (1, 6, Tail::Ended));
    let decided = verdict.decided;
    assert_eq!((decided.decisions, decided.inputs_rebuilt, decided.decided_again), (2, 2, 2));

    let verdict = examined(&with_tail(&ledger()).write().unwrap());
    let tails: Vec<_> = verdict.runs.iter().map(|run| run.tail).collect();
    assert!(verdict.holds && tails == [Tail::Proven], "{verdict:#?}");

    let mut begun = package(&ledger(), &OF_RUN[..4]);
    begun.subject.runs = of_run(&ledger()).subject.runs;
    begun.subject.runs[0].events = 4;
    assert_eq!(examined(&begun.write().unwrap()).runs[0].tail, Tail::Open);
}

#[test]
fn a_fork_is_held_to_what_the_run_it_continues_recorded_where_that_is_here() {
    let [origin, fork] = forked::RUNS;
    let ledger = forked::ledger(|_| {});
    let verdict = examined(&forked::of(&ledger, &[0, 1]).write().unwrap());
    assert!(verdict.holds, "{:#?}", verdict.findings);
    let continues: Vec<_> = verdict.runs.iter().map(|run| run.continues.clone()).collect();
    let left = |compared| Some(Continues { run: origin.to_owned(), at: 7, compared });
    assert_eq!(continues, [None, left(true)]);
    let alone = examined(&forked::of(&ledger, &[1]).write().unwrap());
    assert_eq!((alone.runs[0].run.as_str(), &alone.runs[0].continues), (fork, &left(false)));

    let forged = examined(&std::fs::read(vector("fork_forged.xe")).unwrap());
    let said = forged.findings[0].to_string();
    assert!(said.contains(", EventInherited): ") && said.contains("is not what"), "{said}");
}

#[test]
fn a_gap_is_named_by_its_sequences_and_positions() {
    let said = |name: &str| {
        let verdict = examined(&std::fs::read(vector(name)).unwrap());
        verdict.findings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let run = kit::RUN;
    assert_eq!(
        said("event_left_out.xe"),
        [format!("a gap: run {run}: sequence 4 is missing, between positions 4 and 7")]
    );
    assert_eq!(said("last_event_left_out.xe"), [format!("a gap: run {run}: sequence 6 is missing, after position 7")]);
    assert_eq!(said("event_left_out_of_range.xe"), ["a gap: range 2 to 9: position 5 is missing"]);
}

#[test]
fn a_line_taken_out_of_the_file_is_named() {
    let text = String::from_utf8(of_run(&ledger()).write().unwrap()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    for out in 0..lines.len() {
        let mut rest = lines.clone();
        rest.remove(out);
        let verdict = examined(format!("{}\n", rest.join("\n")).as_bytes());
        assert!(!verdict.holds);
        let gap = verdict.findings.iter().any(|finding| finding.fault == Fault::Gap);
        assert_eq!(gap, (1..=6).contains(&out), "line {out}: {:#?}", verdict.findings);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let bytes = of_run(&ledger()).write().unwrap();
    for at in 0..bytes.len() {
        for bit in [0, 5, 7] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(!examined(&flipped).holds, "byte {at}, bit {bit}");
        }
    }
    for length in (0..bytes.len()).step_by(7) {
        assert!(!examined(&bytes[..length]).holds, "{length} bytes");
    }
    for more in [&b"\n"[..], b" ", b"{\"seal\":1}\n", b"\0"] {
        assert!(!examined(&[&bytes[..], more].concat()).holds);
    }
}

#[test]
fn only_a_trusted_key_vouches() {
    let bytes = of_run(&ledger()).write().unwrap();
    let engine = Bulk::exact(kit::LIMITS);
    let verdict = examine(&bytes, &[signer(8).verifier()], None, &engine);
    assert_eq!((faults(&verdict), verdict.tree), (vec![json!("signature")], None));
    assert!(examine(&bytes, &[signer(8).verifier(), key()], None, &engine).holds);
    assert!(!examine(&bytes, &[], None, &engine).holds);

    // Signed anew by somebody else, who names his own key in the file.
    let mut forged = of_run(&ledger());
    let root = examined(&bytes).tree.unwrap().root;
    forged.checkpoint.note = signer(8).sign(SIZE, root);
    forged.checkpoint.verifier = signer(8).verifier().to_string();
    assert_eq!(faults(&examined(&forged.write().unwrap())), [json!("signature")]);
}

#[test]
fn a_kept_checkpoint_must_be_the_one_it_follows_on() {
    let ledger = ledger();
    let mut package = of_run(&ledger);
    let engine = Bulk::exact(kit::LIMITS);
    let kept = Checkpoint::open(&earlier(&ledger).note, &key()).unwrap();
    let without = examine(&package.clone().write().unwrap(), &[key()], Some(&kept), &engine);
    assert_eq!(faults(&without), [json!("consistency")]);
    package.earlier = Some(earlier(&ledger));
    let bytes = package.clone().write().unwrap();
    let verdict = examine(&bytes, &[key()], Some(&kept), &engine);
    assert!(verdict.holds && verdict.follows == Some(5), "{:#?}", verdict.findings);
    let other = Checkpoint { root: Digest::of(b"other"), ..kept };
    assert_eq!(faults(&examine(&bytes, &[key()], Some(&other), &engine)), [json!("consistency")]);
    // A history that was written anew, and signed.
    package.earlier.as_mut().unwrap().note = signer(7).sign(5, Digest::of(b"other"));
    assert_eq!(faults(&examined(&package.write().unwrap())), [json!("consistency")]);
}

#[test]
fn what_nothing_refers_to_does_not_belong_in_the_file() {
    let mut package = of_run(&ledger());
    package.blobs.insert(Digest::of(b"stray"), "stray".to_owned());
    assert_eq!(faults(&examined(&package.write().unwrap())), [json!("blob")]);
}
