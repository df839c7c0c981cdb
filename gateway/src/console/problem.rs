//! A problem as a page: what happened, the decision that denied, what to do.

use maud::{Markup, html};
use xagent_domain::Principal;

use super::layout::{self, Here};
use super::parts::{facts, prose, reasons};
use crate::problem::Problem;

/// The page.
pub fn page(problem: &Problem, who: Option<&Principal>) -> Markup {
    layout::page(
        &problem.title,
        Here::Nowhere,
        who,
        html! {
            div.narrow {
                h1 { (problem.title) }
                div.notice.bad role="alert" {
                    p { (prose(&problem.detail)) }
                    (reasons(&problem.deny, &[]))
                }
                p { (prose(&problem.remedy)) }
                (told(problem))
                p { a href="/console/runs" { "Back to the runs" } }
            }
        },
    )
}

fn told(problem: &Problem) -> Markup {
    let field = problem.field.as_ref().map(|field| ("Field", html! { code { (field) } }));
    let value = problem.value.as_ref().map(|value| ("Value", html! { code { (value) } }));
    let decision = problem.decision_id.as_ref().map(|id| {
        let address = format!("/console/decisions/{id}");
        ("Decision", html! { a href=(address) { code { (id) } } })
    });
    let trace = Some(("Trace", html! { code { (problem.trace_id) } })).filter(|_| !problem.trace_id.is_empty());
    let kind = ("Problem", html! { a href=(problem.kind) { code { (problem.kind) } } });
    facts([Some(kind), field, value, decision, trace].into_iter().flatten())
}
