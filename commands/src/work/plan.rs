//! Consulting a chat model: the request built from what is recorded, its answer recorded before anything is made of it, then
//! each call it asks for checked, decided and recorded in order.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use serde_json::Value;
use xagent_domain::run::{
    Act, CallStatus, ChatSpec, Consultation, Exchange, Fate, Functions, GoalChange, GoalWish, Proposal, REQUEST_FORM,
    Reading, Reply, Run, chat_request, malformed,
};
use xagent_domain::{Blob, CanonicalJson, Content, Digest, GoalId, RunId, Tenant};

use super::{Walk, Worker};
use crate::planner::{Answered, Asked, Model, PlannedCall, RecordedReplies, Usage};
use crate::{CommandError, Commands, InvalidInput};

/// Consultations in a row that may lead to nothing that can be proposed.
const CORRECTIONS: u32 = 4;
/// Bytes of all functions offered.
const OFFERED: usize = 512 * 1024;

impl Worker {
    /// Asks the model for the next step, or ends the run where it may not be asked any more.
    pub(super) async fn ask(
        &self,
        walk: &Walk,
        run: &Run,
        chat: &ChatSpec,
        recorded: Option<RunId>,
    ) -> Result<Run, CommandError> {
        if let Some(reason) = self.spent(run) {
            return Ok(self.record(walk, Act::Finish { achieved: false, summary: reason }, Vec::new()).await?.state);
        }
        let functions = self.commands.offer(&walk.key.tenant, chat).await?;
        let texts = self.texts(run).await?;
        let body = chat_request(run, chat, &functions, &|content| known(&texts, content))
            .map_err(|error| InvalidInput::new("/messages", error.to_string()))?;
        let asked = Asked { step: run.steps() + 1, chat, body: &body };
        let clock = Instant::now();
        let answered = tokio::select! {
            answered = self.answer(walk, asked, recorded) => answered?,
            // An answer to a run that has ended is for nobody; one to a worker that stops is asked for again.
            () = walk.ended.cancelled() => return self.state(walk).await,
            () = walk.stop.cancelled() => return Ok(run.clone()),
        };
        let (act, blobs) = self.planned(run, chat, &functions, &body, answered, clock.elapsed())?;
        self.record_surely(walk, act, blobs).await
    }

    async fn answer(&self, walk: &Walk, asked: Asked<'_>, recorded: Option<RunId>) -> Result<Answered, CommandError> {
        match (recorded, self.commands.model()) {
            (Some(from), _) => {
                Ok(RecordedReplies::of(&self.commands, &walk.key.tenant, &from.to_string()).await?.ask(asked).await)
            }
            (None, Some(server)) => Ok(server.ask(asked).await),
            (None, None) => Ok(Answered::nothing(crate::planner::NoReply::last("this server asks no models"))),
        }
    }

    /// Why the model may not be asked any more.
    fn spent(&self, run: &Run) -> Option<String> {
        if run.memory().unusable() >= CORRECTIONS {
            let last = run.memory().turns().next_back().and_then(|(_, turn)| {
                let rejected = turn.calls.iter().find_map(|call| match &call.fate {
                    Fate::Rejected(reason) => Some(reason.clone()),
                    Fate::Open | Fate::Ended(_) => None,
                });
                turn.unusable.clone().or(rejected)
            });
            let last = last.unwrap_or_else(|| "nothing could be proposed".to_owned());
            return Some(format!("{CORRECTIONS} consultations in a row led to nothing; the last: {last}"));
        }
        run.budget_used_up(self.commands.executor().now_us(), true)
    }

