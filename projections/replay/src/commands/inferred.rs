//! The command that events say was given: the act, who meant it, the circumstances, and what the law answered.

use xagent_domain::governed::Command;
use xagent_domain::run::{
    Act, Consultation, Fork, Goal, GoalChange, GoalStatus, Past, PlannerSpec, Proposal, Propose, Run, RunEvent,
    RunStatus, Start,
};
use xagent_domain::{CallId, CanonicalJson, Context, DecisionMade, GoalId, Intent, Question, Recorded, Ruling, Usage};

use super::command_id;
use crate::Recordings;

/// The events from here on, as far as one command may have brought them about.
type Ahead<'e> = [&'e RunEvent];

/// The command that begins here; none where it is of a kind this version does not know.
pub(super) fn inferred(
    recordings: &Recordings,
    run: &Run,
    events: &[(&Recorded, RunEvent)],
) -> Result<Option<Command<Act>>, String> {
    let ahead = of_one_command(events);
    let mut rulings = Vec::new();
    let (mut intent, mut context, mut rest) = (None, None, ahead.as_slice());
    if let Some((RunEvent::DecisionMade(made), more)) = rest.split_first()
        && let Question::Command(meant) = &made.question
    {
        rulings.push(ruling(made));
        (intent, context, rest) = (Some(meant.clone()), Some(made.context.clone()), more);
    }
    if let Some(made) = decided(rest) {
        rulings.push(ruling(made));
        context = context.or_else(|| Some(made.context.clone()));
    }
    let context = context.unwrap_or_else(|| Context::new(0, Usage::default()));
    let act = act((recordings, run), intent.as_ref(), &context, rest)?;
    Ok(act.map(|act| Command { act, intent, context, rulings }))
}

/// Events of one command were recorded under its id.
fn of_one_command<'e>(events: &'e [(&Recorded, RunEvent)]) -> Vec<&'e RunEvent> {
    let first = events.first().map(|(event, _)| command_id(event));
    let same = events.iter().take_while(|(event, _)| Some(command_id(event)) == first);
    same.map(|(_, fact)| fact).collect()
}

fn ruling(made: &DecisionMade) -> Ruling {
    Ruling { decision: made.decision, input: made.input.clone(), evaluation: made.evaluation.clone() }
}

/// What the law answered to the tool call that is proposed or started here.
fn decided<'e>(rest: &Ahead<'e>) -> Option<&'e DecisionMade> {
    let consulted = usize::from(matches!(rest.first(), Some(RunEvent::PlannerConsulted(_))));
    let proposed = usize::from(matches!(rest.get(consulted), Some(RunEvent::ToolCallProposed { .. })));
    if consulted > proposed {
        return None;
    }
    match rest.get(consulted + proposed) {
        Some(RunEvent::DecisionMade(made)) if matches!(made.question, Question::ToolCall { .. }) => Some(made),
        _ => None,
    }
}

