//! The appender: takes what is queued, commits it in batches, answers each command. Batches form by themselves: while one is
//! being committed the next one gathers, and where there are enough for it and it pays, is already sent, so that the server
//! never waits for it. A lone command waits for nobody.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;

use super::batch::{Batch, Knowledge};
use super::herald;
use super::link::Link;
use super::pace::{ABREAST, Pace};
use super::queue::Queue;
use super::{Ground, Inbox, Pending, raise};
use crate::{Clock, LedgerError, measured};

/// Streams whose place is remembered.
const STREAMS: usize = 100_000;
/// How often everybody else is given a turn in vain before a batch is sent that is smaller than usual.
const IDLE_YIELDS: u32 = 3;

pub(super) struct Appender {
    clock: Arc<dyn Clock>,
    committed: watch::Sender<u64>,
    /// The same, of this process alone: what the herald tells others.
    appended: watch::Sender<u64>,
    pub(super) link: Link,
    /// Where the ledger is once all that is on its way is in, if that is known.
    pub(super) ground: Option<Ground>,
    /// Where streams are on that ground.
    pub(super) knowledge: Knowledge,
    /// Whether other processes write too: then it is better to ask first.
    pub(super) crowded: bool,
    /// Commands on their way.
    aloft: usize,
    /// How many commands there were at once lately.
    crowd: usize,
    pace: Pace,
}

/// A batch on its way, and what became of it.
pub(super) struct Landed {
    pub batch: Batch,
    /// Whether the ledger was where the batch thought.
    pub written: Result<bool, LedgerError>,
    /// When it landed.
    at: Instant,
}

type Flight = Pin<Box<dyn Future<Output = Landed> + Send>>;
/// In the order in which they were sent, which is that of their positions.
pub(super) type Flights = FuturesOrdered<Flight>;

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
    let link = Link::new(connect, patience);
    let (ground, knowledge, crowded, aloft, crowd) = (None, Knowledge::default(), false, 0, 0);
    let pace = Pace::default();
    let appender = Appender { clock, committed, appended, link, ground, knowledge, crowded, aloft, crowd, pace };
    tokio::spawn(appender.run(inbox));
    queue
}

impl Appender {
    async fn run(mut self, mut inbox: Inbox) {
        let (mut next, mut flights, mut open) = (self.batch(), Flights::new(), true);
        while open || !flights.is_empty() || !next.commands.is_empty() {
            if flights.is_empty() && !next.commands.is_empty() {
                self.gather(&mut next, &mut inbox).await;
            }
            if self.is_due(&next, flights.len()) {
                measured::waiting(inbox.len());
                next = match self.launch(next, &mut flights) {
                    None => self.batch(),
                    Some(batch) => self.wait_or_settle(batch, &mut flights).await,
                };
                continue;
            }
            tokio::select! {
                biased;
                command = inbox.recv(), if open && next.has_room() => match command {
                    Some(command) => self.admit(&mut next, command),
                    None => open = false,
                },
                Some(landed) = flights.next(), if !flights.is_empty() => {
                    next = self.land(landed, &mut flights, next).await;
                }
            }
        }
    }

