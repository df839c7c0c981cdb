//! The executor: load, ask the law, decide, append; again from fresh state when another was faster.

use std::sync::Arc;

use tracing::Instrument;
use xagent_domain::access::{Access, AccessEvent, RefusedRequests};
use xagent_domain::governed::{Command, Governed, Refusal};
use xagent_domain::run::Run;
use xagent_domain::{Blob, Context, DecisionMade, Intent, Metadata, Principal, Tenant, Usage};
use xagent_ledger::{Append, Clock, CommandKey, Committed, Expected, Ledger, LedgerError, Receipt};

use super::{Law, UsageCounters};
use crate::CommandError;
use crate::ambient::pause;

/// How often a command is decided anew when other commands of its stream were faster.
const ATTEMPTS: u32 = 8;

/// A command on its way to an aggregate.
pub(crate) struct Request<A> {
    /// Whose.
    pub tenant: Tenant,
    /// Which aggregate.
    pub aggregate_id: String,
    /// What.
    pub act: A,
    /// Who means it; none where a worker records what has happened.
    pub intent: Option<Intent>,
    /// On whose behalf a worker proposes a call of which tool, so that the tool calls of planned runs are counted too.
    pub on_behalf_of: Option<(Principal, String)>,
    /// Content the events refer to.
    pub blobs: Vec<Blob>,
    /// Who caused it, in what trace.
    pub metadata: Metadata,
    /// The caller's idempotency key.
    pub key: Option<CommandKey>,
}

/// A command that went through.
pub(crate) struct Executed<D: Governed> {
    /// What was promised.
    pub receipt: Receipt,
    /// What happened, now or when the command was carried out first.
    pub events: Vec<Committed<D::Event>>,
    /// The state after it.
    pub state: D,
}

/// Executes commands. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    ledger: Ledger,
    law: Law,
    clock: Arc<dyn Clock>,
    usage: Arc<UsageCounters>,
}

