//! `/console/ledger`: what proves that nothing was changed: the tree, its signed checkpoints, a proof of any event.

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;
use xagent_ledger::{CheckpointKey, InclusionProof, StoredCheckpoint};
use xagent_tree::{Checkpoint, Verifier, verify_inclusion};

use super::layout::{self, Here};
use super::parts::{Tone, block, facts, fold, heading, mark, moment_us, nothing};
use crate::problem::Problem;
use crate::rest::Doors;
use crate::rest::extract::{Calling, Natural, Parameters};
use crate::rest::ledger::{proof, tree};

/// Checkpoints shown.
const NEWEST: u32 = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The event to be proven.
    position: Option<Natural>,
}

/// The page.
pub async fn page(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(asked): Parameters<Asked>,
) -> Result<Html<String>, Problem> {
    let tree = tree(&doors, &calling, None).await?;
    let ledger = doors.commands.ledger();
    let head = ledger.head().await.map_err(|error| calling.problem(error))?;
    let checkpoints = ledger.newest_checkpoints(NEWEST).await.map_err(|error| calling.problem(error))?;
    let keys = ledger.checkpoint_keys().await.map_err(|error| calling.problem(error))?;
    let position = asked.position.map(|position| position.0);
    let proven = match position {
        Some(position) => Some(proof(&doors, &calling, position, Some(tree.size)).await),
        None => None,
    };
    let signed = checkpoints.first().map_or(0, |checkpoint| checkpoint.size);
    let body = html! {
        (heading("Ledger", "One Merkle tree over every event of this installation (RFC 6962). What is changed, moved or left out does not fit it any more."))
        section.card aria-labelledby="head-title" {
            h2 #head-title { "Now" }
            (facts([
                ("Events", html! { (tree.size) }),
                ("Root", html! { code { (tree.root) } }),
                ("Last event (UTC)", moment_us(head.recorded_at_us)),
                ("Signed", html! {
                    @if signed >= tree.size { (mark(Tone::Good, "all of it")) } @else { "up to " (signed) ", " (tree.size - signed) " later" }
                }),
            ]))
            p.soft { "This page reads; it does not verify the whole ledger. " code { "xagent verify" } " does, and names what does not hold; a server with " code { "--verify-every-s" } " does so again and again and tells its metrics." }
        }
        (lookup(position, proven.as_ref()))
        (signatures(&checkpoints))
        (signers(&keys))
    };
    Ok(Html(layout::page("Ledger", Here::Ledger, Some(&calling.caller.principal), body).into_string()))
}

fn lookup(position: Option<u64>, proven: Option<&Result<InclusionProof, Problem>>) -> Markup {
    html! {
        section.card #proof aria-labelledby="proof-title" {
            h2 #proof-title { "Prove an event" }
            form.inline method="get" action="/console/ledger#proof" {
                label for="position" { "Position" }
                input #position name="position" type="number" min="1" required value=[position] data-search;
                button.primary type="submit" { "Prove" }
            }
            @match proven {
                None => p.soft { "The position of an event is in its receipt and beside it in the timeline of its run." },
                Some(Err(problem)) => p.notice.bad role="alert" { (problem.detail) },
                Some(Ok(proof)) => (shown(proof)),
            }
        }
    }
}

fn shown(proof: &InclusionProof) -> Markup {
    let index = proof.position.saturating_sub(1);
    let holds = verify_inclusion(&proof.leaf_hash, index, proof.tree_size, &proof.path, &proof.root);
    html! {
        p role="status" {
            @if holds { (mark(Tone::Good, "it is in the tree")) } @else { (mark(Tone::Bad, "the proof does not hold: run xagent verify")) }
        }
        (facts([
            ("Leaf hash", html! { code { (proof.leaf_hash) } }),
            ("Tree", html! { (proof.tree_size) " events, root " code { (proof.root) } }),
        ]))
        (fold("path", "The proof", html! {
            p.soft { "From the leaf to the root: each hash is joined to what was reached so far." }
            ol.hashes { @for hash in &proof.path { li { code { (hash) } } } }
        }))
    }
}

fn signatures(checkpoints: &[StoredCheckpoint]) -> Markup {
    html! {
        section.card aria-labelledby="checkpoints-title" {
            h2 #checkpoints-title { "Checkpoints" }
            @if checkpoints.is_empty() { (nothing("None is signed yet.")) } @else {
                table.rows {
                    caption.soft { "The newest " (checkpoints.len()) ", the largest tree first. Each signature was checked just now." }
                    thead { tr { th.number scope="col" { "Events" } th scope="col" { "Signature" } th scope="col" { "Root" } th scope="col" { "Note" } } }
                    tbody { @for checkpoint in checkpoints { (line(checkpoint)) } }
                }
            }
        }
    }
}

fn line(stored: &StoredCheckpoint) -> Markup {
    let opened = stored.verifier.parse::<Verifier>().and_then(|key| Checkpoint::open(&stored.note, &key));
    let opened = opened.ok().filter(|checkpoint| checkpoint.size == stored.size);
    html! {
        tr {
            th.number scope="row" { (stored.size) }
            td data-label="Signature" { @if opened.is_some() { (mark(Tone::Good, "holds")) } @else { (mark(Tone::Bad, "does not hold")) } }
            td data-label="Root" { @if let Some(checkpoint) = &opened { code { (checkpoint.root) } } }
            td data-label="Note" { (fold(&format!("note-{}", stored.size), "Signed note", block(&stored.note))) }
        }
    }
}

fn signers(keys: &[CheckpointKey]) -> Markup {
    html! {
        section.card aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            p.soft { "Compare them with the ones you were told: a key from here proves nothing about here." }
            ul.plain { @for key in keys { li { code { (key.verifier) } " " span.soft { "since " (key.first.size) " events" } } } }
        }
    }
}
