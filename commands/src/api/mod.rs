//! The commands, one method each. The doors call these and nothing deeper.

mod approvals;
mod asked;
mod callable;
mod calls;
mod follow;
mod fork;
mod keys;
mod law;
mod logs;
mod opened;
mod replays;
mod runs;
mod secret;
mod tools;
mod upstreams;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use xagent_domain::access::RefusedRequests;
use xagent_domain::governed::Governed;
use xagent_domain::{ApiKeyId, Blob, CanonicalJson, CommandId, Intent, Metadata, Principal, Tenant};
use xagent_ledger::{CommandKey, Ledger, Receipt};
use xagent_policies::PolicyEngine;

pub use asked::Asked;
pub use callable::Callable;
pub use calls::{ProposedCall, ToolRequest};
pub use follow::{CallEnd, Followed};
pub use fork::{ForkRequest, ForkedRun};
pub use keys::{IssuedKey, KeyHolder, KeyRefusal, KeyRequest};
pub use law::{Activated, Published};
pub use replays::ReplayReport;
pub use runs::{PlannerRequest, RunRequest, StartedRun};
pub use upstreams::{Discovered, Discovery, Trusted};

use crate::governed::{Executed, Request};
use crate::planner::ModelServer;
use crate::tool::Upstreams;
use crate::{Catalog, CommandError, Executor, Ids, InvalidInput, Resolver, Toolkit};

/// Who commands, and what makes the command repeatable.
#[derive(Clone, Debug)]
pub struct Caller {
    /// As authenticated.
    pub principal: Principal,
    /// W3C Trace Context of the request.
    pub traceparent: String,
    /// The idempotency key, if one was given.
    pub key: Option<CommandId>,
    /// The api key the principal came with; none where it was a token.
    pub credential: Option<ApiKeyId>,
}

/// Bounds of what commands may ask for.
#[derive(Clone)]
pub struct CommandsOptions {
    /// Folders in which a run's workspace must lie.
    pub workspaces: Vec<PathBuf>,
    /// How long an approval is valid, in microseconds.
    pub approval_ttl_us: i64,
    /// What resolves the names in URLs of tool calls.
    pub resolver: Arc<dyn Resolver>,
    /// Where models are that plan runs; none where no model may.
    pub model: Option<ModelServer>,
    /// Programs that may be started as upstream MCP servers.
    pub upstream_programs: Vec<PathBuf>,
    /// Whose secrets are taken out of results that clients post; none where there are none.
    pub kit: Option<Toolkit>,
}

/// A command that went through.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Done {
    /// What is promised.
    pub receipt: Receipt,
}

/// All commands. Cheap to clone.
#[derive(Clone)]
pub struct Commands {
    executor: Executor,
    catalog: Catalog,
    upstreams: Upstreams,
    engine: Arc<dyn PolicyEngine>,
    ids: Ids,
    options: Arc<CommandsOptions>,
    lawmaking: Arc<law::Lawmaking>,
    expected: Option<u64>,
    lookups: Arc<keys::Lookups>,
}

/// What a command is about, before it becomes a request.
struct Subject<'a> {
    name: &'a str,
    id: String,
    attributes: Vec<(&'a str, String)>,
    /// What, beside name and id, must be equal in a repetition.
    body: serde_json::Value,
}

impl Commands {
    /// Over an executor, with the engine that holds the bundles.
    pub fn new(executor: Executor, engine: Arc<dyn PolicyEngine>, options: CommandsOptions) -> Self {
        let catalog = Catalog::new(executor.ledger().clone(), options.resolver.clone());
        let upstreams = Upstreams::new(options.upstream_programs.clone());
        Self {
            executor,
            catalog,
            upstreams,
            engine,
            ids: Ids,
            options: Arc::new(options),
            lawmaking: Arc::default(),
            expected: None,
            lookups: Arc::default(),
        }
    }

    /// The same, for one command to a run that is meant for the state at a sequence: elsewhere it is `Moved`.
    #[must_use]
    pub fn expecting(&self, sequence: Option<u64>) -> Self {
        Self { expected: sequence, ..self.clone() }
    }

