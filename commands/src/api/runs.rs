//! Commands to a run as a whole.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use xagent_domain::run::{Act, Plan, PlannerSpec, Priority, RecordedSpec, Run, Start};
use xagent_domain::{Blob, CanonicalJson, Content, GoalId, RunId};
use xagent_ledger::Receipt;

use super::{Caller, Commands, Done, Subject};
use crate::planner::ChatRequest;
use crate::{CommandError, InvalidInput, check_plan};

const LONGEST_NAME: usize = 128;
pub(super) const LONGEST_TEXT: usize = 16 * 1024;

/// A run to be started.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The agent's name.
    pub agent: String,
    /// The root goal.
    pub goal: String,
    /// Who plans.
    pub planner: PlannerRequest,
    /// The folder built-in tools are confined to.
    pub workspace: Option<String>,
    /// How urgent it is among the runs of its tenant.
    pub priority: Priority,
}

/// Who is to plan a run.
#[derive(Clone, Debug)]
pub enum PlannerRequest {
    /// The client.
    Client,
    /// A plan.
    Scripted(Plan),
    /// A chat model.
    Chat(Box<ChatRequest>),
    /// The recorded replies of the model that planned this run.
    Recorded(RunId),
}

/// A run that was started.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StartedRun {
    /// Its id.
    pub run: String,
    /// What is promised.
    pub receipt: Receipt,
}

/// Agents of this prefix are clients for which the MCP door opened a run.
pub(super) const OPENED: &str = "mcp/";

impl Commands {
    /// Starts a run.
    pub async fn start_run(&self, caller: &Caller, request: RunRequest) -> Result<StartedRun, CommandError> {
        if request.agent.starts_with(OPENED) {
            let message =
                format!("agents named `{OPENED}...` are clients for which a run was opened: take another name");
            return Err(InvalidInput::new("/agent", message).into());
        }
        self.start(caller, request).await
    }

    pub(super) async fn start(&self, caller: &Caller, request: RunRequest) -> Result<StartedRun, CommandError> {
        check_text("/agent", &request.agent, LONGEST_NAME)?;
        check_text("/goal", &request.goal, LONGEST_TEXT)?;
        let workspace = request.workspace.as_deref().map(|folder| self.workspace(folder)).transpose()?;
        let (planner, blob) = self.planner(caller, request.planner).await?;
        let mut body = match &planner {
            PlannerSpec::Client => json!({"plan": null}),
            PlannerSpec::Scripted(plan) => json!({"plan": plan.digest}),
            PlannerSpec::Chat(_) | PlannerSpec::Recorded(_) => json!({"planner": planner}),
        };
        for (name, value) in
            [("agent", json!(request.agent)), ("goal", json!(request.goal)), ("workspace", json!(workspace))]
        {
            body[name] = value;
        }
        let priority = request.priority;
        let said = (!priority.is_normal()).then(|| priority.to_string());
        if let Some(said) = &said {
            body["priority"] = json!(said);
        }
        let run = RunId::new(self.ids.draw());
        let mut attributes = vec![("agent", request.agent.clone()), ("planner", planner.name().to_owned())];
        attributes.extend(planner.chat().map(|chat| ("model", chat.model.clone())));
        attributes.extend(workspace.clone().map(|folder| ("workspace", folder)));
        attributes.extend(said.map(|priority| ("priority", priority)));
        let act = Act::Start(Start {
            run,
            agent: request.agent,
            goal: GoalId::new(self.ids.draw()),
            goal_text: request.goal,
            planner,
            workspace,
            priority,
        });
        let subject = Subject { name: "run.start", id: run.to_string(), attributes, body };
        let executed = self.carry_out::<Run>(caller, subject, act, blob.into_iter().collect()).await?;
        Ok(StartedRun { run: executed.receipt.aggregate_id.clone(), receipt: executed.receipt })
    }

