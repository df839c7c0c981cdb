//! Commands to a run as a whole.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use xagent_domain::run::{Act, Plan, PlannerSpec, Run, Start};
use xagent_domain::{CanonicalJson, Content, GoalId, RunId};
use xagent_ledger::Receipt;

use super::{Caller, Commands, Done, Subject};
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
    /// The plan of a scripted run; none where the client plans.
    pub plan: Option<Plan>,
    /// The folder built-in tools are confined to.
    pub workspace: Option<String>,
}

/// A run that was started.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StartedRun {
    /// Its id.
    pub run: String,
    /// What is promised.
    pub receipt: Receipt,
}

impl Commands {
    /// Starts a run.
    pub async fn start_run(&self, caller: &Caller, request: RunRequest) -> Result<StartedRun, CommandError> {
        check_text("/agent", &request.agent, LONGEST_NAME)?;
        check_text("/goal", &request.goal, LONGEST_TEXT)?;
        request.plan.as_ref().map_or(Ok(()), check_plan)?;
        let workspace = request.workspace.as_deref().map(|folder| self.workspace(folder)).transpose()?;
        let plan = request.plan.as_ref().map(CanonicalJson::of).transpose();
        let plan = plan.map_err(|error| InvalidInput::new("/plan", error.to_string()))?;
        let body = json!({
            "agent": request.agent, "goal": request.goal, "workspace": workspace,
            "plan": plan.as_ref().map(CanonicalJson::digest),
        });
        let (planner, blob) = match plan.map(Content::json) {
            Some((content, blob)) => (PlannerSpec::Scripted(content), blob),
            None => (PlannerSpec::Client, None),
        };
        let run = RunId::new(self.ids.draw());
        let mut attributes = vec![("agent", request.agent.clone()), ("planner", planner.name().to_owned())];
        attributes.extend(workspace.clone().map(|folder| ("workspace", folder)));
        let act = Act::Start(Start {
            run,
            agent: request.agent,
            goal: GoalId::new(self.ids.draw()),
            goal_text: request.goal,
            planner,
            workspace,
        });
        let subject = Subject { name: "run.start", id: run.to_string(), attributes, body };
        let executed = self.carry_out::<Run>(caller, subject, act, blob.into_iter().collect()).await?;
        Ok(StartedRun { run: executed.receipt.aggregate_id.clone(), receipt: executed.receipt })
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
    fn workspace(&self, folder: &str) -> Result<String, InvalidInput> {
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
