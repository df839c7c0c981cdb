//! What each event of a run says, in plain words.

use std::collections::HashMap;

use maud::{Markup, html};
use xagent_domain::run::{Consultation, Proposal, Run, RunEvent, ToolOutcome};
use xagent_domain::{ApprovalId, CallId, Content, DecisionMade, Question, Recorded};

use super::super::decisions;
use super::super::parts::{Tone, beginning, block, bytes, content, duration, facts, fold, moment_us, prose};
use crate::problem::Problem;
use crate::shown::unreadable;

/// An event as it was recorded, and read.
pub type Fact<'a> = (&'a Recorded, RunEvent);

/// The events, read.
pub fn read(events: &[Recorded]) -> Result<Vec<Fact<'_>>, Problem> {
    events.iter().map(fact).collect()
}

fn fact(event: &Recorded) -> Result<Fact<'_>, Problem> {
    let Recorded { event_type, event_version, payload, .. } = event;
    xagent_domain::read(event_type, event_version, payload).map(|fact| (event, fact)).map_err(|_| unreadable(event))
}

/// What calls are called, by their ids and those of their approvals.
#[derive(Default)]
pub struct Names {
    calls: HashMap<CallId, String>,
    approvals: HashMap<ApprovalId, CallId>,
}

impl Names {
    /// Those that state and events tell of.
    pub fn of(state: &Run, facts: &[Fact<'_>]) -> Self {
        let mut names = Self::default();
        names.calls.extend(state.open_calls().map(|call| (call.id, call.label.clone())));
        names.approvals.extend(state.approvals().map(|(id, approval)| (*id, approval.call)));
        facts.iter().for_each(|(_, fact)| names.learn(fact));
        names
    }

    fn learn(&mut self, fact: &RunEvent) {
        match fact {
            RunEvent::EventInherited(inherited) => self.learn(&inherited.event),
            RunEvent::ToolCallProposed { call, label, .. } => _ = self.calls.insert(*call, label.clone()),
            RunEvent::ApprovalRequested { approval, call, .. } => _ = self.approvals.insert(*approval, *call),
            _ => {}
        }
    }

    fn call(&self, id: &CallId) -> Markup {
        html! { "the call " code { @match self.calls.get(id) { Some(label) => (label), None => (id) } } }
    }

    fn approved(&self, id: &ApprovalId) -> Markup {
        html! { @match self.approvals.get(id) { Some(call) => (self.call(call)), None => { "a call" } } }
    }
}

/// The text that an event is about and does not hold itself.
pub fn apart(event: &RunEvent) -> Option<&Content> {
    let content = match event {
        RunEvent::EventInherited(inherited) => return apart(&inherited.event),
        RunEvent::DecisionMade(made) => &made.input,
        RunEvent::ToolCallProposed { arguments, .. } => arguments,
        RunEvent::ToolCallCompleted { outcome, .. } => &outcome.output,
        RunEvent::PlannerConsulted(consultation) => consultation.exchange.as_ref()?.reply.as_ref()?,
        _ => return None,
    };
    Some(content).filter(|content| content.text.is_none())
}

/// An event in words.
pub struct Told {
    pub tone: Tone,
    /// What kind of thing happened.
    pub kind: &'static str,
    pub title: Markup,
    /// What there is to see of it.
    pub body: Markup,
}

fn plainly(tone: Tone, kind: &'static str, title: Markup) -> Told {
    Told { tone, kind, title, body: html! {} }
}

/// What an event says.
pub fn told(event: &RunEvent, names: &Names) -> Told {
    match event {
        RunEvent::DecisionMade(made) => decision(made, names),
        RunEvent::PlannerConsulted(consultation) => plan(consultation),
        RunEvent::RunStarted { agent, principal, planner, workspace, priority, .. } => Told {
            body: facts([
                ("Planner", html! { (planner.name()) }),
                ("Workspace", html! { @match workspace { Some(folder) => code { (folder) }, None => "none" } }),
                ("Priority", html! { (priority) }),
            ]),
            ..plainly(Tone::Runs, "started", html! { "The agent " strong { (agent) } " sets out for " (principal.id) })
        },
        RunEvent::GoalSet { parent, text, .. } => {
            let kind = if parent.is_some() { "sub-goal" } else { "goal" };
            plainly(Tone::Plain, kind, html! { (beginning(text, 400)) })
        }
        RunEvent::ToolCallProposed { label, tool, arguments, .. } => Told {
            body: html! {
                @match arguments.text.as_deref().filter(|text| text.len() <= 160) {
                    Some(text) => p.arguments { code { (text) } },
                    None => (fold(&format!("arguments-{label}"), "Arguments", content(arguments))),
                }
            },
            ..plainly(
                Tone::Plain,
                "proposed",
                html! { "Call " code { (tool.name) } " as " code { (label) } ", risk " (tool.risk) },
            )
        },
        RunEvent::ToolCallRejected { label, tool, reason } => {
            plainly(Tone::Bad, "unfit", html! { code { (label) } " of " code { (tool) } ": " (reason) })
        }
        RunEvent::ToolCallStarted { call, attempt, .. } => {
            plainly(Tone::Runs, "began", html! { (names.call(call)) @if *attempt > 1 { ", attempt " (attempt) } })
        }
        RunEvent::ToolCallCompleted { call, outcome, duration_us } => completed(call, outcome, *duration_us, names),
        RunEvent::ToolCallInterrupted { call, reason } => {
            plainly(Tone::Bad, "interrupted", html! { (names.call(call)) ": " (reason) })
        }
        RunEvent::RecordingMissing { tool, from, .. } => plainly(
            Tone::Bad,
            "no recording",
            html! { "Nothing of " code { (tool) } " is recorded in " code { (from) } "; it was not called" },
        ),
        RunEvent::EventInherited(inherited) => inherited_from(&inherited.event, inherited.sequence, names),
        RunEvent::ApprovalRequested { .. } | RunEvent::ApprovalGranted { .. } | RunEvent::ApprovalRefused { .. } => {
            approval(event, names)
        }
        RunEvent::GoalAchieved { .. }
        | RunEvent::GoalFailed { .. }
        | RunEvent::RunPaused { .. }
        | RunEvent::RunResumed {}
        | RunEvent::RunCancelled { .. }
        | RunEvent::RunCompleted { .. }
        | RunEvent::RunFailed { .. }
        | RunEvent::RunForked { .. } => course(event),
    }
}

fn inherited_from(event: &RunEvent, sequence: u64, names: &Names) -> Told {
    let inner = told(event, names);
    Told {
        title: html! { (inner.title) " " span.soft { "(taken over: event " (sequence) " of the other run)" } },
        ..inner
    }
}

fn approval(event: &RunEvent, names: &Names) -> Told {
    match event {
        RunEvent::ApprovalRequested { call, reason, expires_at_us, .. } => plainly(
            Tone::Waits,
            "waits",
            html! { (names.call(call)) " waits for a person: " (prose(reason)) " " span.soft { "until " (moment_us(*expires_at_us)) } },
        ),
        RunEvent::ApprovalGranted { approval, granted_by } => {
            plainly(Tone::Good, "approved", html! { strong { (granted_by) } " approved " (names.approved(approval)) })
        }
        RunEvent::ApprovalRefused { approval, refused_by, reason } => plainly(
            Tone::Bad,
            "refused",
            html! { strong { (refused_by) } " refused " (names.approved(approval)) ": " (reason) },
        ),
        _ => plainly(Tone::Plain, "", html! {}),
    }
}

/// How the run as a whole goes.
fn course(event: &RunEvent) -> Told {
    match event {
        RunEvent::GoalAchieved { summary, .. } => plainly(Tone::Good, "goal reached", html! { (summary) }),
        RunEvent::GoalFailed { reason, .. } => plainly(Tone::Bad, "goal given up", html! { (reason) }),
        RunEvent::RunPaused { reason } => plainly(Tone::Waits, "paused", html! { (reason) }),
        RunEvent::RunResumed {} => plainly(Tone::Runs, "resumed", html! { "It goes on" }),
        RunEvent::RunCancelled { reason } => plainly(Tone::Bad, "cancelled", html! { (reason) }),
        RunEvent::RunCompleted { summary } => plainly(Tone::Good, "completed", html! { (summary) }),
        RunEvent::RunFailed { reason } => plainly(Tone::Bad, "failed", html! { (reason) }),
        RunEvent::RunForked { from, at_sequence, live, .. } => plainly(
            Tone::Plain,
            "forked",
            html! {
                "It continues " a href=(super::at(*from, *at_sequence)) { code { (from) } } " from event " (at_sequence)
                @if *live { ", with live tools" } @else { ", on its recordings" }
            },
        ),
        _ => plainly(Tone::Plain, "", html! {}),
    }
}

fn completed(call: &CallId, outcome: &ToolOutcome, duration_us: u64, names: &Names) -> Told {
    let (tone, kind) = if outcome.succeeded { (Tone::Good, "succeeded") } else { (Tone::Bad, "failed") };
    let title = html! {
        (names.call(call)) ": " (bytes(outcome.output.size)) " in " (duration(duration_us))
        @if let Some(recording) = outcome.recording { ", from the recording at event " (recording.sequence) " of " code { (recording.run) } }
    };
    let body = match outcome.output.text.as_deref().filter(|text| text.len() <= 160) {
        Some(text) => html! { p.arguments { code { (text) } } },
        None => fold(&format!("output-{call}"), "Output", content(&outcome.output)),
    };
    Told { tone, kind, title, body }
}

fn plan(consultation: &Consultation) -> Told {
    let title = match &consultation.proposal {
        Proposal::CallTool { label, tool } => html! { "Next: " code { (tool) } " as " code { (label) } },
        Proposal::CallTools { calls } => {
            html! { "Next, at once: " @for call in calls { code { (call.tool) } " as " code { (call.label) } " " } }
        }
        Proposal::Achieved { summary } => html! { "The goal is reached: " (summary) },
        Proposal::GiveUp { reason } => html! { "It gives up: " (reason) },
        Proposal::Unusable { reason } => html! { "Nothing that can be used: " (reason) },
    };
    let exchange = consultation.exchange.as_deref();
    let body = html! {
        @if let Some(exchange) = exchange {
            p.soft {
                (exchange.model) ", " (exchange.input_tokens) " tokens in, " (exchange.output_tokens) " out, " (duration(exchange.latency_us))
            }
            @for failure in &exchange.failures { (block(failure)) }
            @if let Some(reply) = &exchange.reply { (fold(&format!("reply-{}", reply.digest), "The model's reply", content(reply))) }
        }
    };
    Told { body, ..plainly(Tone::Plain, "plan", title) }
}

fn decision(made: &DecisionMade, names: &Names) -> Told {
    let (tone, kind) = decisions::verdict(made);
    let title = match &made.question {
        Question::Command(intent) => html! { code { (intent.name) } " by " (intent.principal.id) },
        Question::ToolCall { call, approval } => {
            html! { (names.call(call)) @if approval.is_some() { ", under its approval" } }
        }
    };
    Told { tone, kind, title, body: decisions::told(made) }
}
