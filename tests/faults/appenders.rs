//! Four processes that append at once, and what they said.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use xagent_tests::{Acknowledged, Said, until};

const PROCESSES: usize = 4;
/// By how much the clock of each process is off, in microseconds.
const SKEWS: [i64; PROCESSES] = [0, -700_000, 300, 40_000];

/// What a process said so far.
#[derive(Default)]
struct Heard {
    unanswered: BTreeSet<String>,
    acknowledged: Vec<Acknowledged>,
}

struct Process {
    child: Child,
    heard: Arc<Mutex<Heard>>,
    ear: JoinHandle<()>,
}

pub struct Appenders {
    url: String,
    processes: Vec<Process>,
    /// How many processes were started.
    started: usize,
    /// What those said that are gone.
    acknowledged: Vec<Acknowledged>,
}

impl Appenders {
    /// Starts them on the ledger at `url`.
    pub fn start(url: &str) -> Self {
        let mut all = Self { url: url.to_owned(), processes: Vec::new(), started: 0, acknowledged: Vec::new() };
        for place in 0..PROCESSES {
            let process = all.spawn(place, &BTreeSet::new());
            all.processes.push(process);
        }
        all
    }

    fn spawn(&mut self, place: usize, repeat: &BTreeSet<String>) -> Process {
        self.started += 1;
        let mut command = Command::new(env!("CARGO_BIN_EXE_appender"));
        command.arg(&self.url).arg(format!("p{}", self.started)).arg(SKEWS[place].to_string()).args(repeat);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let heard = Arc::new(Mutex::new(Heard { unanswered: repeat.clone(), acknowledged: Vec::new() }));
        let (mut lines, hears) = (BufReader::new(child.stdout.take().unwrap()).lines(), heard.clone());
        let ear = tokio::spawn(async move {
            while let Some(line) = lines.next_line().await.unwrap() {
                let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"));
                hears.lock().unwrap().hear(said);
            }
        });
        Process { child, heard, ear }
    }

    /// Kills the process at `place` as the system would, and starts another one, which repeats what that left unanswered.
    pub async fn replace(&mut self, place: usize) {
        self.processes[place].child.kill().await.unwrap();
        let heard = self.processes[place].finish().await;
        self.acknowledged.extend(heard.acknowledged);
        self.processes[place] = self.spawn(place, &heard.unanswered);
    }

    /// How many commands of each process were acknowledged.
    pub fn counts(&self) -> [usize; PROCESSES] {
        let count = |place: usize| self.processes[place].heard.lock().unwrap().acknowledged.len();
        std::array::from_fn(count)
    }

    /// Waits until each process has `more` further commands acknowledged.
    pub async fn go_on(&mut self, more: usize) {
        let before = self.counts();
        until("every process goes on appending", async || {
            self.are_alive();
            self.counts().iter().zip(before).all(|(now, before)| *now >= before + more).then_some(())
        })
        .await;
    }

    /// Waits until they have so many further commands acknowledged in all.
    pub async fn go_on_together(&mut self, more: usize) {
        let before: usize = self.counts().iter().sum();
        until("the processes go on appending", async || {
            self.are_alive();
            (self.counts().iter().sum::<usize>() >= before + more).then_some(())
        })
        .await;
    }

    fn are_alive(&mut self) {
        for process in &mut self.processes {
            assert_eq!(process.child.try_wait().unwrap(), None, "an appender gave up, see above");
        }
    }

    /// Lets them come to their end, and gives all that was acknowledged: no command is left without its answer.
    pub async fn finish(mut self) -> Vec<Acknowledged> {
        for process in &mut self.processes {
            drop(process.child.stdin.take());
        }
        for process in &mut self.processes {
            let status = process.child.wait().await.unwrap();
            assert!(status.success(), "an appender gave up, see above: {status}");
            let heard = process.finish().await;
            assert_eq!(heard.unanswered, BTreeSet::new());
            self.acknowledged.extend(heard.acknowledged);
        }
        self.acknowledged
    }
}

impl Process {
    /// All that it said, once it has ended.
    async fn finish(&mut self) -> Heard {
        (&mut self.ear).await.unwrap();
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

impl Heard {
    fn hear(&mut self, said: Said) {
        match said {
            Said::Trying(key) => assert!(self.unanswered.insert(key)),
            Said::Acknowledged(acknowledged) => {
                assert!(self.unanswered.remove(&acknowledged.key), "{} was answered twice", acknowledged.key);
                self.acknowledged.push(acknowledged);
            }
        }
    }
}
