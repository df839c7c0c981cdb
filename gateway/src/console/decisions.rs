//! `/console/decisions`: what the law was asked and what it said, to be searched; and each decision, whole.

use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};
use xagent_domain::governed::Refusal;
use xagent_domain::run::RunEvent;
use xagent_domain::{DecisionId, DecisionMade, Outcome, Question, Recorded, canonical_event, read};
use xagent_projections::DecisionRow;

use super::filters::{form, pages};
use super::layout::{self, Here};
use super::parts::{
    Tone, beginning, block, bytes, content, duration, engine, facts, fold, heading, json, mark, moment, moment_us,
    nothing, prose, reasons, status,
};
use super::runs::address;
use crate::export::Format;
use crate::problem::Problem;
use crate::recordings;
use crate::rest::Doors;
use crate::rest::extract::{Calling, Id};
use crate::rest::query::{self, Asked, Asking};
use crate::shown::unreadable;

const PATH: &str = "/console/decisions";

/// The list.
pub async fn list(
    State(doors): State<Doors>,
    calling: Calling,
    RawQuery(query): RawQuery,
    Asking(asked): Asking<DecisionRow>,
) -> Result<Response, Problem> {
    if asked.format != Format::Json {
        return query::answer(&doors, &calling, asked, "read.decisions", "decision").await;
    }
    let query = query.unwrap_or_default();
    let found = query::rows(&doors, &calling, &asked, "read.decisions", "decision").await?;
    let body = html! {
        (heading("Decisions", "What the law was asked and what it said: of tool calls, commands and reads. The youngest first."))
        (form::<DecisionRow>(PATH, &query, &["text", "decision", "tool", "code"]))
        (table(&found.items))
        (pages(PATH, &query, found.next.as_deref()))
    };
    Ok(Html(layout::page("Decisions", Here::Decisions, Some(&calling.caller.principal), body).into_string())
        .into_response())
}

fn table(rows: &[DecisionRow]) -> Markup {
    html! {
        div.card {
            table.rows {
                caption.hidden { "Decisions" }
                thead { tr {
                    th scope="col" { "Decision" } th scope="col" { "About" } th scope="col" { "Reasons" }
                    th scope="col" { "For" } th scope="col" { "When (UTC)" }
                } }
                tbody { @for row in rows { (line(row)) } }
            }
            @if rows.is_empty() { (nothing("No decision is like this. Clear a filter.")) }
        }
    }
}

fn line(row: &DecisionRow) -> Markup {
    html! {
        tr {
            th scope="row" { (status(&row.verdict)) div { a.id href={ (PATH) "/" (row.decision) } { (row.decision) } } }
            td data-label="About" {
                @match (&row.command, &row.tool) {
                    (Some(command), _) => code { (command) },
                    (None, Some(tool)) => { "tool " code { (tool) } },
                    (None, None) => "a tool call",
                }
                @if let Some(run) = &row.run { div { a.id href=(address(run)) { (run) } } }
            }
            td data-label="Reasons" { @for code in &row.codes { code.code { (code) } " " } div.soft { (prose(&beginning(&row.reasons, 200))) } }
            td data-label="For" { (row.principal) @if let Some(agent) = &row.agent { div.soft { "agent " (agent) } } }
            td data-label="When" { (moment(row.decided_at)) }
        }
    }
}

/// The page of a decision.
pub async fn page(
    State(doors): State<Doors>,
    calling: Calling,
    Id(decision): Id<DecisionId>,
) -> Result<Html<String>, Problem> {
    let asked = Asked::<DecisionRow>::of(&format!("id={decision}")).map_err(|problem| calling.problem(problem))?;
    let found = query::rows(&doors, &calling, &asked, "read.decisions", "decision").await?;
    let none = || calling.problem(Refusal::NotFound { what: "decision", id: decision.to_string() });
    let row = found.items.into_iter().next().ok_or_else(none)?;
    let before = u64::try_from(row.position).unwrap_or(1).saturating_sub(1);
    let events = doors.commands.ledger().range(before, 1).await.map_err(|error| calling.problem(error))?;
    let tenant = &calling.caller.principal.tenant;
    let event = events.into_iter().next().filter(|event| event.tenant == *tenant).ok_or_else(none)?;
    let Ok(RunEvent::DecisionMade(made)) = read(&event.event_type, &event.event_version, &event.payload) else {
        return Err(calling.problem(unreadable(&event)));
    };
    let input = match &made.input.text {
        Some(text) => Some(text.clone()),
        None => recordings::blob(doors.commands.ledger(), &made.input.digest)
            .await
            .map_err(|error| calling.problem(error))?,
    };
    let body = shown(&row, &made, input.as_deref(), &event);
    Ok(Html(layout::page("Decision", Here::Decisions, Some(&calling.caller.principal), body).into_string()))
}

