//! The appender: takes what is queued, commits it as one batch, answers each command. Batches form by themselves while one
//! is being committed; a lone command waits for nobody.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;

use super::batch::{Batch, Knowledge};
use super::herald;
use super::link::{Link, out_of_turn};
use super::queue::Queue;
use super::statement::Answers;
use super::{Ground, Inbox, OPERATION, Pending, raise};
use crate::{Clock, LedgerError};

/// Streams whose place is remembered.
const STREAMS: usize = 100_000;

/// How often everybody else is given a turn in vain before a batch is sent.
const IDLE_YIELDS: u32 = 3;

struct Appender {
    clock: Arc<dyn Clock>,
    committed: watch::Sender<u64>,
    /// The same, of this process alone: what the herald tells others.
    appended: watch::Sender<u64>,
    /// The connection; away while a batch is on its way.
    link: Option<Link>,
    /// Where the ledger is once the batch that is on its way is in, if that is known.
    ground: Option<Ground>,
    /// Where streams are on that ground.
    knowledge: Knowledge,
    /// Whether other processes write too: then it is better to ask first.
    crowded: bool,
}

/// A batch on its way, and what became of it.
struct Landed {
    link: Link,
    batch: Batch,
    /// Whether the ledger was where the batch thought.
    written: Result<bool, LedgerError>,
}

type Flight = Pin<Box<dyn Future<Output = Landed> + Send>>;

/// Starts the appender. It ends when its queue is dropped.
pub(crate) fn start(
    connect: PgConnectOptions,
    clock: Arc<dyn Clock>,
    committed: watch::Sender<u64>,
    patience: Duration,
) -> Queue {
    let (queue, inbox) = Queue::new();
    let (appended, heard) = watch::channel(0);
    tokio::spawn(herald::run(connect.clone(), heard));
    let link = Some(Link::new(connect, patience));
    let (ground, knowledge, crowded) = (None, Knowledge::default(), false);
    tokio::spawn(Appender { clock, committed, appended, link, ground, knowledge, crowded }.run(inbox));
    queue
}

impl Appender {
    async fn run(mut self, mut inbox: Inbox) {
        let (mut next, mut flight, mut open) = (self.batch(), None::<Flight>, true);
        while open || flight.is_some() || !next.commands.is_empty() {
            if flight.is_none() && !next.commands.is_empty() {
                self.gather(&mut next, &mut inbox).await;
                next = match self.launch(next) {
                    Ok(launched) => {
                        flight = Some(launched);
                        self.batch()
                    }
                    Err(commands) => {
                        let waiting = self.settle(commands).await;
                        self.plan(waiting)
                    }
                };
                continue;
            }
            tokio::select! {
                biased;
                command = inbox.recv(), if open && next.has_room() => match command {
                    Some(command) => self.admit(&mut next, command),
                    None => open = false,
                },
                landed = landing(&mut flight), if flight.is_some() => {
                    flight = None;
                    next = self.land(landed, next).await;
                }
            }
        }
    }

    /// Lets those who are about to append do so: who was just answered often has its next command at hand, and two half
    /// batches cost more than a whole one. It waits for no time, only until nobody else comes.
    async fn gather(&self, next: &mut Batch, inbox: &mut Inbox) {
        let mut idle = 0;
        while next.has_room() && idle < IDLE_YIELDS {
            idle += 1;
            while next.has_room()
                && let Ok(command) = inbox.try_recv()
            {
                self.admit(next, command);
                idle = 0;
            }
            tokio::task::yield_now().await;
        }
    }

    /// An empty batch on what is known.
    fn batch(&self) -> Batch {
        Batch::on(self.ground.clone().unwrap_or_default())
    }

    fn plan(&self, commands: Vec<Pending>) -> Batch {
        let mut batch = self.batch();
        commands.into_iter().for_each(|command| self.admit(&mut batch, command));
        batch
    }

    /// Takes a command into a batch. One that nobody waits for any more is dropped: its caller was told to come back, and
    /// must not find it done behind its back after all.
    fn admit(&self, batch: &mut Batch, command: Pending) {
        if !command.answer.is_closed() {
            batch.admit(command, &self.knowledge, self.clock.now_us());
        }
    }

    /// Sends a batch on its way, or gives its commands back where it is better to ask first.
    fn launch(&mut self, batch: Batch) -> Result<Flight, Vec<Pending>> {
        let known = self.ground.is_some() && !self.crowded && !batch.is_blind() && !batch.events.is_empty();
        let Some(mut link) = self.link.take_if(|_| known) else { return Err(batch.commands) };
        let plain = batch.is_plain(self.knowledge.key_range);
        self.stand_on(&batch);
        Ok(Box::pin(async move {
            let written = if plain { link.add(&batch).await } else { link.write(&batch).await };
            Landed { link, batch, written }
        }))
    }

    /// Deals with a batch that has landed; `next` was planned to follow on it.
    async fn land(&mut self, landed: Landed, next: Batch) -> Batch {
        let Landed { link, batch, written } = landed;
        self.link = Some(link);
        let waiting = match written {
            Ok(true) => {
                let mut next = next;
                for command in self.answer(batch) {
                    self.admit(&mut next, command);
                }
                return next;
            }
            Ok(false) => {
                self.crowded = true;
                self.settle(batch.commands).await
            }
            Err(error) if error.is_unavailable() => self.find_out(batch, error).await,
            Err(_) => self.settle(batch.commands).await,
        };
        self.plan(waiting.into_iter().chain(next.commands).collect())
    }

