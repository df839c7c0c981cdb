//! The command side as a server has it: executor, stock law, tools. Runs of any length are made by it, command by command.

use std::sync::Arc;

use serde_json::json;
use xagent_commands::{
    Caller, Commands, CommandsOptions, Executor, Law, PlannerRequest, RunRequest, SystemResolver, ToolRequest,
};
use xagent_domain::{CallId, Limits, Principal, RunId, Tenant};
use xagent_policies::{Bundle, Embedded};
use xagent_tests::registration;

use crate::Now;

/// Calls take turns with them: the law lets one tool be called only so often in a run.
const TOOLS: u64 = 3;

/// Everything that carries out commands, as a process has it that has just been started.
pub async fn commands(url: &str) -> Commands {
    let limits = Limits { timeout_ms: 5000 };
    let engine = Arc::new(Embedded::new(limits));
    let law = Law::new(engine.clone(), limits, 8);
    let executor = Executor::new(crate::ledger(url), law, Arc::new(Now));
    let options = CommandsOptions {
        workspaces: Vec::new(),
        approval_ttl_us: 60_000_000,
        resolver: Arc::new(SystemResolver),
        model: None,
        upstream_programs: Vec::new(),
        kit: None,
    };
    let commands = Commands::new(executor, engine, options);
    commands.bring_law_into_force(Bundle::stock().unwrap()).await.unwrap();
    commands
}

/// Registers the tools that runs call.
pub async fn register(commands: &Commands) {
    for number in 0..TOOLS {
        let registration = registration(format!("tool-{number}"), "");
        commands.register_tool(&caller("registrar"), registration).await.unwrap();
    }
}

/// A run, and whoever it belongs to: a principal of its own, so that no rate limit is met.
#[derive(Clone)]
pub struct Pursuit {
    run: RunId,
    caller: Caller,
    calls: u64,
}

impl Pursuit {
    /// A run of at least so many events.
    pub async fn of(commands: &Commands, name: &str, events: u64) -> Self {
        let caller = caller(name);
        let request = RunRequest {
            agent: "bench".to_owned(),
            goal: "grow".to_owned(),
            planner: PlannerRequest::Client,
            workspace: None,
            priority: xagent_domain::run::Priority::Normal,
        };
        let started = commands.start_run(&caller, request).await.unwrap();
        let mut pursuit = Self { run: started.run.parse().unwrap(), caller, calls: 0 };
        let mut sequence = started.receipt.sequence;
        while sequence < events {
            sequence = pursuit.lap(commands, events).await;
        }
        pursuit
    }

    /// The run's stream.
    pub fn stream(&self) -> String {
        self.run.to_string()
    }

    /// Proposes a tool call, which is allowed.
    pub async fn propose(&mut self, commands: &Commands) -> (CallId, u64) {
        let tool = format!("tool-{}", self.calls % TOOLS);
        self.calls += 1;
        let request = ToolRequest { tool, arguments: json!({"number": self.calls}), label: None };
        let proposed = commands.propose(&self.caller, self.run, request).await.unwrap();
        assert!(proposed.deny.is_empty(), "{:?}", proposed.deny);
        (proposed.call, proposed.receipt.sequence)
    }

    /// A call from its proposal to its result, then pauses, so that the law's limit of calls in a run is not met; given up
    /// once there are so many events. An allowed call is its client's to make at once.
    async fn lap(&mut self, commands: &Commands, events: u64) -> u64 {
        let (caller, run) = (self.caller.clone(), self.run);
        let (call, mut sequence) = self.propose(commands).await;
        if sequence < events {
            let output = json!({"found": "nothing"});
            sequence = commands.post_result(&caller, run, call, true, &output, 5).await.unwrap().receipt.sequence;
        }
        for _ in 0..2 {
            if sequence < events {
                commands.pause_run(&caller, run, "to think".to_owned()).await.unwrap();
                sequence = commands.resume_run(&caller, run).await.unwrap().receipt.sequence;
            }
        }
        sequence
    }
}

fn caller(id: &str) -> Caller {
    let all = ["*", "tool:*"].map(str::to_owned).into();
    let principal =
        Principal { id: id.to_owned(), tenant: Tenant::default_tenant(), scopes: all, roles: Default::default() };
    Caller { principal, traceparent: String::new(), key: None, credential: None }
}