fn act(
    (recordings, run): (&Recordings, &Run),
    intent: Option<&Intent>,
    context: &Context,
    rest: &Ahead<'_>,
) -> Result<Option<Act>, String> {
    let Some(first) = rest.first() else { return Err("a command was decided, and nothing came of it".to_owned()) };
    Ok(Some(match first {
        RunEvent::RunStarted { .. } => Act::Start(start(rest)?),
        RunEvent::PlannerConsulted(made) if run.planner().and_then(PlannerSpec::chat).is_some() => {
            Act::Plan(made.clone(), goals(run, made, rest))
        }
        RunEvent::PlannerConsulted(made) => {
            let proposed = proposed(recordings, context, rest.get(1..).unwrap_or_default())?;
            Act::Consult(made.clone(), proposed.map(Box::new))
        }
        RunEvent::ToolCallProposed { label, .. } => {
            let propose = proposed(recordings, context, rest)?.ok_or("the call is not recorded as it was proposed")?;
            let planned = run.planned().is_some_and(|planned| planned.label == *label);
            match intent.is_none() && planned {
                true => Act::ProposePlanned(Box::new(propose)),
                false => Act::Propose(Box::new(propose)),
            }
        }
        RunEvent::ToolCallRejected { label, reason, .. } => {
            Act::RejectPlanned { label: label.clone(), reason: reason.clone() }
        }
        RunEvent::DecisionMade(made) => match &made.question {
            Question::ToolCall { call, .. } => start_call(recordings, run, *call)?,
            Question::Command(_) => return Err("one command is decided once".to_owned()),
        },
        RunEvent::ToolCallStarted { call, .. } => start_call(recordings, run, *call)?,
        RunEvent::ToolCallCompleted { call, outcome, duration_us } => {
            Act::CompleteCall { call: *call, outcome: outcome.clone(), duration_us: *duration_us }
        }
        RunEvent::ToolCallInterrupted { call, reason } => Act::InterruptCall { call: *call, reason: reason.clone() },
        RunEvent::ApprovalGranted { approval, .. } => Act::Grant { approval: *approval },
        RunEvent::ApprovalRefused { approval, reason, .. } => {
            Act::Refuse { approval: *approval, reason: reason.clone() }
        }
        RunEvent::RunPaused { reason } => Act::Pause { reason: reason.clone() },
        RunEvent::RunResumed {} => Act::Resume,
        RunEvent::GoalAchieved { .. }
        | RunEvent::GoalFailed { .. }
        | RunEvent::RunCancelled { .. }
        | RunEvent::RunCompleted { .. }
        | RunEvent::RunFailed { .. } => ended(rest)?,
        RunEvent::RecordingMissing { call, .. } => Act::MissRecording { call: *call },
        RunEvent::RunForked { from, at_sequence, law, live, .. } => {
            let Some(origin) = &recordings.origin else { return Ok(None) };
            let (from, law, live) = (*from, *law, *live);
            let history = history(origin, *at_sequence)?;
            let (start, goals) = (start(rest.get(1..).unwrap_or_default())?, sub_goals(rest));
            Act::Fork(Box::new(Fork { start, from, history, goals, law, live }))
        }
        RunEvent::GoalSet { .. } | RunEvent::ApprovalRequested { .. } | RunEvent::EventInherited(_) => {
            return Err("no command begins with it".to_owned());
        }
    }))
}

fn start(rest: &Ahead<'_>) -> Result<Start, String> {
    let Some((RunEvent::RunStarted { run, agent, planner, workspace, priority, .. }, more)) = rest.split_first() else {
        return Err("a run begins by starting".to_owned());
    };
    let Some(RunEvent::GoalSet { goal, text, .. }) = more.first() else {
        return Err("a run starts with a goal".to_owned());
    };
    Ok(Start {
        run: *run,
        agent: agent.clone(),
        goal: *goal,
        goal_text: text.clone(),
        planner: planner.clone(),
        workspace: workspace.clone(),
        priority: *priority,
    })
}

/// The events of another run up to where it is left.
fn history(origin: &[Recorded], left: u64) -> Result<Vec<Past>, String> {
    let past = |event: &Recorded| {
        let read = xagent_domain::read(&event.event_type, &event.event_version, &event.payload);
        let read = read.map_err(|error| format!("event {} of the other run: {error}", event.sequence))?;
        Ok(Past { sequence: event.sequence, position: event.position, event: read })
    };
    origin.iter().take_while(|event| event.sequence <= left).map(past).collect()
}

/// Ids of the goals a run set for what the one it continues had set, after its first.
fn sub_goals(rest: &Ahead<'_>) -> Vec<GoalId> {
    let set = rest.iter().filter_map(|event| match event {
        RunEvent::GoalSet { goal, .. } => Some(*goal),
        _ => None,
    });
    set.skip(1).collect()
}

