//! An example of every kind of problem.

use serde_json::{Map, Value, json};
use xagent_domain::Reason;

use crate::problem::{Problem, ProblemType};

/// All of them, by code.
pub fn examples() -> Map<String, Value> {
    let named = ProblemType::ALL.iter().map(|kind| {
        let example = json!({"summary": kind.title(), "value": example(*kind)});
        (kind.code().to_owned(), example)
    });
    named.collect()
}

/// A problem of this kind as a caller would see it.
pub fn example(kind: ProblemType) -> Problem {
    let mut problem = match kind {
        ProblemType::Unauthenticated => {
            of(kind, "no bearer token: send `Authorization: Bearer TOKEN`").at("Authorization")
        }
        ProblemType::Denied => denied(kind, "missing_scope", "the scope `run:start` is missing"),
        ProblemType::CrossSite => of(kind, "the browser says that a page of another site sent this"),
        ProblemType::RateLimited => denied(kind, "rate_limited", "600 commands in the last minute; 600 are allowed"),
        ProblemType::InvalidInput => of(kind, "missing field `goal`").at("/goal"),
        ProblemType::BundleRefused => of(kind, "tools.rego:12:3: the rule `allow` uses `not` over a builtin"),
        ProblemType::TargetTooLong => of(kind, "path and query have 9000 bytes: 8192 at most are taken"),
        ProblemType::HeadersTooLarge => of(kind, "12 headers of 40000 bytes: 100 of 32768 bytes at most are taken"),
        ProblemType::TooLarge => of(kind, "the body is larger than 1048576 bytes").at(""),
        ProblemType::NotFound => of(kind, "there is no run `run_01a20ad9e4557094b7b7432819d909fb`"),
        ProblemType::MethodNotAllowed => of(kind, "PATCH is not a method of /v1/runs"),
        ProblemType::Conflict => of(kind, "the run has ended"),
        ProblemType::Archived => of(kind, "position 7 was archived in `1-1000.xa`; see `xagent archive attach`"),
        ProblemType::PreconditionFailed => {
            let mut problem = of(kind, "the run is at sequence 25, and the command is meant for 12").at("If-Match");
            problem.current_sequence = Some(25);
            problem.with_value("\"12\"")
        }
        ProblemType::UnsupportedMediaType => {
            of(kind, "`text/csv` is not read here").at("Content-Type").with_value("text/csv")
        }
        ProblemType::InFlight => of(kind, "a command with this key is being carried out").at("Idempotency-Key"),
        ProblemType::KeyReused => of(kind, "the key `k-1` stands for another command").at("Idempotency-Key"),
        ProblemType::Unavailable => of(kind, "the ledger gave no answer: append; try again"),
        ProblemType::Starting => of(kind, "the policy bundle in force is not loaded yet"),
        ProblemType::Tampered => of(kind, "the event at position 28 is not the one that was sealed"),
        ProblemType::Internal => of(kind, "this is a fault of the server; its log has the details under the trace id"),
    };
    if kind == ProblemType::Conflict {
        problem.code = Some("run_ended".to_owned());
    }
    problem.trace_id = "0af7651916cd43dd8448eb211c80319c".into();
    problem
}

fn of(kind: ProblemType, detail: &str) -> Problem {
    Problem::new(kind, detail)
}

fn denied(kind: ProblemType, code: &str, message: &str) -> Problem {
    let mut problem = of(kind, message);
    problem.decision_id = Some("dec_01a20add905d75e7b9c744ae00da2568".to_owned());
    problem.deny =
        vec![Reason { code: code.to_owned(), rule: "data.xagent.api".to_owned(), message: message.to_owned() }];
    problem
}