impl Executor {
    /// Over a ledger, under a law.
    pub fn new(ledger: Ledger, law: Law, clock: Arc<dyn Clock>) -> Self {
        Self { ledger, law, clock, usage: Arc::default() }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The law.
    pub fn law(&self) -> &Law {
        &self.law
    }

    /// Microseconds since 1970.
    pub fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    /// Carries out one command: all of its events are committed, or none.
    pub(crate) async fn execute<D: Governed>(&self, request: Request<D::Act>) -> Result<Executed<D>, CommandError> {
        self.execute_at(request, None).await
    }

    /// The same, but only where the aggregate is at `expected`, if it is said. The law is asked first: who may not command
    /// does not learn where the aggregate is.
    pub(crate) async fn execute_at<D: Governed>(
        &self,
        request: Request<D::Act>,
        expected: Option<u64>,
    ) -> Result<Executed<D>, CommandError> {
        let usage = self.count(request.intent.as_ref(), request.on_behalf_of.as_ref());
        for attempt in 0..ATTEMPTS {
            // The first attempt is on the state this process remembers; only what fresh state says is said to the caller.
            let warm = attempt == 0;
            match self.attempt::<D>(&request, expected, usage, warm).await {
                Err(CommandError::Ledger(LedgerError::Conflict { .. })) => {
                    self.ledger.forget::<D>(&request.tenant, &request.aggregate_id);
                    tokio::time::sleep(pause(attempt, 200)).await;
                }
                Err(error @ CommandError::Moved { .. }) if !warm => {
                    return self.repetition(&request).await?.ok_or(error);
                }
                Err(CommandError::Refused(_) | CommandError::Denied(_) | CommandError::Moved { .. }) if warm => {
                    // A repeated command is found by its key when it is appended; where its own effects stand in its
                    // way, it is found here.
                    if let Some(repeated) = self.repetition(&request).await? {
                        return Ok(repeated);
                    }
                }
                other => return other,
            }
        }
        Err(CommandError::Contended(request.aggregate_id))
    }

    /// Decides whether `intent` may read, on no aggregate's state. Denials and, where `keep` says so, permissions are recorded.
    pub async fn authorise_read(&self, intent: &Intent, keep: bool, metadata: &Metadata) -> Result<(), CommandError> {
        let (decision, blobs) = self.judge(None, intent).await?;
        if keep || !decision.allow {
            self.record(&intent.principal.tenant, &decision, blobs, metadata).await?;
        }
        if decision.allow { Ok(()) } else { Err(CommandError::Denied(decision)) }
    }

    /// Decides whether `intent` is allowed on a run as it stands, without changing it. Denials are recorded; where there
    /// is a key, so is the first permission under it. False where that had been given before.
    pub(crate) async fn authorise(
        &self,
        run: Option<&Run>,
        intent: &Intent,
        key: Option<CommandKey>,
        metadata: &Metadata,
    ) -> Result<bool, CommandError> {
        let (decision, blobs) = self.judge(run, intent).await?;
        if !decision.allow {
            self.record(&intent.principal.tenant, &decision, blobs, metadata).await?;
            return Err(CommandError::Denied(decision));
        }
        if key.is_none() {
            return Ok(true);
        }
        let event = AccessEvent::DecisionMade(decision);
        self.keep_once(&intent.principal.tenant, event, (blobs, key), metadata).await
    }

    async fn judge(&self, run: Option<&Run>, intent: &Intent) -> Result<(Box<DecisionMade>, Vec<Blob>), CommandError> {
        let context = Context::new(self.now_us(), self.count(Some(intent), None));
        let inquiry = xagent_domain::command_inquiry(run, intent, &context)?;
        let (ruling, blob) = self.law.ask(&inquiry).await;
        let decision = ruling.answering(&inquiry, &context).map_err(Refusal::from)?;
        Ok((Box::new(decision), blob.into_iter().collect()))
    }

    async fn repetition<D: Governed>(&self, request: &Request<D::Act>) -> Result<Option<Executed<D>>, CommandError> {
        let Some(key) = &request.key else { return Ok(None) };
        let Some(receipt) = self.ledger.receipt(&request.tenant, key).await? else { return Ok(None) };
        self.recall(&request.tenant, receipt).await.map(Some)
    }

    /// What an earlier, equal command brought about.
    async fn recall<D: Governed>(&self, tenant: &Tenant, receipt: Receipt) -> Result<Executed<D>, CommandError> {
        let count = (receipt.last_position + 1).saturating_sub(receipt.first_position);
        let limit = u32::try_from(count).unwrap_or(u32::MAX);
        let after = receipt.sequence.saturating_sub(count);
        let events = self.ledger.committed::<D>(tenant, &receipt.aggregate_id, after, limit).await?;
        let state = self.ledger.load::<D>(tenant, &receipt.aggregate_id).await?.state;
        Ok(Executed { receipt, events, state })
    }

    async fn attempt<D: Governed>(
        &self,
        request: &Request<D::Act>,
        expected: Option<u64>,
        usage: Usage,
        warm: bool,
    ) -> Result<Executed<D>, CommandError> {
        let loaded = match warm {
            true => self.ledger.load_warm::<D>(&request.tenant, &request.aggregate_id).await?,
            false => self.ledger.load::<D>(&request.tenant, &request.aggregate_id).await?,
        };
        let (mut state, sequence) = (loaded.state, loaded.sequence);
        let context = Context::new(self.now_us(), usage);
        let inquiries = state.inquiries(&request.act, request.intent.as_ref(), &context)?;
        let mut blobs = request.blobs.clone();
        let apart = state.law();
        if let Some(bundle) = &apart {
            self.hold(bundle).await?;
        }
        let (rulings, inputs): (Vec<_>, Vec<_>) = self.law.ask_each(&inquiries, apart).await.into_iter().unzip();
        blobs.extend(inputs.into_iter().flatten());
        let command = Command { act: request.act.clone(), intent: request.intent.clone(), context, rulings };
        let events = match state.decide(&command) {
            Err(Refusal::Denied(decision)) => {
                if !warm {
                    self.record(&request.tenant, &decision, blobs, &request.metadata).await?;
                }
                return Err(CommandError::Denied(decision));
            }
            Err(refusal) => {
                if let (false, Some(intent)) = (warm, &request.intent) {
                    self.record_refusal(&request.tenant, intent, &refusal, &request.metadata).await?;
                }
                return Err(refusal.into());
            }
            Ok(events) => events,
        };
        if let Some(expected) = expected.filter(|expected| *expected != sequence) {
            return Err(CommandError::Moved { expected, current: sequence });
        }
        let span = tracing::info_span!(
            "xagent.append",
            "xagent.aggregate" = D::TYPE,
            "xagent.events" = events.len(),
            "xagent.position" = tracing::field::Empty,
        );
        let appended = self
            .ledger
            .append::<D>(Append {
                tenant: request.tenant.clone(),
                aggregate_id: request.aggregate_id.clone(),
                expected: Expected::Exactly(sequence),
                events,
                blobs,
                metadata: caused_by::<D>(request, sequence),
                command: request.key.clone(),
            })
            .instrument(span.clone())
            .await?;
        span.record("xagent.position", appended.receipt.last_position);
        if appended.repeated {
            return self.recall(&request.tenant, appended.receipt).await;
        }
        appended.events.iter().for_each(|event| state.evolve(event.event()));
        self.ledger.keep(&request.tenant, state.clone(), &appended.receipt);
        Ok(Executed { receipt: appended.receipt, events: appended.events, state })
    }

    fn count(&self, intent: Option<&Intent>, on_behalf_of: Option<&(Principal, String)>) -> Usage {
        match (intent, on_behalf_of) {
            (Some(intent), _) => {
                let tool = intent.attributes.get("tool").filter(|_| intent.name == "run.propose");
                self.usage.count(&intent.principal, tool.map(String::as_str), self.now_us())
            }
            (None, Some((principal, tool))) => self.usage.count(principal, Some(tool), self.now_us()),
            (None, None) => Usage { this_tool_last_minute: Some(0), ..Usage::default() },
        }
    }

    /// Records who tried to use an approval for what it is not good for. Other refusals leave no trace: nothing was allowed.
    pub(crate) async fn record_refusal(
        &self,
        tenant: &Tenant,
        intent: &Intent,
        refusal: &Refusal,
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        let Some((code, message)) = refusal.of_an_approval() else { return Ok(()) };
        let (command, code, message) = (Box::new(intent.clone()), code.to_owned(), message.to_owned());
        self.keep(tenant, AccessEvent::CommandRefused { command, code, message }, Vec::new(), metadata).await
    }

    /// Records requests that were refused before the law was asked.
    pub(crate) async fn record_refused(
        &self,
        tenant: &Tenant,
        refused: Vec<RefusedRequests>,
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        self.keep(tenant, AccessEvent::RequestsRefused { refused }, Vec::new(), metadata).await
    }

    async fn record(
        &self,
        tenant: &Tenant,
        decision: &DecisionMade,
        blobs: Vec<Blob>,
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        let blobs = blobs.into_iter().filter(|blob| blob.digest == decision.input.digest).collect();
        self.keep(tenant, AccessEvent::DecisionMade(Box::new(decision.clone())), blobs, metadata).await
    }

    async fn keep(
        &self,
        tenant: &Tenant,
        event: AccessEvent,
        blobs: Vec<Blob>,
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        self.keep_once(tenant, event, (blobs, None), metadata).await.map(drop)
    }

    /// False where the command had been recorded before.
    async fn keep_once(
        &self,
        tenant: &Tenant,
        event: AccessEvent,
        (blobs, command): (Vec<Blob>, Option<CommandKey>),
        metadata: &Metadata,
    ) -> Result<bool, CommandError> {
        let append = Append {
            tenant: tenant.clone(),
            aggregate_id: format!("{tenant}/{}", day(self.now_us())),
            expected: Expected::Any,
            events: vec![event],
            blobs,
            metadata: metadata.clone(),
            command,
        };
        Ok(!self.ledger.append::<Access>(append).await?.repeated)
    }
}

/// What a worker records was caused by the event its run stood at.
fn caused_by<D: Governed>(request: &Request<D::Act>, sequence: u64) -> Metadata {
    let mut metadata = request.metadata.clone();
    if request.intent.is_none() && sequence > 0 {
        metadata.causation_id = format!("{}/{}/{sequence}", D::TYPE, request.aggregate_id);
    }
    metadata
}

fn day(now_us: i64) -> String {
    chrono::DateTime::from_timestamp_micros(now_us).map(|at| at.format("%Y-%m-%d").to_string()).unwrap_or_default()
}