    /// The executor.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        self.executor.ledger()
    }

    /// The tools.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Where models are that plan runs.
    pub(crate) fn model(&self) -> Option<&ModelServer> {
        self.options.model.as_ref()
    }

    pub(crate) fn ids(&self) -> Ids {
        self.ids
    }

    pub(crate) fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    pub(crate) fn approval_ttl_us(&self) -> i64 {
        self.options.approval_ttl_us
    }

    /// Decides a read. Reads of the audit record are recorded, others only where they are denied.
    pub async fn authorise_read(
        &self,
        caller: &Caller,
        name: &str,
        aggregate: &str,
        id: &str,
    ) -> Result<(), CommandError> {
        self.authorise_query(caller, name, aggregate, id, &[]).await
    }

    /// The same for a read that is about more than an id: policies see what, and where it is recorded, the record tells.
    pub async fn authorise_query(
        &self,
        caller: &Caller,
        name: &str,
        aggregate: &str,
        id: &str,
        attributes: &[(&str, String)],
    ) -> Result<(), CommandError> {
        let audit = matches!(name, "read.events" | "read.decisions" | "read.evidence" | "read.api_keys");
        let intent = intent(caller, name, aggregate, id.to_owned(), attributes);
        let metadata = self.metadata(caller, if aggregate == "run" { id } else { "" });
        self.executor.authorise_read(&intent, audit, &metadata).await
    }

    /// Records requests that were refused before the law was asked.
    pub async fn record_refused(&self, tenant: &Tenant, refused: Vec<RefusedRequests>) -> Result<(), CommandError> {
        self.executor.record_refused(tenant, refused, &self.system_metadata("system:doors", "")).await
    }

    async fn carry_out<D: Governed>(
        &self,
        caller: &Caller,
        subject: Subject<'_>,
        act: D::Act,
        blobs: Vec<Blob>,
    ) -> Result<Executed<D>, CommandError> {
        let key = caller.key.clone().map(|id| key(id, caller, &subject)).transpose()?;
        let aggregate_id = subject.id.clone();
        let metadata = self.metadata(caller, if D::TYPE == "run" { &aggregate_id } else { "" });
        let intent = Some(intent(caller, subject.name, D::TYPE, subject.id, &subject.attributes));
        let tenant = if D::TYPE == "bundle" { law::tenant() } else { caller.principal.tenant.clone() };
        let request = Request { tenant, aggregate_id, act, intent, on_behalf_of: None, blobs, metadata, key };
        self.executor.execute_at::<D>(request, self.expected).await
    }

    fn metadata(&self, caller: &Caller, correlation_id: &str) -> Metadata {
        let drawn = || format!("cmd_{}", self.ids.draw().simple());
        Metadata {
            actor: caller.principal.id.clone(),
            command_id: caller.key.as_ref().map_or_else(drawn, ToString::to_string),
            correlation_id: correlation_id.to_owned(),
            causation_id: String::new(),
            traceparent: caller.traceparent.clone(),
            credential: caller.credential.map(|key| key.to_string()).unwrap_or_default(),
        }
    }

    /// Metadata of what the system itself records.
    pub(crate) fn system_metadata(&self, actor: &str, correlation_id: &str) -> Metadata {
        Metadata {
            actor: actor.to_owned(),
            command_id: format!("cmd_{}", self.ids.draw().simple()),
            correlation_id: correlation_id.to_owned(),
            causation_id: String::new(),
            traceparent: String::new(),
            credential: String::new(),
        }
    }
}

fn intent(caller: &Caller, name: &str, aggregate: &str, id: String, attributes: &[(&str, String)]) -> Intent {
    Intent {
        name: name.to_owned(),
        principal: caller.principal.clone(),
        aggregate: aggregate.to_owned(),
        id,
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    }
}

/// A repetition is the same command by the same principal with the same body; ids drawn here are no part of it.
fn key(id: CommandId, caller: &Caller, subject: &Subject<'_>) -> Result<CommandKey, InvalidInput> {
    let body = serde_json::json!({"body": subject.body, "command": subject.name, "principal": caller.principal.id});
    let body = CanonicalJson::of(&body).map_err(|error| InvalidInput::new("", error.to_string()))?.digest();
    Ok(CommandKey { id, body })
}
