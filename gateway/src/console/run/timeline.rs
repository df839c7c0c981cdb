//! The events of a run, one after the other, each in plain words and as it was recorded.

use maud::{Markup, html};
use xagent_domain::{Metadata, RunId, canonical_event};

use super::super::parts::{block, clock_us, facts, fold, mark, moment_us, sign};
use super::moment::Point;
use super::words::{Fact, Names, told};
use super::{PAGE, at};

/// The list.
pub fn shown(run: RunId, all: &[Fact<'_>], names: &Names, point: &Point<'_>) -> Markup {
    let (first, last) = (all.first().map_or(1, |fact| fact.0.sequence), all.last().map_or(0, |fact| fact.0.sequence));
    html! {
        h2 #timeline-title { "Timeline" }
        (others(run, first, last, point.last))
        ol.timeline #timeline data-live="list" { @for fact in all { (item(run, fact, names, point.at)) } }
    }
}

/// The way to events that are not on this page.
fn others(run: RunId, first: u64, last: u64, all: u64) -> Markup {
    let page = u64::from(PAGE);
    html! {
        nav.pages #timeline-pages data-live aria-label="More events" {
            @if all > page {
                span.soft { "Events " (first) " to " (last) " of " (all) }
                @if first > 1 { a.button href=(at(run, first - 1)) { "Earlier events" } }
                @if last < all { a.button href=(at(run, last + 1)) { "Later events" } }
            }
        }
    }
}

fn item(run: RunId, (event, said): &Fact<'_>, names: &Names, now: u64) -> Markup {
    let (told, sequence) = (told(said, names), event.sequence);
    let metadata: Metadata = serde_json::from_str(&event.metadata).unwrap_or_default();
    html! {
        li id={ "e" (sequence) } .now[sequence == now] data-v=(if sequence == now { "now" } else { "" }) {
            (sign(told.tone))
            div.event {
                p.line {
                    a.sequence data-step href={ (at(run, sequence)) "#moment" } aria-current=[(sequence == now).then_some("step")]
                        aria-label={ "The run at event " (sequence) } { (sequence) }
                    " " (mark(told.tone, told.kind)) " " span.title { (told.title) }
                    " " span.when { (clock_us(event.recorded_at_us)) }
                }
                (told.body)
                (fold(&format!("raw-{sequence}"), "As it was recorded", html! {
                    (facts([
                        ("Event", html! { code { (event.event_type) } " version " (event.event_version) }),
                        ("Position", html! { a href={ "/console/ledger?position=" (event.position) "#proof" } { (event.position) ": prove it" } }),
                        ("Recorded (UTC)", moment_us(event.recorded_at_us)),
                        ("By", html! { (metadata.actor) }),
                        ("Leaf hash", html! { code { (event.leaf_hash) } }),
                    ]))
                    @match canonical_event(event) {
                        Ok(text) => (block(&text)),
                        Err(error) => p.bad { (error) },
                    }
                }))
            }
        }
    }
}