fn start_call(recordings: &Recordings, run: &Run, call: CallId) -> Result<Act, String> {
    let open = run.call(&call).ok_or_else(|| format!("the call {call} is not open before it"))?;
    // Where it is not decided again its arguments are only compared by digest, which the call has.
    let missing = || format!("the arguments {} are not recorded", open.arguments.digest);
    let arguments = recordings.json(&open.arguments).ok_or_else(missing)?;
    Ok(Act::StartCall { call, arguments })
}

/// How a run ended, after what became of its goals.
fn ended(rest: &Ahead<'_>) -> Result<Act, String> {
    let goal = |event: &&&RunEvent| matches!(event, RunEvent::GoalAchieved { .. } | RunEvent::GoalFailed { .. });
    match rest.iter().find(|event| !goal(event)) {
        Some(RunEvent::RunCancelled { reason }) => Ok(Act::Cancel { reason: reason.clone() }),
        Some(RunEvent::RunCompleted { summary }) => Ok(Act::Finish { achieved: true, summary: summary.clone() }),
        Some(RunEvent::RunFailed { reason }) => Ok(Act::Finish { achieved: false, summary: reason.clone() }),
        _ => Err("goals end with their run".to_owned()),
    }
}

/// What a model did to the goals: whatever happens to them between its answer and the end of the run.
fn goals(run: &Run, made: &Consultation, rest: &Ahead<'_>) -> Vec<GoalChange> {
    let number = |goal: &GoalId| {
        let place = run.goals().iter().position(|known| known.id == *goal).map_or(0, |place| place + 1);
        u32::try_from(place).unwrap_or(u32::MAX)
    };
    let mut changes: Vec<_> = rest
        .iter()
        .skip(1)
        .map_while(|event| match event {
            RunEvent::GoalSet { goal, text, .. } => Some(GoalChange::Set { goal: *goal, text: text.clone() }),
            RunEvent::GoalAchieved { goal, summary } => {
                Some(GoalChange::Achieved { number: number(goal), summary: summary.clone() })
            }
            RunEvent::GoalFailed { goal, reason } => {
                Some(GoalChange::Failed { number: number(goal), reason: reason.clone() })
            }
            _ => None,
        })
        .collect();
    let ends = matches!(made.proposal, Proposal::Achieved { .. } | Proposal::GiveUp { .. });
    if ends && run.status() == RunStatus::Running {
        let open = |goal: &&Goal| goal.status == GoalStatus::Open;
        changes.truncate(changes.len().saturating_sub(run.goals().iter().filter(open).count()));
    }
    changes
}

/// The call that is proposed here, if one is.
fn proposed(recordings: &Recordings, context: &Context, rest: &Ahead<'_>) -> Result<Option<Propose>, String> {
    let Some(RunEvent::ToolCallProposed { call, label, tool, arguments, resources, values, .. }) = rest.first() else {
        return Ok(None);
    };
    let missing = || format!("the arguments {} are not recorded", arguments.digest);
    let text: CanonicalJson = recordings.json(arguments).ok_or_else(missing)?;
    let asked = rest.iter().take(3).find_map(|event| match event {
        RunEvent::ApprovalRequested { approval, expires_at_us, .. } => Some((*approval, *expires_at_us)),
        _ => None,
    });
    // Where nobody was asked, an approval would have had an id that nothing tells, and nothing depends on.
    let nobody = || format!("appr_{}", "0".repeat(32)).parse().map(|id| (id, context.now_us));
    let (approval, expires_at_us) =
        asked.map_or_else(nobody, Ok).map_err(|error: xagent_domain::IdError| error.to_string())?;
    Ok(Some(Propose {
        call: *call,
        approval,
        approval_ttl_us: expires_at_us.saturating_sub(context.now_us),
        label: label.clone(),
        tool: tool.clone(),
        arguments: text,
        resources: resources.clone(),
        values: values.clone(),
    }))
}
