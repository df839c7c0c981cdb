//! A process that appends: several tasks, each one command after the other, until its standard input ends.
//!
//! `appender URL NAME SKEW_US [KEY...]`: it first repeats the commands with these keys, which a process before it left
//! without an answer. Its clock is off by `SKEW_US` microseconds.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a part of a test, which fails by panicking")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::Rng;
use xagent_domain::Tenant;
use xagent_domain::tool::Tool;
use xagent_ledger::{Clock, Ledger, LedgerError, LedgerOptions};
use xagent_tests::{Acknowledged, Command, Now, PATIENCE, Said};

/// Commands on their way at once.
const TASKS: usize = 6;

struct Skewed(i64);

impl Clock for Skewed {
    fn now_us(&self) -> i64 {
        Now.now_us() + self.0
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (url, name, skew) = (arguments.next().unwrap(), arguments.next().unwrap(), arguments.next().unwrap());
    let options = LedgerOptions { connections: 4, ..LedgerOptions::default() };
    let ledger = Ledger::connect(&url, Arc::new(Skewed(skew.parse().unwrap())), options).unwrap();
    for key in arguments {
        carry_out(&ledger, &Command::of(&key), &mut 0).await;
    }
    let goes_on = Arc::new(AtomicBool::new(true));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(append(ledger.clone(), format!("{name}.{task}"), goes_on.clone())))
        .collect();
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await.unwrap().unwrap();
    goes_on.store(false, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
}

/// One command after the other.
async fn append(ledger: Ledger, owner: String, goes_on: Arc<AtomicBool>) {
    let (mut number, mut sequences) = (0_u64, HashMap::<String, u64>::new());
    while goes_on.load(Ordering::Relaxed) {
        number += 1;
        let command = Command::of(&format!("{owner}.{number}"));
        say(&Said::Trying(command.key.clone()));
        let sequence = sequences.entry(command.stream.clone()).or_default();
        let first = carry_out(&ledger, &command, sequence).await;
        if number.is_multiple_of(8) {
            // On the state it was decided on at first, as by a client that has not heard of the answer.
            let mut sequence = first.receipt.sequence - command.events.len() as u64;
            let again = answered(&ledger, &command, &mut sequence).await;
            assert!(again.repeated, "{} was appended twice", command.key);
            assert_eq!(again.receipt, first.receipt, "{}", command.key);
        }
    }
}

/// Carries a command out, and says what was promised.
async fn carry_out(ledger: &Ledger, command: &Command, sequence: &mut u64) -> Acknowledged {
    if command.minds && !command.is_alone {
        *sequence = fresh(ledger, command, *sequence).await;
    }
    let acknowledged = answered(ledger, command, sequence).await;
    say(&Said::Acknowledged(acknowledged.clone()));
    acknowledged
}

/// Appends a command until it is answered, as a client does: again with the same key where the outcome is unknown, again
/// on fresh state after a conflict.
async fn answered(ledger: &Ledger, command: &Command, sequence: &mut u64) -> Acknowledged {
    let deadline = Instant::now() + PATIENCE;
    let mut failures = 0_u32;
    loop {
        let error = match ledger.append::<Tool>(command.append(*sequence)).await {
            Ok(appended) => {
                *sequence = appended.receipt.sequence;
                let (key, receipt, repeated) = (command.key.clone(), appended.receipt, appended.repeated);
                return Acknowledged { key, receipt, repeated };
            }
            Err(error) => error,
        };
        assert!(Instant::now() < deadline, "{} was not answered in {} s: {error}", command.key, PATIENCE.as_secs());
        match error {
            LedgerError::Unavailable { .. } => pause(&mut failures).await,
            LedgerError::Conflict { .. } => *sequence = fresh(ledger, command, *sequence).await,
            error => panic!("{}: {error}", command.key),
        }
    }
}

/// Where the stream of a command is.
async fn fresh(ledger: &Ledger, command: &Command, after: u64) -> u64 {
    const PAGE: u32 = 500;
    let (tenant, mut sequence, mut failures) = (Tenant::default_tenant(), after, 0_u32);
    loop {
        match ledger.stream(&tenant, "tool", &command.stream, sequence, PAGE).await {
            Ok(page) => {
                sequence += page.len() as u64;
                if page.len() < PAGE as usize {
                    return sequence;
                }
            }
            Err(error) => {
                assert!(error.is_unavailable() && failures < 1000, "{}: {error}", command.stream);
                pause(&mut failures).await;
            }
        }
    }
}

/// Grows with the failures in a row up to a bound, with jitter.
async fn pause(failures: &mut u32) {
    *failures += 1;
    let most = 10_u64 << (*failures).min(4);
    let pause = rand::rng().random_range(5..=most);
    tokio::time::sleep(Duration::from_millis(pause)).await;
}

/// One line, written at once: a process that is killed leaves none behind that is cut off.
fn say(said: &Said) {
    let line = format!("{}\n", serde_json::to_string(said).unwrap());
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}