    /// What is to be recorded of an answer.
    fn planned(
        &self,
        run: &Run,
        chat: &ChatSpec,
        functions: &Functions,
        body: &CanonicalJson,
        answered: Answered,
        took: Duration,
    ) -> Result<(Act, Vec<Blob>), CommandError> {
        let step = run.steps() + 1;
        let failed = |error: xagent_domain::CanonicalError| InvalidInput::new("/reply", error.to_string());
        let (recorded, reading) = match &answered.reply {
            Ok(reply) => (Some(reply.canonical().map_err(failed)?), reply.reading(step, run, functions)),
            Err(no) => {
                let text = no.received.as_deref().map(|received| malformed(&no.reason, received)).transpose();
                let reason = no.reason.clone();
                let proposal = if no.is_final { Proposal::GiveUp { reason } } else { Proposal::Unusable { reason } };
                (text.map_err(failed)?, Reading { proposal, goals: Vec::new() })
            }
        };
        let bytes = |text: Option<&CanonicalJson>| text.map_or(0, |text| text.as_str().len() as u64);
        let estimate = recorded.as_ref().map_or(Usage { input: 0, output: 0 }, |reply| Usage {
            input: bytes(Some(body)).div_ceil(4),
            output: bytes(Some(reply)).div_ceil(4),
        });
        let usage = answered.usage.unwrap_or(estimate);
        let (tools, tools_blob) = apart(functions.canonical().map_err(failed)?);
        let (reply, reply_blob) = recorded.map(Content::json).unzip();
        let exchange = Exchange {
            form: REQUEST_FORM,
            request_bytes: bytes(Some(body)),
            tools,
            model: answered.model,
            reply,
            input_tokens: usage.input,
            output_tokens: usage.output,
            estimated: answered.usage.is_none(),
            attempts: answered.attempts,
            failures: answered.failures,
            latency_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        };
        let planner = run.planner().map_or("chat", xagent_domain::run::PlannerSpec::name).to_owned();
        let consultation = Consultation {
            step,
            planner,
            perceived: body.digest(),
            proposal: reading.proposal,
            tokens: usage.input + usage.output,
            exchange: Some(Box::new(exchange)),
        };
        tracing::info!(step, model = chat.model, tokens = consultation.tokens, "planner.consulted");
        let goals = reading.goals.into_iter().map(|wish| self.change(wish)).collect();
        let blobs = [Some(tools_blob), reply_blob.flatten()].into_iter().flatten().collect();
        Ok((Act::Plan(consultation, goals), blobs))
    }

    fn change(&self, wish: GoalWish) -> GoalChange {
        match wish {
            GoalWish::Set(text) => GoalChange::Set { goal: GoalId::new(self.commands.ids().draw()), text },
            GoalWish::Achieved(number, summary) => GoalChange::Achieved { number, summary },
            GoalWish::Failed(number, reason) => GoalChange::Failed { number, reason },
        }
    }

    /// Proposes the next call the model asked for, or records why it is not fit to be.
    pub(super) async fn propose(&self, walk: &Walk, run: &Run) -> Result<Run, CommandError> {
        let Some(planned) = run.planned() else { return Ok(run.clone()) };
        let label = planned.label.clone();
        let reject = |reason: String| Act::RejectPlanned { label: label.clone(), reason: reason.replace('\0', "") };
        if let Some(reason) = run.budget_used_up(self.commands.executor().now_us(), false) {
            return Ok(self.record(walk, reject(reason), Vec::new()).await?.state);
        }
        let fit = match self.wanted(run, planned.index).await? {
            Ok(arguments) => {
                let call = PlannedCall { label: label.clone(), tool: planned.tool.clone(), arguments };
                self.fit(walk, &call).await
            }
            Err(reason) => Err(InvalidInput::new("/arguments", reason).into()),
        };
        let propose = match fit {
            Ok(propose) => propose,
            Err(CommandError::Invalid(error)) => {
                return Ok(self.record(walk, reject(error.to_string()), Vec::new()).await?.state);
            }
            Err(other) => return Err(other),
        };
        let blobs = Content::json(propose.arguments.clone()).1.into_iter().collect();
        let on_behalf_of = run.principal().map(|principal| (principal.clone(), propose.tool.name.clone()));
        Ok(self.record_for(walk, Act::ProposePlanned(Box::new(propose)), blobs, on_behalf_of).await?.state)
    }

