//! The lists there are, and what may be asked of each.

use std::process::ExitCode;

use clap::Args;

use super::show::{List, show};
use super::{Common, Ordered, Query};
use crate::cli::{CliError, Context};

/// Declares a list: its flags, each of which is a parameter of the API.
macro_rules! list {
    (
        $name:ident, $path:literal, $scope:literal, $columns:expr, $empty:literal, $examples:literal;
        $($(#[doc = $doc:literal])* $field:ident = $parameter:literal as $value:literal,)*
    ) => {
        #[derive(Args)]
        #[command(after_help = $examples)]
        pub struct $name {
            $($(#[doc = $doc])* #[arg(long, value_name = $value)] $field: Vec<String>,)*
            #[command(flatten)]
            ordered: Ordered,
            #[command(flatten)]
            common: Common,
        }

        impl $name {
            pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
                let query = Query::default()$(.with($parameter, self.$field))*.ordered(&self.ordered);
                let list = List { path: $path, scope: $scope, columns: &$columns, empty: $empty };
                show(context, list, query, self.common).await
            }
        }
    };
}

list! {
    Runs, "/v1/runs", "run:read", ["run", "status", "tool_calls", "denied_calls", "agent", "started_at", "goal"],
    "There are no such runs. Start one with `xagent run PLAN`.",
    "Examples:
  xagent runs                                    the youngest ones
  xagent runs --status failed --since 1d         what failed since yesterday
  xagent runs --agent reviewer --format csv -o runs.csv";
    /// Of this agent; like the others below it may be repeated, and then one of the values has to fit
    agent = "agent" as "NAME",
    /// On the authority of this principal
    principal = "principal" as "NAME",
    /// That stand so: running, paused, completed, failed, cancelled
    status = "status" as "STATUS",
    /// This run
    id = "id" as "RUN",
    /// Whose goal or summary contains this
    text = "text" as "TEXT",
}

list! {
    Goals, "/v1/goals", "run:read", ["goal", "status", "agent", "set_at", "text"],
    "There are no such goals.",
    "Examples:
  xagent goals --status failed --since 7d";
    /// Of this agent
    agent = "agent" as "NAME",
    /// On the authority of this principal
    principal = "principal" as "NAME",
    /// Of this run
    run = "run" as "RUN",
    /// That stand so: open, achieved, failed
    status = "status" as "STATUS",
    /// Whose words contain this
    text = "text" as "TEXT",
}

list! {
    ToolCalls, "/v1/tool-calls", "run:read",
    ["call", "status", "tool", "risk", "agent", "proposed_at", "codes", "paths"],
    "There are no such tool calls.",
    "Examples:
  xagent tool-calls --status denied --since 1h   what was denied in the last hour
  xagent tool-calls --path docs/plan.md          which calls named a file
  xagent tool-calls --tool http_fetch --format ndjson";
    /// Of this agent
    agent = "agent" as "NAME",
    /// On the authority of this principal
    principal = "principal" as "NAME",
    /// Of this run
    run = "run" as "RUN",
    /// Of this tool
    tool = "tool" as "NAME",
    /// That stand so: allowed, denied, awaiting_approval, approved, refused, started, succeeded, failed, interrupted
    status = "status" as "STATUS",
    /// Of this risk: low, medium, high
    risk = "risk" as "RISK",
    /// Denied with this code
    code = "code" as "CODE",
    /// That name this path of the workspace
    path = "path" as "PATH",
    /// That name this host
    host = "host" as "HOST",
    /// This call
    id = "id" as "CALL",
    /// Whose label contains this
    text = "text" as "TEXT",
}

list! {
    Approvals, "/v1/approvals", "run:read",
    ["approval", "status", "tool", "agent", "principal", "requested_at", "answered_by", "reason"],
    "There are no such approvals.",
    "Examples:
  xagent approvals --status waiting              what waits for a person
  xagent approvals --answered-by bob --since 7d";
    /// Of this agent
    agent = "agent" as "NAME",
    /// Asked for on the authority of this principal
    principal = "principal" as "NAME",
    /// Of this run
    run = "run" as "RUN",
    /// About this tool
    tool = "tool" as "NAME",
    /// That stand so: waiting, granted, refused, used
    status = "status" as "STATUS",
    /// Answered by this principal
    answered_by = "answered_by" as "NAME",
    /// This approval
    id = "id" as "APPROVAL",
    /// Whose words contain this
    text = "text" as "TEXT",
}

list! {
    Usage, "/v1/usage", "run:read",
    ["hour", "agent", "principal", "runs", "tool_calls", "denied_calls", "tokens", "money_micros"],
    "Nothing was used up.",
    "Examples:
  xagent usage --since 7d --format csv";
    /// Of this agent
    agent = "agent" as "NAME",
    /// On the authority of this principal
    principal = "principal" as "NAME",
}

/// What may be asked of decisions.
#[derive(Args)]
pub struct DecisionList {
    /// Only denials: the same as `--decision deny`
    #[arg(long, conflicts_with = "decision")]
    denied: bool,
    /// That came out so: allow, deny, approval
    #[arg(long, value_name = "VERDICT")]
    decision: Vec<String>,
    /// Of this agent; like the others below it may be repeated, and then one of the values has to fit
    #[arg(long, value_name = "NAME")]
    agent: Vec<String>,
    /// Asked by or for this principal
    #[arg(long, value_name = "NAME")]
    principal: Vec<String>,
    /// About this run
    #[arg(long, value_name = "RUN")]
    run: Vec<String>,
    /// About this tool
    #[arg(long, value_name = "NAME")]
    tool: Vec<String>,
    /// Denied with this code
    #[arg(long, value_name = "CODE")]
    code: Vec<String>,
    /// Denied by this rule
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// On this command or read, for example run.start
    #[arg(long, value_name = "COMMAND")]
    command: Vec<String>,
    /// By this rule path, for example xagent/tools/decision
    #[arg(long, value_name = "PATH")]
    entrypoint: Vec<String>,
    /// By the bundle with this digest
    #[arg(long, value_name = "DIGEST")]
    bundle: Vec<String>,
    /// This decision
    #[arg(long, value_name = "DECISION")]
    id: Vec<String>,
    /// Whose reasons contain this
    #[arg(long, value_name = "TEXT")]
    text: Vec<String>,
    #[command(flatten)]
    ordered: Ordered,
    #[command(flatten)]
    common: Common,
}

impl DecisionList {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let query = Query::default()
            .with("decision", self.denied.then_some("deny"))
            .with("decision", self.decision)
            .with("agent", self.agent)
            .with("principal", self.principal)
            .with("run", self.run)
            .with("tool", self.tool)
            .with("code", self.code)
            .with("rule", self.rule)
            .with("command", self.command)
            .with("entrypoint", self.entrypoint)
            .with("bundle", self.bundle)
            .with("id", self.id)
            .with("text", self.text)
            .ordered(&self.ordered);
        let columns = &["decided_at", "verdict", "principal", "agent", "command", "tool", "codes", "reasons"];
        let empty = "There are no such decisions.";
        let list = List { path: "/v1/decisions", scope: "audit:read", columns, empty };
        show(context, list, query, self.common).await
    }
}

/// What may be asked of events. They come in their order.
#[derive(Args)]
#[command(after_help = "Examples:
  xagent events --from 1 --limit 20              the first ones
  xagent events --type BundleActivated           when the law changed
  xagent events --since 1h --format ndjson -o hour.ndjson
`xagent tail` follows them live.")]
pub struct Events {
    /// From this position on
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// Of this type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Of this run
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Of runs of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// About calls of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Decisions that came out so: allow, deny, approval
    #[arg(long, value_name = "VERDICT")]
    decision: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Events {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let types = (!self.types.is_empty()).then(|| self.types.join(","));
        let query = Query::default()
            .with("from", self.from)
            .with("type", types)
            .with("run", self.run)
            .with("agent", self.agent)
            .with("tool", self.tool)
            .with("decision", self.decision);
        let columns = &["position", "event_type", "aggregate_type", "sequence", "aggregate_id"];
        let empty = "There are no such events.";
        let list = List { path: "/v1/events", scope: "audit:read", columns, empty };
        show(context, list, query, self.common).await
    }
}
