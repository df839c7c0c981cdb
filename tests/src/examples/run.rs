//! An example of each event of a run.

use serde_json::json;
use xagent_domain::Digest;
use xagent_domain::run::{
    ArgumentRole, ArgumentUse, CodeText, Consultation, Exchange, Executor, Inherited, PathUse, PlannedCall,
    PlannerSpec, Priority, Proposal, Resources, RunEvent, ToolFacts, ToolOutcome, UrlUse,
};

use super::parts::id;
use super::{Examples, Parts, unknown};

impl Examples for RunEvent {
    fn example(name: &str, parts: &mut Parts) -> Self {
        let reason = || "for a reason".to_owned();
        match name {
            "DecisionMade" => Self::DecisionMade(parts.decision()),
            "RunStarted" => Self::RunStarted {
                run: id("run"),
                agent: "agent".to_owned(),
                principal: parts.principal(),
                planner: PlannerSpec::Scripted(parts.large("application/json")),
                workspace: Some("/srv/work".to_owned()),
                priority: Priority::High,
            },
            "GoalSet" => Self::GoalSet { goal: id("goal"), parent: None, text: "a \"goal\"\n\u{2028}".to_owned() },
            "PlannerConsulted" => Self::PlannerConsulted(consultation(parts)),
            "ToolCallProposed" => proposed(parts),
            "ToolCallRejected" => {
                Self::ToolCallRejected { label: "1.2".to_owned(), tool: "no.such".to_owned(), reason: reason() }
            }
            "ApprovalRequested" => Self::ApprovalRequested {
                approval: id("appr"),
                call: id("call"),
                arguments_digest: Digest::of(b"arguments"),
                reason: reason(),
                expires_at_us: 1_790_000_000_000_000,
            },
            "ApprovalGranted" => Self::ApprovalGranted { approval: id("appr"), granted_by: "bob".to_owned() },
            "ApprovalRefused" => {
                Self::ApprovalRefused { approval: id("appr"), refused_by: "bob".to_owned(), reason: reason() }
            }
            "ToolCallStarted" => {
                Self::ToolCallStarted { call: id("call"), attempt: 1, decision: id("dec"), executor: Executor::Builtin }
            }
            "ToolCallCompleted" => Self::ToolCallCompleted {
                call: id("call"),
                outcome: ToolOutcome { succeeded: true, output: parts.large("application/json"), recording: None },
                duration_us: 42,
            },
            "ToolCallInterrupted" => Self::ToolCallInterrupted { call: id("call"), reason: reason() },
            "GoalAchieved" => Self::GoalAchieved { goal: id("goal"), summary: reason() },
            "GoalFailed" => Self::GoalFailed { goal: id("goal"), reason: reason() },
            "RunPaused" => Self::RunPaused { reason: reason() },
            "RunResumed" => Self::RunResumed {},
            "RunCancelled" => Self::RunCancelled { reason: reason() },
            "RunCompleted" => Self::RunCompleted { summary: reason() },
            "RunFailed" => Self::RunFailed { reason: reason() },
            "RunForked" => Self::RunForked {
                from: id("run"),
                at_sequence: 9,
                at_position: 42,
                law: Some(Digest::of(b"law")),
                live: false,
            },
            "EventInherited" => {
                let (sequence, position, version) = (7, 40, "1".to_owned());
                let event = Self::example("ToolCallCompleted", parts);
                Self::EventInherited(Box::new(Inherited { sequence, position, version, event }))
            }
            "RecordingMissing" => Self::RecordingMissing {
                call: id("call"),
                from: id("run"),
                tool: "tool".to_owned(),
                tool_digest: Digest::of(b"tool"),
                arguments_digest: Digest::of(b"arguments"),
            },
            other => unknown(other),
        }
    }
}

fn consultation(parts: &mut Parts) -> Consultation {
    let calls = vec![PlannedCall { label: "1.1".to_owned(), tool: "tool".to_owned(), index: 0 }];
    let exchange = Exchange {
        form: 1,
        request_bytes: 4096,
        tools: parts.large("application/json"),
        model: "model".to_owned(),
        reply: Some(parts.large("application/json")),
        input_tokens: 10,
        output_tokens: 2,
        estimated: true,
        attempts: 2,
        failures: vec!["busy".to_owned()],
        latency_us: 42,
    };
    Consultation {
        step: 1,
        planner: "chat".to_owned(),
        perceived: Digest::of(b"perceived"),
        proposal: Proposal::CallTools { calls },
        tokens: 12,
        exchange: Some(Box::new(exchange)),
    }
}

fn proposed(parts: &mut Parts) -> RunEvent {
    let (argument, problem) = ("argument".to_owned(), String::new());
    let path =
        PathUse { argument: argument.clone(), raw: "./a".to_owned(), normal: "a".to_owned(), problem: problem.clone() };
    let url = UrlUse {
        argument: argument.clone(),
        raw: "https://EXAMPLE.org".to_owned(),
        scheme: "https".to_owned(),
        host: "example.org".to_owned(),
        port: 443,
        addresses: vec!["192.0.2.1".to_owned()],
        problem,
    };
    let code = CodeText { argument, language: "python".to_owned(), text: "print('é')".to_owned() };
    let value = ArgumentUse {
        argument: "to".to_owned(),
        role: Some(ArgumentRole::Amount),
        value: "12.5".to_owned(),
        micros: Some(12_500_000),
    };
    RunEvent::ToolCallProposed {
        call: id("call"),
        goal: id("goal"),
        label: "step".to_owned(),
        tool: ToolFacts {
            name: "tool".to_owned(),
            digest: Digest::of(b"registration"),
            risk: "high".to_owned(),
            idempotent: true,
            consequential: true,
            reads_untrusted: true,
            executor: Executor::Builtin,
            trusted_source: true,
            roles: [("to".to_owned(), ArgumentRole::Recipient)].into(),
        },
        arguments: parts.small(&json!({"a": [1, "two", null]}).to_string(), "application/json"),
        arguments_digest: Digest::of(b"arguments"),
        resources: Resources { paths: vec![path], urls: vec![url], code: vec![code] },
        values: vec![value],
    }
}