    /// Lets those who are about to append do so, until there are as many as a batch is to have: who was just answered often
    /// has its next command at hand. It waits for no time, only until nobody else comes.
    async fn gather(&self, next: &mut Batch, inbox: &mut Inbox) {
        let (mut idle, share) = (0, self.crowd.div_ceil(self.pace.abreast(self.crowd)));
        let is_short = |next: &Batch| next.has_room() && next.commands.len() < share;
        while is_short(next) && idle < IDLE_YIELDS {
            idle += 1;
            while is_short(next)
                && let Ok(command) = inbox.try_recv()
            {
                self.admit(next, command);
                idle = 0;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Whether a batch is to be sent now: where none is on its way any is, and behind another one only its like.
    fn is_due(&self, next: &Batch, flights: usize) -> bool {
        let (commands, abreast) = (next.commands.len(), self.pace.abreast(self.crowd));
        let is_full = !next.has_room() && flights < ABREAST;
        commands > 0 && (flights == 0 || is_full || (flights < abreast && commands * abreast >= self.crowd))
    }

    /// An empty batch on what is known.
    pub(super) fn batch(&self) -> Batch {
        Batch::on(self.ground.clone().unwrap_or_default())
    }

    pub(super) fn plan(&self, commands: Vec<Pending>) -> Batch {
        let mut batch = self.batch();
        commands.into_iter().for_each(|command| self.admit(&mut batch, command));
        batch
    }

    /// Takes a command into a batch. One that nobody waits for any more is dropped: its caller was told to come back, and
    /// must not find it done behind its back after all.
    pub(super) fn admit(&self, batch: &mut Batch, command: Pending) {
        if !command.answer.is_closed() {
            batch.admit(command, &self.knowledge, self.clock.now_us());
        }
    }

    /// Sends a batch on its way, or gives it back where it is better to ask first.
    fn launch(&mut self, batch: Batch, flights: &mut Flights) -> Option<Batch> {
        let known = self.ground.is_some() && !self.crowded && !batch.is_blind() && !batch.events.is_empty();
        let Some(session) = self.link.session().filter(|_| known) else { return Some(batch) };
        let plain = batch.is_plain(self.knowledge.key_range);
        self.stand_on(&batch);
        self.aloft += batch.commands.len();
        let mut flight: Flight = Box::pin(async move {
            let sent = Instant::now();
            let written = if plain { session.add(&batch).await } else { session.write(&batch, false).await };
            let at = Instant::now();
            measured::sent(outcome(&written), at - sent);
            Landed { batch, written, at }
        });
        // It is sent when it is first looked at, and must be before any that is launched later.
        flights.push_back(match (&mut flight).now_or_never() {
            Some(landed) => Box::pin(std::future::ready(landed)),
            None => flight,
        });
        None
    }

    /// A batch that has to ask first waits for those that are on their way.
    async fn wait_or_settle(&mut self, batch: Batch, flights: &mut Flights) -> Batch {
        match flights.next().await {
            Some(landed) => self.land(landed, flights, batch).await,
            None => {
                let waiting = self.settle(batch.commands).await;
                self.plan(waiting)
            }
        }
    }

    /// Deals with the first batch that has landed; what is in `flights` and `next` was planned to follow on it.
    async fn land(&mut self, landed: Landed, flights: &mut Flights, mut next: Batch) -> Batch {
        self.crowd = self.aloft + next.commands.len();
        self.aloft -= landed.batch.commands.len();
        if !matches!(landed.written, Ok(true)) {
            self.aloft = 0;
            return self.recover(landed, flights, next).await;
        }
        let commands = &landed.batch.commands;
        let waited = commands.iter().map(|command| landed.at.saturating_duration_since(command.since)).sum();
        self.pace.note(commands.len(), waited, self.crowd);
        for command in self.answer(landed.batch) {
            self.admit(&mut next, command);
        }
        next
    }

    /// From here on everything is as the batch leaves it.
    pub(super) fn stand_on(&mut self, batch: &Batch) {
        self.ground = Some(batch.ground.clone());
        let sequences = &mut self.knowledge.sequences;
        if sequences.len() > STREAMS {
            sequences.clear();
        }
        sequences.extend(batch.streams.iter().map(|check| (check.stream.clone(), check.sequence)));
    }

    /// Answers the commands of a batch that is in; gives back those that take part in the next one.
    pub(super) fn answer(&self, batch: Batch) -> Vec<Pending> {
        measured::committed(batch.commands.len(), batch.events.len());
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

/// What became of a batch, as it is counted.
pub(super) fn outcome(written: &Result<bool, LedgerError>) -> &'static str {
    match written {
        Ok(true) => "committed",
        Ok(false) => "elsewhere",
        Err(_) => "failed",
    }
}