    /// Whether the call may be proposed at all. What a client executes is not for a model to wait for.
    async fn fit(&self, walk: &Walk, call: &PlannedCall) -> Result<xagent_domain::run::Propose, CommandError> {
        let propose = self.proposal(walk, call).await?;
        if propose.tool.executor == xagent_domain::run::Executor::Client {
            return Err(InvalidInput::new("/tool", format!("`{}` is not offered to models", call.tool)).into());
        }
        Ok(propose)
    }

    /// The arguments of a call as the recorded reply has them.
    async fn wanted(&self, run: &Run, index: u32) -> Result<Result<Value, String>, CommandError> {
        let Some(reply) = run.memory().turns().next_back().and_then(|(_, turn)| turn.reply.as_ref()) else {
            return Ok(Err("the reply is not recorded".to_owned()));
        };
        let reply = Reply::recorded(self.commands.text_of(reply).await?.as_str());
        Ok(reply.ok_or_else(|| "the reply cannot be read".to_owned()).and_then(|reply| reply.arguments(index)))
    }

    /// The texts of the run's memory that do not stand in events.
    async fn texts(&self, run: &Run) -> Result<HashMap<Digest, String>, CommandError> {
        let mut texts = HashMap::new();
        for (_, turn) in run.memory().turns() {
            let outputs = turn.calls.iter().filter_map(|call| match &call.fate {
                Fate::Ended(result) if result.status != CallStatus::Denied => result.output.as_ref(),
                Fate::Ended(_) | Fate::Open | Fate::Rejected(_) => None,
            });
            for content in outputs.chain(&turn.reply).filter(|content| content.text.is_none()) {
                if let Entry::Vacant(unknown) = texts.entry(content.digest) {
                    unknown.insert(self.commands.text_of(content).await?.into_string());
                }
            }
        }
        Ok(texts)
    }
}

impl Commands {
    /// The functions a model is offered: the tools its run names, or all that workers run.
    pub(crate) async fn offer(&self, tenant: &Tenant, chat: &ChatSpec) -> Result<Functions, CommandError> {
        let mut tools = self.catalog().all(tenant).await?;
        tools.retain(|tool| tool.executor != xagent_domain::run::Executor::Client);
        if !chat.tools.is_empty() {
            tools.retain(|tool| chat.tools.contains(&tool.name));
        }
        Functions::of(&tools).map_err(|error| InvalidInput::new("/planner/chat/tools", error.to_string()).into())
    }

    /// Checks before a run starts that the tools its model is to be offered are there.
    pub(crate) async fn check_offer(&self, tenant: &Tenant, chat: &ChatSpec) -> Result<(), CommandError> {
        let known = self.catalog().all(tenant).await?;
        let fits = |name: &&String| {
            known.iter().any(|tool| tool.name == **name && tool.executor != xagent_domain::run::Executor::Client)
        };
        if let Some(unknown) = chat.tools.iter().find(|name| !fits(name)) {
            let message = format!(
                "`{}` is no tool that workers run; see GET /v1/tools",
                unknown.chars().take(80).collect::<String>()
            );
            return Err(InvalidInput::new("/planner/chat/tools", message).into());
        }
        let offered = self.offer(tenant, chat).await?.canonical();
        let bytes =
            offered.map_err(|error| InvalidInput::new("/planner/chat/tools", error.to_string()))?.as_str().len();
        if bytes > OFFERED {
            let message =
                format!("the descriptions of all tools are {bytes} bytes, more than {OFFERED}: name those it needs");
            return Err(InvalidInput::new("/planner/chat/tools", message).into());
        }
        Ok(())
    }
}

/// Content that stands apart from its event, whatever its size: it is the same in many.
fn apart(text: CanonicalJson) -> (Content, Blob) {
    let (content, blob) = Content::json(text.clone());
    let (digest, media_type) = (content.digest, content.media_type.clone());
    let blob = blob.unwrap_or_else(|| Blob { digest, media_type, text: text.into_string() });
    (Content { text: None, ..content }, blob)
}

fn known(texts: &HashMap<Digest, String>, content: &Content) -> Option<String> {
    content.text.clone().or_else(|| texts.get(&content.digest).cloned())
}
