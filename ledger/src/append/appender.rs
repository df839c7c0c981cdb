//! The appender: takes what is queued, commits it as one batch, answers each command. Batches form by themselves while one
//! is being committed; a lone command waits for nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::batch::{Batch, Knowledge, Verdict, plan};
use super::statement::{Reply, ask, reply, write};
use super::{Answer, Expected, Ground, Inbox, OPERATION, Pending, Stream, raise};
use crate::{Clock, LedgerError};

/// Commands in one batch at most.
const BATCH: usize = 256;
/// Commands that may wait.
const QUEUE: usize = 1024;
/// Logs whose place is remembered.
const LOGS: usize = 1000;
/// Kibibytes that may wait.
const QUEUE_KIB: u32 = 64 * 1024;

/// Where commands wait.
pub(crate) struct Queue {
    commands: mpsc::Sender<Pending>,
    room: Arc<Semaphore>,
}

impl Queue {
    /// Room for so many bytes, or an error: the queue never grows past its bounds.
    pub(crate) fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, LedgerError> {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
        Arc::clone(&self.room).try_acquire_many_owned(kib).map_err(|_| full())
    }

    pub(crate) fn send(&self, command: Pending) -> Result<(), LedgerError> {
        self.commands.try_send(command).map_err(|_| full())
    }
}

fn full() -> LedgerError {
    LedgerError::Unavailable { operation: OPERATION, detail: "too many commands are waiting".to_owned() }
}

struct Appender {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    committed: watch::Sender<u64>,
    patience: Duration,
    /// Where the ledger was after the last batch, if that is known.
    ground: Option<Ground>,
    /// Where logs were after the last batch: their writers do not say where they expect them.
    logs: HashMap<Stream, u64>,
}

/// Starts the appender. It ends when its queue is dropped.
pub(crate) fn start(pool: PgPool, clock: Arc<dyn Clock>, committed: watch::Sender<u64>, patience: Duration) -> Queue {
    let (commands, inbox) = mpsc::channel(QUEUE);
    let appender = Appender { pool, clock, committed, patience, ground: None, logs: HashMap::new() };
    tokio::spawn(appender.run(inbox));
    Queue { commands, room: Arc::new(Semaphore::new(QUEUE_KIB as usize)) }
}

impl Appender {
    async fn run(mut self, mut inbox: Inbox) {
        let mut commands: Vec<Pending> = Vec::new();
        loop {
            if commands.is_empty() {
                match inbox.recv().await {
                    Some(command) => commands.push(command),
                    None => return,
                }
            }
            while commands.len() < BATCH
                && let Ok(command) = inbox.try_recv()
            {
                commands.push(command);
            }
            commands = self.settle(commands).await;
        }
    }

    /// Commits what can be committed and answers it; gives back what has to wait for the next batch.
    async fn settle(&mut self, commands: Vec<Pending>) -> Vec<Pending> {
        match self.commit(&commands).await {
            Ok(batch) => self.answer(commands, batch),
            Err(error) => {
                self.ground = None;
                if commands.len() > 1 && !error.is_unavailable() {
                    return self.one_by_one(commands).await;
                }
                commands.into_iter().for_each(|command| fail(command, &error));
                Vec::new()
            }
        }
    }

    /// One of them does not go in, and nobody knows which: its neighbours must not suffer for it.
    async fn one_by_one(&mut self, commands: Vec<Pending>) -> Vec<Pending> {
        let mut waiting = Vec::new();
        for command in commands {
            let alone = vec![command];
            match self.commit(&alone).await {
                Ok(batch) => waiting.extend(self.answer(alone, batch)),
                Err(error) => {
                    self.ground = None;
                    alone.into_iter().for_each(|command| fail(command, &error));
                }
            }
        }
        waiting
    }

    async fn commit(&mut self, commands: &[Pending]) -> Result<Batch, LedgerError> {
        let patience = self.patience;
        let work = async {
            if let Some(ground) = self.ground.take()
                && let Some(batch) = self.try_on(&ground, commands).await?
            {
                return Ok(batch);
            }
            self.commit_locked(commands).await
        };
        match tokio::time::timeout(patience, work).await {
            Ok(done) => done.map_err(|error| LedgerError::database(OPERATION, &error)),
            Err(_) => Err(super::late()),
        }
    }

