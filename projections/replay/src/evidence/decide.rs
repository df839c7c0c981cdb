//! Deciding again: runs that are here from their first event on are replayed as a whole, forks beside the run they continue
//! where that is here, too; every other decision is made again on its recorded input.

use std::collections::BTreeMap;

use xagent_domain::bundle::Manifest;
use xagent_domain::{CanonicalJson, Content, DecisionMade, Digest, Recorded};
use xagent_policies::Bulk;

use super::package::Law;
use super::parse::Parsed;
use super::references::refers;
use super::seals::place;
use super::streams::left;
use super::verdict::{Fault, Finding, Verdict, find};
use crate::decisions::{Again, again, drawn, load_bundles};
use crate::{Divergence, Kind, Recordings, verify};

/// How much is shown of each side.
const SHOWN: usize = 500;

pub(super) fn all(parsed: &Parsed, engine: &Bulk, verdict: &mut Verdict) {
    let bundles = parsed.bundles.iter().map(|(digest, law)| (*digest, manifest(*digest, law)));
    let mut recordings =
        Recordings { blobs: parsed.blobs.clone(), bundles: bundles.collect(), ..Recordings::default() };
    let names = verdict.runs.iter().map(|run| ((run.tenant.as_str(), run.run.as_str()), Vec::new()));
    let mut whole: BTreeMap<_, Vec<Recorded>> = names.collect();
    let mut alone = Vec::new();
    for event in &parsed.events {
        let name = (event.tenant.as_str(), event.aggregate_id.as_str());
        match whole.get_mut(&name).filter(|_| event.aggregate_type == "run") {
            Some(events) => events.push(event.clone()),
            None => alone.push(event),
        }
    }
    for name in verdict.runs.iter().map(|run| (run.tenant.as_str(), run.run.as_str())) {
        recordings.events = whole.get_mut(&name).map(std::mem::take).unwrap_or_default();
        let origin = left(&recordings.events);
        recordings.origin = origin.and_then(|(origin, _)| whole.get(&(name.0, origin.as_str())).cloned());
        let report = verify(&recordings, engine, None);
        whole.insert(name, std::mem::take(&mut recordings.events));
        if let Some(divergence) = &report.divergence {
            diverged(name.1, divergence, &mut verdict.findings);
        }
        let decided = &mut verdict.decided;
        decided.decisions += report.decisions;
        decided.inputs_rebuilt += report.decisions;
        decided.decided_again += report.decided_again;
        decided.not_decidable_again += report.not_decidable_again.len() as u64;
    }
    if let Err(divergence) = load_bundles(&recordings, engine) {
        diverged("bundles", &divergence, &mut verdict.findings);
    }
    for event in alone {
        let Some(made) = refers(event).ok().and_then(|refers| refers.decision) else { continue };
        verdict.decided.decisions += 1;
        match on_its_input(&made, &recordings, engine) {
            Ok(Again::Same { .. }) => verdict.decided.decided_again += 1,
            Ok(Again::NotDecidable) => verdict.decided.not_decidable_again += 1,
            Err((kind, recorded, replayed)) => {
                find(&mut verdict.findings, fault(kind), place(event), sides(kind, &recorded, &replayed));
            }
        }
    }
}

/// A decision made again on the input it was recorded with.
fn on_its_input(made: &DecisionMade, recordings: &Recordings, engine: &Bulk) -> Result<Again, (Kind, String, String)> {
    let missing = || (Kind::MissingBlob, made.input.digest.to_string(), "nothing under this digest".to_owned());
    let input = CanonicalJson::recorded(recordings.text(&made.input).ok_or_else(missing)?.to_owned());
    let again = again((recordings, engine), &made.question.entrypoint(), &input, made)?;
    drawn(made)?;
    Ok(again)
}

/// The bundle as replay reads it.
fn manifest(digest: Digest, law: &Law) -> Manifest {
    let content = |digest: &Digest| Content { digest: *digest, size: 0, media_type: String::new(), text: None };
    let modules = law.modules.iter().map(|(path, text)| (path.clone(), content(text))).collect();
    Manifest { digest, modules, data: content(&law.data), tests_passed: 0, publication: None }
}

fn diverged(run: &str, divergence: &Divergence, findings: &mut Vec<Finding>) {
    let Divergence { kind, position, sequence, event_type, recorded, replayed, .. } = divergence;
    let place = format!("position {position} (sequence {sequence} of run {run}, {event_type})");
    find(findings, fault(*kind), place, sides(*kind, recorded, replayed));
}

fn fault(kind: Kind) -> Fault {
    if kind == Kind::Engine { Fault::Engine } else { Fault::Decision }
}

fn sides(kind: Kind, recorded: &str, replayed: &str) -> String {
    let short = |text: &str| text.chars().take(SHOWN).collect::<String>();
    format!("{kind}; recorded {}; replayed {}", short(recorded), short(replayed))
}