    /// Whether the batch went in is unknown: its leaves tell, each of them. A part of another process' batch may be the
    /// same, place and time included, where a client turned to that one and the ledger's clock stands.
    async fn find_out(&mut self, batch: Batch, lost: LedgerError) -> Vec<Pending> {
        self.lose_ground();
        let leaves: Vec<_> = batch.events.iter().map(|event| event.leaf_hash).collect();
        if leaves.is_empty() {
            return fail_all(batch.commands, &lost);
        }
        let found = async {
            let link = self.link()?;
            let held = link.ask(&streams(&batch.commands), &batch.commands).await?;
            Ok::<_, LedgerError>((link.leaves(batch.after.position, batch.ground.position).await? == leaves, held))
        };
        match found.await {
            Ok((true, _)) => {
                self.hang_up();
                tracing::info!(position = batch.ground.position, "ledger.append.found");
                self.answer(batch)
            }
            Ok((false, held)) => self.settle_held(batch.commands, held).await,
            Err(error) => {
                tracing::warn!(error = %error, "ledger.append.lost");
                self.hang_up();
                fail_all(batch.commands, &lost)
            }
        }
    }

    /// Asks where everything is and commits there, under the lock all the while; gives back what has to wait.
    async fn settle(&mut self, commands: Vec<Pending>) -> Vec<Pending> {
        let asked = async { self.link()?.ask(&streams(&commands), &commands).await };
        match asked.await {
            Ok(held) => self.settle_held(commands, held).await,
            Err(error) => {
                self.lose_ground();
                self.one_by_one(commands, &error).await
            }
        }
    }

    async fn settle_held(&mut self, commands: Vec<Pending>, held: Answers) -> Vec<Pending> {
        let streams = streams(&commands);
        self.learn(&streams, &commands, held);
        let batch = self.plan(commands);
        self.knowledge.keys.clear();
        let written = async {
            match batch.events.is_empty() {
                true => self.link()?.release().await.map(|()| true),
                false => self.link()?.write(&batch).await,
            }
        };
        let error = match written.await {
            Ok(true) => {
                self.stand_on(&batch);
                return self.answer(batch);
            }
            Ok(false) => out_of_turn(),
            Err(error) => error,
        };
        self.lose_ground();
        self.hang_up();
        self.one_by_one(batch.commands, &error).await
    }

    /// One of them does not go in, and nobody knows which: its neighbours must not suffer for it.
    async fn one_by_one(&mut self, commands: Vec<Pending>, error: &LedgerError) -> Vec<Pending> {
        if commands.len() == 1 || error.is_unavailable() {
            return fail_all(commands, error);
        }
        let mut waiting = Vec::new();
        for command in commands {
            waiting.extend(Box::pin(self.settle(vec![command])).await);
        }
        waiting
    }

    /// Takes over what the database answered about streams and keys.
    fn learn(&mut self, streams: &[super::Stream], commands: &[Pending], held: Answers) {
        let Answers { ground, keys, sequences, known } = held;
        // Not by the position: another process may have moved the ledger by as much as a batch that did not go in.
        let moved = self.ground.as_ref().is_none_or(|last| last.frontier != ground.frontier);
        if moved {
            self.knowledge.sequences.clear();
        } else {
            self.crowded = false;
        }
        self.ground = Some(ground);
        self.knowledge.key_range = keys;
        self.knowledge.sequences.extend(streams.iter().cloned().zip(sequences));
        let keyed =
            commands.iter().filter_map(|command| Some((command.tenant.clone(), command.command.as_ref()?.id.clone())));
        self.knowledge.keys = keyed.zip(known).filter(|(_, known)| *known).map(|(key, _)| key).collect();
    }

    /// From here on everything is as the batch leaves it.
    fn stand_on(&mut self, batch: &Batch) {
        self.ground = Some(batch.ground.clone());
        let sequences = &mut self.knowledge.sequences;
        if sequences.len() > STREAMS {
            sequences.clear();
        }
        sequences.extend(batch.streams.iter().map(|check| (check.stream.clone(), check.sequence)));
    }

    fn lose_ground(&mut self) {
        (self.ground, self.knowledge) = (None, Knowledge::default());
    }

    fn link(&mut self) -> Result<&mut Link, LedgerError> {
        self.link.as_mut().ok_or_else(out_of_turn)
    }

    fn hang_up(&mut self) {
        self.link.iter_mut().for_each(Link::hang_up);
    }

    /// Answers the commands of a batch that is in; gives back those that take part in the next one.
    fn answer(&self, batch: Batch) -> Vec<Pending> {
        self.committed.send_if_modified(|last| raise(last, batch.ground.position));
        self.appended.send_if_modified(|last| raise(last, batch.ground.position));
        let mut waiting = Vec::new();
        for (command, verdict) in batch.commands.into_iter().zip(batch.verdicts) {
            match verdict.answer(&command) {
                // Who asked may have given up waiting.
                Some(answer) => drop(command.answer.send(answer)),
                None => waiting.push(command),
            }
        }
        waiting
    }
}

/// The batch that is on its way, once it has landed.
async fn landing(flight: &mut Option<Flight>) -> Landed {
    match flight {
        Some(flight) => flight.await,
        None => std::future::pending().await,
    }
}

/// The streams of commands, each once.
fn streams(commands: &[Pending]) -> Vec<super::Stream> {
    let mut streams: Vec<_> = commands.iter().map(|command| command.stream.clone()).collect();
    streams.sort_unstable();
    streams.dedup();
    streams
}

fn fail_all(commands: Vec<Pending>, error: &LedgerError) -> Vec<Pending> {
    for command in commands {
        let detail = error.detail();
        let error = match error.is_unavailable() {
            true => LedgerError::Unavailable { operation: OPERATION, detail },
            false => LedgerError::Failed { operation: OPERATION, detail },
        };
        // Who asked may have given up waiting.
        drop(command.answer.send(Err(error)));
    }
    Vec::new()
}
