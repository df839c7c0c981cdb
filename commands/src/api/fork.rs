//! Continuing a run from any of its events: in a run of its own, whose calls recordings answer.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use xagent_domain::governed::Refusal;
use xagent_domain::run::{Act, Fork, Past, PlannerSpec, RecordedSpec, Run, RunEvent, Start};
use xagent_domain::{Blob, Decider, Digest, GoalId, RunId};
use xagent_ledger::Receipt;

use super::{Caller, Commands, PlannerRequest, Subject};
use crate::{CommandError, InvalidInput};

/// Events read at once.
const PAGE: u32 = 500;
/// Events of a run that are continued at most.
const MOST: u64 = 10_000;

/// A run that is to be continued.
#[derive(Clone, Debug)]
pub struct ForkRequest {
    /// The run.
    pub from: RunId,
    /// The sequence of the last of its events that is continued.
    pub at: u64,
    /// The bundle tool calls are decided by; the one in force where it is none.
    pub policy: Option<Digest>,
    /// Who plans; the same as there, by what it said there, where it is none.
    pub planner: Option<PlannerRequest>,
    /// Whether calls without a recording are made.
    pub live: bool,
}

/// A run that continues another one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ForkedRun {
    /// Its id.
    pub run: String,
    /// The run it continues.
    pub from: RunId,
    /// The sequence of the last event it continues.
    pub at: u64,
    /// What is promised.
    pub receipt: Receipt,
}

/// A run up to where it is left.
struct Left {
    history: Vec<Past>,
    state: Run,
}

impl Commands {
    /// Continues a run. Who may read its events may know what became of them.
    pub async fn fork_run(&self, caller: &Caller, request: ForkRequest) -> Result<ForkedRun, CommandError> {
        self.authorise_read(caller, "read.events", "run", &request.from.to_string()).await?;
        let Left { history, state } = self.left(caller, &request).await?;
        self.check_law(&request).await?;
        let (planner, blob) = self.planner_of_fork(caller, &request, &state).await?;
        let workspace = match (request.live, state.workspace()) {
            (true, Some(folder)) => Some(self.workspace(folder)?),
            (_, folder) => folder.map(str::to_owned),
        };
        let run = RunId::new(self.ids.draw());
        let name = if request.live { "run.fork_live" } else { "run.fork" };
        let mut attributes = vec![
            ("agent", state.agent().to_owned()),
            ("at", request.at.to_string()),
            ("from", request.from.to_string()),
            ("planner", planner.name().to_owned()),
            ("principal", state.principal_id().to_owned()),
        ];
        attributes.extend(planner.chat().map(|chat| ("model", chat.model.clone())));
        attributes.extend(request.policy.map(|policy| ("policy", policy.to_string())));
        attributes.extend(workspace.clone().map(|folder| ("workspace", folder)));
        let body = json!({
            "at": request.at, "from": request.from, "live": request.live, "planner": planner, "policy": request.policy,
        });
        let start = Start {
            run,
            agent: state.agent().to_owned(),
            goal: GoalId::new(self.ids.draw()),
            goal_text: state.goal_text().to_owned(),
            planner,
            workspace,
            priority: state.priority(),
        };
        let goals = state.goals().iter().skip(1).map(|_| GoalId::new(self.ids.draw())).collect();
        let (from, law, live) = (request.from, request.policy, request.live);
        let act = Act::Fork(Box::new(Fork { start, from, history, goals, law, live }));
        let subject = Subject { name, id: run.to_string(), attributes, body };
        let executed = self.carry_out::<Run>(caller, subject, act, blob.into_iter().collect()).await?;
        Ok(ForkedRun { run: executed.receipt.aggregate_id.clone(), from, at: request.at, receipt: executed.receipt })
    }

    /// The events up to where the run is left, each verified as it is read.
    async fn left(&self, caller: &Caller, request: &ForkRequest) -> Result<Left, CommandError> {
        let (tenant, id) = (&caller.principal.tenant, request.from.to_string());
        if !(1..=MOST).contains(&request.at) {
            let message = format!("it is {}; 1 to {MOST} is expected", request.at);
            return Err(InvalidInput::new("/at", message).into());
        }
        let mut left = Left { history: Vec::new(), state: Run::default() };
        loop {
            let after = left.history.last().map_or(0, |past| past.sequence);
            let wanted = u32::try_from(request.at - after).unwrap_or(PAGE).min(PAGE);
            let page = self.ledger().committed::<Run>(tenant, &id, after, wanted).await?;
            let is_last = page.len() < wanted as usize || after + page.len() as u64 == request.at;
            left.history.extend(page.iter().map(|event| Past {
                sequence: event.sequence(),
                position: event.position(),
                event: event.event().clone(),
            }));
            if is_last {
                break;
            }
        }
        left.history.iter().for_each(|past| left.state.evolve(&past.event));
        let last = left.history.len() as u64;
        if last == 0 {
            return Err(Refusal::NotFound { what: "run", id }.into());
        }
        if last < request.at {
            let message = format!("it is {}, but the last event of {id} is {last}", request.at);
            return Err(InvalidInput::new("/at", message).into());
        }
        if !left.history.iter().any(|past| matches!(past.event, RunEvent::GoalSet { .. })) {
            let message = format!("at {} the run {id} has not begun: it has no goal yet", request.at);
            return Err(InvalidInput::new("/at", message).into());
        }
        Ok(left)
    }

    /// A bundle that is not in force decides only on what has no effect.
    async fn check_law(&self, request: &ForkRequest) -> Result<(), CommandError> {
        let Some(policy) = &request.policy else { return Ok(()) };
        if request.live {
            let message = "only the law in force decides on what is done: leave out `policy`, or `live`";
            return Err(InvalidInput::new("/live", message).into());
        }
        if self.bundles().await?.published(policy).is_none() {
            let message = format!("there is no published bundle {policy}; see GET /v1/bundles");
            return Err(InvalidInput::new("/policy", message).into());
        }
        self.executor.hold(policy).await
    }

    async fn planner_of_fork(
        &self,
        caller: &Caller,
        request: &ForkRequest,
        state: &Run,
    ) -> Result<(PlannerSpec, Option<Blob>), CommandError> {
        match (&request.planner, state.planner()) {
            (Some(planner), _) => self.planner(caller, planner.clone()).await,
            // What a model said there it says here, for as long as it sees the same.
            (None, Some(PlannerSpec::Chat(chat) | PlannerSpec::Recorded(RecordedSpec { chat, .. }))) => {
                Ok((PlannerSpec::Recorded(RecordedSpec { from: request.from, chat: chat.clone() }), None))
            }
            (None, Some(planner)) => Ok((planner.clone(), None)),
            (None, None) => Ok((PlannerSpec::Client, None)),
        }
    }
}