    /// One round trip: the statement refuses where the ledger or a stream is not where it is thought to be.
    async fn try_on(&self, ground: &Ground, commands: &[Pending]) -> Result<Option<Batch>, sqlx::Error> {
        let knowledge = Knowledge { sequences: self.remembered(commands), ..Knowledge::default() };
        let batch = plan(commands, ground, &knowledge, self.clock.now_us());
        if batch.is_blind() {
            return Ok(None);
        }
        let row = write(ground.position, commands, &batch).fetch_one(&self.pool).await?;
        Ok(reply(&row)?.done.then_some(batch))
    }

    /// Where the logs among the commands' streams were left.
    fn remembered(&self, commands: &[Pending]) -> HashMap<Stream, u64> {
        let mut sequences = HashMap::new();
        for command in commands.iter().filter(|command| command.expected == Expected::Any) {
            let stream = command.stream();
            sequences.extend(self.logs.get(&stream).map(|sequence| (stream, *sequence)));
        }
        for command in commands.iter().filter(|command| command.expected != Expected::Any) {
            sequences.remove(&command.stream());
        }
        sequences
    }

    /// Asks where everything is and appends there, under the lock all the while.
    async fn commit_locked(&self, commands: &[Pending]) -> Result<Batch, sqlx::Error> {
        let mut transaction: Transaction<'_, Postgres> = self.pool.begin().await?;
        let asked = reply(&ask(commands).fetch_one(&mut *transaction).await?)?;
        let knowledge = knowledge(commands, &asked);
        let batch = plan(commands, &asked.ground, &knowledge, self.clock.now_us());
        let row = write(asked.ground.position, commands, &batch).fetch_one(&mut *transaction).await?;
        if !reply(&row)?.done {
            return Err(sqlx::Error::Protocol("the ledger moved under its lock".to_owned()));
        }
        transaction.commit().await?;
        Ok(batch)
    }

    fn answer(&mut self, commands: Vec<Pending>, batch: Batch) -> Vec<Pending> {
        self.committed.send_if_modified(|last| raise(last, batch.ground.position));
        self.ground = Some(batch.ground);
        let mut waiting = Vec::new();
        for (command, verdict) in commands.into_iter().zip(batch.verdicts) {
            if let (Verdict::Place(receipt), Expected::Any) = (&verdict, command.expected) {
                if self.logs.len() >= LOGS {
                    self.logs.clear();
                }
                self.logs.insert(command.stream(), receipt.sequence);
            }
            let refusal = verdict.refusal(&command);
            let answer = match (verdict, refusal) {
                (_, Some(error)) => Err(error),
                (Verdict::Place(receipt), None) => Ok(Answer::Placed(receipt)),
                (Verdict::KeyKnown, None) => Ok(Answer::KeyKnown),
                _ => {
                    waiting.push(command);
                    continue;
                }
            };
            // Who asked may have given up waiting.
            let _unheard = command.answer.send(answer);
        }
        waiting
    }
}

fn knowledge(commands: &[Pending], asked: &Reply) -> Knowledge {
    let streams = commands.iter().map(Pending::stream);
    let keyed = commands.iter().enumerate().filter(|(_, command)| command.command.is_some());
    Knowledge {
        sequences: streams.zip(asked.sequences.iter().copied()).collect(),
        known_keys: keyed.zip(&asked.known).filter(|(_, known)| **known).map(|((place, _), _)| place).collect(),
    }
}

fn fail(command: Pending, error: &LedgerError) {
    let detail = error.to_string();
    let error = match error.is_unavailable() {
        true => LedgerError::Unavailable { operation: OPERATION, detail },
        false => LedgerError::Failed { operation: OPERATION, detail },
    };
    // Who asked may have given up waiting.
    let _unheard = command.answer.send(Err(error));
}
