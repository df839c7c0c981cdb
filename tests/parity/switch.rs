//! A bundle is switched while OPA decides: every answer is of the bundle it names.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use xagent_domain::{Digest, Limits, Outcome};
use xagent_opa::{OpaOptions, OpaServer, archive};
use xagent_policies::PolicyEngine;
use xagent_tests::{OpaProcess, opa};

use crate::contest::{ask, tools};

const SWITCHES: usize = 30;

fn law(number: usize) -> String {
    format!(
        "package xagent.tools\n\ndecision := {{\"allow\": false, \"deny\": [{{\"code\": \"{number}\"}}], \"obligations\": []}}\n"
    )
}

#[test]
fn no_answer_is_of_another_bundle_than_it_names() {
    let Some(program) = opa("a switch of OPA's bundle") else { return };
    let folder = xagent_tests::folder("switch-");
    let file = folder.path().join("bundle.tar.gz");
    std::fs::write(&file, archive(&tools(&law(0))).unwrap()).unwrap();
    let process =
        OpaProcess::start(&program, &["--watch".to_owned(), "--bundle".to_owned(), file.display().to_string()]);
    let runtime = Runtime::new().unwrap();
    let options = OpaOptions { url: process.url(), bundle_file: Some(file), limits: Limits { timeout_ms: 2000 } };
    let engine = OpaServer::new(options, runtime.handle().clone()).unwrap();
    let laws: Vec<Digest> = (0..=SWITCHES).map(|number| engine.load(&tools(&law(number))).unwrap()).collect();
    let (active, ended, decided) = (Mutex::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let number = *active.lock().unwrap();
                    let (entrypoint, input) = ask("{}");
                    let evaluation = engine.decide(&laws[number], &entrypoint, &input);
                    if let Outcome::Document(text) = &evaluation.outcome {
                        assert!(text.as_str().contains(&format!("\"code\":\"{number}\"")), "{number}: {evaluation:?}");
                        decided.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for (number, law) in laws.iter().enumerate().skip(1) {
            let before = decided.load(Ordering::Relaxed);
            engine.enact(law).unwrap();
            *active.lock().unwrap() = number;
            let patience = std::time::Instant::now();
            while decided.load(Ordering::Relaxed) < before + 20 {
                assert!(patience.elapsed() < Duration::from_secs(30), "OPA does not take bundle {number}");
                std::thread::yield_now();
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert!(decided.load(Ordering::Relaxed) >= SWITCHES * 20);
}
