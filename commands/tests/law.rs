//! Asking the law under load: whatever cannot be answered in time is denied in time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use xagent_commands::Law;
use xagent_domain::{CallId, CanonicalJson, FailureClass, Inquiry, Limits, Outcome, Question};
use xagent_policies::{Bundle, Embedded, PolicyEngine};

const LIMITS: Limits = Limits { timeout_ms: 300 };
/// The timeout, and what an answer is waited for beyond it.
const DEADLINE: Duration = Duration::from_millis(700);

/// Without an end, unless the input says that it is quick.
const SLOW: &str = "package xagent.tools

decision := {\"allow\": true, \"deny\": [], \"obligations\": []} if input.quick

decision := {\"allow\": n > 0, \"deny\": [], \"obligations\": []} if {
	not input.quick
	n := count([1 | some i in numbers.range(1, 4000); some j in numbers.range(1, 4000); i * j == 0])
}
";

fn law(concurrency: usize) -> Law {
    let bundle = Bundle::from_parts([("tools.rego".to_owned(), SLOW.to_owned())].into(), "{}").unwrap();
    let engine = Arc::new(Embedded::new(LIMITS));
    let digest = engine.load(&bundle).unwrap();
    let law = Law::new(engine, LIMITS, concurrency);
    law.activate(digest);
    law
}

fn inquiry(input: &str) -> Inquiry {
    let call: CallId = "call_01a20ae0d77076aeb6d2e1c07c474210".parse().unwrap();
    Inquiry { question: Question::ToolCall { call, approval: None }, input: CanonicalJson::parse(input).unwrap() }
}

async fn ask(law: &Law, input: &str) -> (Outcome, Duration) {
    let clock = Instant::now();
    let (ruling, _) = law.ask(&inquiry(input)).await;
    (ruling.evaluation.outcome, clock.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn more_questions_than_there_is_time_for_are_denied_in_time_and_the_next_is_answered() {
    let law = law(1);
    let asked = (0..6).map(|_| {
        let law = law.clone();
        tokio::spawn(async move { ask(&law, "{}").await })
    });
    let mut busy = 0;
    for answer in asked.collect::<Vec<_>>() {
        let (outcome, took) = answer.await.unwrap();
        assert!(took < DEADLINE + Duration::from_millis(500), "{took:?}");
        let Outcome::Failure { class, .. } = outcome else { panic!("{outcome:?}") };
        assert!(matches!(class, FailureClass::Timeout | FailureClass::EngineUnavailable));
        busy += usize::from(class == FailureClass::EngineUnavailable);
    }
    assert!(busy >= 2, "{busy}");
    // Those that were given up still hold the engine until its own limit.
    let mut quick = ask(&law, "{\"quick\":true}").await.0;
    let begin = Instant::now();
    while !quick.document().allow && begin.elapsed() < Duration::from_secs(10) {
        quick = ask(&law, "{\"quick\":true}").await.0;
    }
    assert!(quick.document().allow, "{quick:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_active_bundle_everything_is_denied() {
    let law = Law::new(Arc::new(Embedded::new(LIMITS)), LIMITS, 1);
    let (outcome, _) = ask(&law, "{\"quick\":true}").await;
    assert!(matches!(outcome, Outcome::Failure { class: FailureClass::BundleMissing, .. }));
}