fn shown(row: &DecisionRow, made: &DecisionMade, input: Option<&str>, event: &Recorded) -> Markup {
    let (tone, kind) = verdict(made);
    html! {
        div.heading {
            p.crumb { a href=(PATH) { "Decisions" } " / " span.id { (made.decision) } }
            h1 { (mark(tone, kind)) " " (about(row, made)) }
            (reasons(&made.deny, &made.obligations))
        }
        div.card { (record(row, made, event)) }
        section.card aria-labelledby="input-title" {
            h2 #input-title { "The exact input" }
            p.soft { (bytes(made.input.size)) " of canonical JSON, " code { (made.input.digest) } ". Shown with line breaks; the bytes are below." }
            @match input {
                Some(text) => { (json(text)) (fold("bytes", "The bytes", block(text))) },
                None => p.bad { "Its text is not here any more." },
            }
        }
        section.card aria-labelledby="answer-title" {
            h2 #answer-title { "What the engine answered" }
            @match &made.evaluation.outcome {
                Outcome::Document(text) => (json(text.as_str())),
                Outcome::Failure { class, message } => p.bad { (format!("{class:?}")) ": " (message) },
            }
            (fold("raw", "The event as it was recorded", match canonical_event(event) {
                Ok(text) => block(&text),
                Err(error) => html! { p.bad { (error) } },
            }))
        }
    }
}

fn record(row: &DecisionRow, made: &DecisionMade, event: &Recorded) -> Markup {
    let evaluation = &made.evaluation;
    let place = row.run.as_ref().filter(|_| row.aggregate_type == "run");
    facts(
        [
            place.map(|run| ("In the run", html! { a href={ (address(run)) "?at=" (event.sequence) "#e" (event.sequence) } { code { (run) } ", event " (event.sequence) } })),
            row.call.as_ref().map(|call| ("Call", html! { code { (call) } })),
            Some(("For", html! { (row.principal) })),
            Some(("Rule asked", html! { code { (evaluation.entrypoint) } })),
            Some(("Bundle", html! { code { (evaluation.bundle) } })),
            Some(("Engine", html! { (engine(&evaluation.engine)) ", " (duration(evaluation.duration_us)) })),
            Some(("Clock it was given", moment_us(made.context.now_us))),
            Some(("Recorded (UTC)", moment_us(event.recorded_at_us))),
            Some(("Position", html! { a href={ "/console/ledger?position=" (event.position) "#proof" } { (event.position) ": prove it" } })),
            row.trace_id.as_ref().map(|trace| ("Trace", html! { code { (trace) } })),
        ]
        .into_iter()
        .flatten(),
    )
}

fn about(row: &DecisionRow, made: &DecisionMade) -> Markup {
    match (&made.question, &row.tool) {
        (Question::Command(intent), _) => html! { code { (intent.name) } " by " (intent.principal.id) },
        (Question::ToolCall { .. }, Some(tool)) => html! { "a call of " code { (tool) } },
        (Question::ToolCall { call, .. }, None) => html! { "the call " code { (call) } },
    }
}

/// A decision's verdict, at a glance and in a word.
pub fn verdict(made: &DecisionMade) -> (Tone, &'static str) {
    match (made.allow, made.asks_for_approval()) {
        (true, _) => (Tone::Good, "allowed"),
        (false, true) => (Tone::Waits, "needs approval"),
        (false, false) => (Tone::Bad, "denied"),
    }
}

/// A decision within something else: reasons, input, and where all of it is.
pub fn told(made: &DecisionMade) -> Markup {
    let (id, evaluation) = (made.decision, &made.evaluation);
    html! {
        (reasons(&made.deny, &made.obligations))
        (fold(&format!("input-{id}"), "The exact input", html! {
            (facts([
                ("Decision", html! { a href={ (PATH) "/" (id) } { code { (id) } } }),
                ("Rule asked", html! { code { (evaluation.entrypoint) } }),
                ("Bundle", html! { code { (evaluation.bundle) } }),
                ("Engine", html! { (engine(&evaluation.engine)) ", " (duration(evaluation.duration_us)) }),
                ("Input", html! { (bytes(made.input.size)) ", " code { (made.input.digest) } }),
            ]))
            (content(&made.input))
        }))
    }
}