    /// Who plans, as it is recorded, with the plan's text where it stands apart.
    pub(super) async fn planner(
        &self,
        caller: &Caller,
        request: PlannerRequest,
    ) -> Result<(PlannerSpec, Option<Blob>), CommandError> {
        match request {
            PlannerRequest::Client => Ok((PlannerSpec::Client, None)),
            PlannerRequest::Scripted(plan) => {
                check_plan(&plan)?;
                let plan = CanonicalJson::of(&plan).map_err(|error| InvalidInput::new("/plan", error.to_string()))?;
                let (content, blob) = Content::json(plan);
                Ok((PlannerSpec::Scripted(content), blob))
            }
            PlannerRequest::Chat(chat) => {
                let spec = chat.spec(self.model())?;
                self.check_offer(&caller.principal.tenant, &spec).await?;
                Ok((PlannerSpec::Chat(spec), None))
            }
            PlannerRequest::Recorded(from) => {
                self.authorise_read(caller, "read.events", "run", &from.to_string()).await?;
                let recorded = self.ledger().load::<Run>(&caller.principal.tenant, &from.to_string()).await?.state;
                let chat = recorded.planner().and_then(PlannerSpec::chat).cloned().ok_or_else(|| {
                    let message = format!("`{from}` is no run that a model planned");
                    InvalidInput::new("/planner/recorded/run", message)
                })?;
                Ok((PlannerSpec::Recorded(RecordedSpec { from, chat }), None))
            }
        }
    }

    /// Lets no further tool of the run start.
    pub async fn pause_run(&self, caller: &Caller, run: RunId, reason: String) -> Result<Done, CommandError> {
        check_text("/reason", &reason, LONGEST_TEXT)?;
        self.control(caller, "run.pause", run, json!({"reason": reason}), Act::Pause { reason }).await
    }

    /// Lets a paused run go on.
    pub async fn resume_run(&self, caller: &Caller, run: RunId) -> Result<Done, CommandError> {
        self.control(caller, "run.resume", run, Value::Null, Act::Resume).await
    }

    /// Ends a run.
    pub async fn cancel_run(&self, caller: &Caller, run: RunId, reason: String) -> Result<Done, CommandError> {
        check_text("/reason", &reason, LONGEST_TEXT)?;
        self.control(caller, "run.cancel", run, json!({"reason": reason}), Act::Cancel { reason }).await
    }

    /// Ends a run whose client says that its goal was reached or not.
    pub async fn complete_run(
        &self,
        caller: &Caller,
        run: RunId,
        achieved: bool,
        summary: String,
    ) -> Result<Done, CommandError> {
        check_text("/summary", &summary, LONGEST_TEXT)?;
        let body = json!({"achieved": achieved, "summary": summary});
        self.control(caller, "run.complete", run, body, Act::Finish { achieved, summary }).await
    }

    async fn control(
        &self,
        caller: &Caller,
        name: &str,
        run: RunId,
        body: Value,
        act: Act,
    ) -> Result<Done, CommandError> {
        let body = json!({"run": run, "body": body});
        let subject = Subject { name, id: run.to_string(), attributes: Vec::new(), body };
        let executed = self.carry_out::<Run>(caller, subject, act, Vec::new()).await?;
        Ok(Done { receipt: executed.receipt })
    }

    /// The folder as the machine knows it, if it lies in one that runs may use.
    pub(super) fn workspace(&self, folder: &str) -> Result<String, InvalidInput> {
        let invalid = |message: String| InvalidInput::new("/workspace", message);
        let real = Path::new(folder).canonicalize().map_err(|error| invalid(format!("`{folder}`: {error}")))?;
        let inside = |root: &std::path::PathBuf| root.canonicalize().is_ok_and(|root| real.starts_with(root));
        if !real.is_dir() || !self.options.workspaces.iter().any(inside) {
            let message = format!("`{folder}` is not a folder that runs may use; see `xagent serve --workspace`");
            return Err(invalid(message));
        }
        real.into_os_string().into_string().map_err(|_| invalid(format!("`{folder}` is not UTF-8")))
    }
}

pub(super) fn check_text(field: &str, text: &str, longest: usize) -> Result<(), InvalidInput> {
    let characters = text.chars().count();
    if text.is_empty() || characters > longest || text.contains('\0') {
        let message = format!("{characters} characters given: 1 to {longest} without NUL are expected");
        return Err(InvalidInput::new(field, message));
    }
    Ok(())
}
