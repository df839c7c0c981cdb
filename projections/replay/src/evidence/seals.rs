//! Signatures and proofs: the checkpoint is a trusted key's, every event is in its tree, the tree follows on the earlier one.

use xagent_domain::Recorded;
use xagent_tree::{Checkpoint, Verifier, batch_root, verify_consistency};

use super::package::{Earlier, Manifest, Proof};
use super::parse::Parsed;
use super::verdict::{Fault, Finding, Tree, Verdict, find};

pub(super) fn hold(
    manifest: &Manifest,
    parsed: &Parsed,
    (keys, kept): (&[Verifier], Option<&Checkpoint>),
    verdict: &mut Verdict,
) {
    let findings = &mut verdict.findings;
    let (tree, signers) = match Checkpoint::signers(&manifest.checkpoint.note, keys) {
        Ok(signed) => signed,
        Err(error) => return find(findings, Fault::Signature, "checkpoint", error.to_string()),
    };
    let told = manifest.checkpoint.verifier.parse::<Verifier>();
    if !told.is_ok_and(|told| Checkpoint::open(&manifest.checkpoint.note, &told).is_ok()) {
        find(findings, Fault::Signature, "checkpoint", "the key it is said to be signed by did not sign it");
    }
    if let Some(proof) = &parsed.proof {
        included(&parsed.events, proof, &tree, findings);
    }
    match (&manifest.earlier, kept) {
        (Some(earlier), kept) => match follows(earlier, kept, &tree, keys) {
            Ok(size) => verdict.follows = Some(size),
            Err((fault, detail)) => find(findings, fault, "earlier checkpoint", detail),
        },
        (None, Some(_)) => {
            find(findings, Fault::Consistency, "earlier checkpoint", "the file holds none: export it with --since")
        }
        (None, None) => {}
    }
    let keys = signers.into_iter().map(Verifier::to_string).collect();
    verdict.tree = Some(Tree { origin: tree.origin, size: tree.size, root: tree.root, keys });
}

/// Every event is the one that was sealed, and all of them are in the tree. The list of leaves names the one that is not.
fn included(events: &[Recorded], proof: &Proof, tree: &Checkpoint, findings: &mut Vec<Finding>) {
    if events.len() != proof.leaves.len() {
        let detail = format!("it is of {} events, and {} are there", proof.leaves.len(), events.len());
        find(findings, Fault::Proof, "proof", detail);
    } else {
        for (event, leaf) in events.iter().zip(&proof.leaves).filter(|(event, leaf)| event.leaf_hash != **leaf) {
            find(
                findings,
                Fault::Leaf,
                place(event),
                format!("its leaf is {}, and {leaf} was sealed", event.leaf_hash),
            );
        }
    }
    let leaf = |event: &Recorded| event.position.checked_sub(1).map(|index| (index, event.leaf_hash));
    let leaves: Option<Vec<_>> = events.iter().map(leaf).collect();
    let root = leaves.and_then(|leaves| batch_root(&leaves, tree.size, &proof.path));
    if root != Some(tree.root) {
        let detail = format!("events and proof do not lead to the signed root of {} events", tree.size);
        find(findings, Fault::Proof, "proof", detail);
    }
}

fn follows(
    earlier: &Earlier,
    kept: Option<&Checkpoint>,
    tree: &Checkpoint,
    keys: &[Verifier],
) -> Result<u64, (Fault, String)> {
    let old = Checkpoint::open_any(&earlier.note, keys).map_err(|error| (Fault::Signature, error.to_string()))?;
    let inconsistent = |detail: String| Err((Fault::Consistency, detail));
    if let Some(kept) = kept.filter(|kept| **kept != old) {
        return inconsistent(format!("it is of {} events, and not the one that was kept, of {}", old.size, kept.size));
    }
    if old.origin != tree.origin {
        return inconsistent(format!("it is of the log `{}`, not of `{}`", old.origin, tree.origin));
    }
    match verify_consistency(old.size, tree.size, &earlier.path, &old.root, &tree.root) {
        true => Ok(old.size),
        false => inconsistent(format!("the tree of {} events does not follow on that of {}", tree.size, old.size)),
    }
}

/// Where an event is, for people.
pub(super) fn place(event: &Recorded) -> String {
    let Recorded { position, sequence, aggregate_type, aggregate_id, event_type, .. } = event;
    format!("position {position} (sequence {sequence} of {aggregate_type} {aggregate_id}, {event_type})")
}
