//! OPA killed, stopped, unreachable: a denial within the timeout, and recovery by itself.

use std::process::Command;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use xagent_domain::{FailureClass, Limits, Outcome};
use xagent_opa::{OpaOptions, OpaServer};
use xagent_policies::PolicyEngine;
use xagent_tests::opa;

use crate::contest::{Contest, ask, class, tools};

const ALLOW: &str = "package xagent.tools\n\ndecision := {\"allow\": true, \"deny\": [], \"obligations\": []}\n";
const TIMEOUT: Duration = Duration::from_millis(400);

fn decide(contest: &Contest) -> (Outcome, Duration) {
    let (entrypoint, input) = ask("{}");
    let clock = Instant::now();
    let outcome = contest.opa.decide(&contest.bundle, &entrypoint, &input).outcome;
    (outcome, clock.elapsed())
}

fn denied_in_time(contest: &Contest, expected: FailureClass) {
    let (outcome, took) = decide(contest);
    assert_eq!(class(&outcome), Some(expected), "{outcome:?}");
    assert!(!outcome.document().allow && took < TIMEOUT + Duration::from_millis(300), "{took:?}");
}

fn signal(contest: &Contest, signal: &str) {
    let sent = Command::new("kill").args([signal, &contest.process.pid().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn an_opa_that_is_killed_or_stopped_denies_in_time_and_decides_again_once_it_is_back() {
    let Some(opa) = opa("outages of OPA") else { return };
    let limits = Limits { timeout_ms: u64::try_from(TIMEOUT.as_millis()).unwrap() };
    let mut contest = Contest::within(&tools(ALLOW), &opa, limits);
    assert!(decide(&contest).0.document().allow);

    contest.process.kill();
    denied_in_time(&contest, FailureClass::EngineUnavailable);
    contest.process.restart();
    assert!(decide(&contest).0.document().allow, "over a connection that broke");

    signal(&contest, "-STOP");
    // The signal is carried out a moment later.
    let stopped = Instant::now();
    while decide(&contest).0.document().allow {
        assert!(stopped.elapsed() < Duration::from_secs(30));
    }
    denied_in_time(&contest, FailureClass::Timeout);
    signal(&contest, "-CONT");
    let back = Instant::now();
    while !decide(&contest).0.document().allow {
        assert!(back.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn an_opa_nobody_can_reach_denies_in_time() {
    let options = OpaOptions {
        // RFC 5737: nobody is there, and nothing says so.
        url: "http://192.0.2.1:8181".to_owned(),
        bundle_file: None,
        limits: Limits { timeout_ms: 300 },
    };
    let runtime = Runtime::new().unwrap();
    let engine = OpaServer::new(options, runtime.handle().clone()).unwrap();
    let bundle = engine.load(&tools(ALLOW)).unwrap();
    let (entrypoint, input) = ask("{}");
    let clock = Instant::now();
    let evaluation = engine.decide(&bundle, &entrypoint, &input);
    let unreachable = [Some(FailureClass::Timeout), Some(FailureClass::EngineUnavailable)];
    assert!(unreachable.contains(&class(&evaluation.outcome)), "{evaluation:?}");
    assert!(clock.elapsed() < Duration::from_secs(2));
    assert_eq!((evaluation.engine.name.as_str(), evaluation.limits.timeout_ms), ("opa", 300));
}
