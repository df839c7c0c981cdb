//! What all pages have in common: the head, the bar with the places, who looks, the help for the keyboard.

use maud::{DOCTYPE, Markup, html};
use xagent_domain::Principal;

use super::assets;

/// Which place a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    Runs,
    Approvals,
    Decisions,
    WhatIf,
    Ledger,
    Nowhere,
}

const PLACES: [(Here, &str, &str); 5] = [
    (Here::Runs, "/console/runs", "Runs"),
    (Here::Approvals, "/console/approvals", "Approvals"),
    (Here::Decisions, "/console/decisions", "Decisions"),
    (Here::WhatIf, "/console/what-if", "What-if"),
    (Here::Ledger, "/console/ledger", "Ledger"),
];

const KEYS: [(&str, &str); 5] = [
    ("j or →", "the next event of a run, or the next page of a list"),
    ("k or ←", "the event before, or the first page"),
    ("/", "search"),
    ("?", "this help"),
    ("Esc", "close it, or leave a field"),
];

/// A whole page.
pub fn page(title: &str, here: Here, who: Option<&Principal>, body: Markup) -> Markup {
    let [style, script, icon] = assets::addresses();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · X-Agent" }
                link rel="icon" href=(icon) type="image/svg+xml";
                link rel="stylesheet" href=(style);
                script src=(script) {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.bar { (bar(here, who)) }
                main #main tabindex="-1" { (body) }
                (help())
            }
        }
    }
}

fn bar(here: Here, who: Option<&Principal>) -> Markup {
    html! {
        a.home href="/console/runs" { (logo()) span { "X-Agent" } }
        @if here != Here::Nowhere || who.is_some() {
            nav aria-label="Places" {
                ul {
                    @for (place, address, name) in PLACES {
                        li { a href=(address) aria-current=[(place == here).then_some("page")] { (name) } }
                    }
                }
            }
        }
        div.who {
            button.quiet type="button" data-theme-switch hidden { "◐" }
            button.quiet type="button" data-help-button hidden aria-label="Keyboard help" { "?" }
            @if let Some(who) = who {
                span.soft title=(format!("tenant {}", who.tenant)) { (who.id) }
                form method="post" action="/console/sign-out" { button.quiet type="submit" { "Sign out" } }
            }
        }
    }
}

fn logo() -> Markup {
    html! {
        svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true" focusable="false" {
            path d="M6 4h20a2 2 0 0 1 2 2v20a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2z" fill="none"
                stroke="currentColor" stroke-width="2.5" {}
            path d="M10 10l12 12M22 10L10 22" stroke="currentColor" stroke-width="2.5" stroke-linecap="round" {}
        }
    }
}

fn help() -> Markup {
    html! {
        dialog #help aria-labelledby="help-title" {
            h2 #help-title { "Keys" }
            dl.facts { @for (key, does) in KEYS { dt { kbd { (key) } } dd { (does) } } }
            form method="dialog" { button type="submit" { "Close" } }
        }
    }
}
