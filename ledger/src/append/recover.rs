//! What the appender does where a batch did not simply go in: it asks where everything is and commits there, finds out what
//! became of batches whose answer was lost, and keeps one bad command from failing its neighbours.

use std::time::Instant;

use futures::StreamExt;

use super::appender::{Appender, Flights, Landed, outcome};
use super::batch::{Batch, Knowledge};
use super::link::out_of_turn;
use super::statement::Answers;
use super::{OPERATION, Pending, Stream};
use crate::{LedgerError, measured};

impl Appender {
    /// Deals with a batch that did not land well, and with all that was planned to follow on it. Nothing of what follows is
    /// in where it is not: each batch goes in on the tree of the one before, and on no other.
    pub(super) async fn recover(&mut self, first: Landed, flights: &mut Flights, next: Batch) -> Batch {
        let mut landed = vec![first];
        while let Some(following) = flights.next().await {
            landed.push(following);
        }
        // What is in proves that all before it is, too.
        let known = landed.iter().rposition(|landed| matches!(landed.written, Ok(true))).map_or(0, |last| last + 1);
        let open = landed.split_off(known);
        let mut waiting: Vec<_> = landed.into_iter().flat_map(|landed| self.answer(landed.batch)).collect();
        let left = match open.iter().any(is_lost) {
            true => self.find_out(open.into_iter().map(|landed| landed.batch).collect(), waiting).await,
            false => {
                self.crowded |= open.first().is_some_and(|landed| matches!(landed.written, Ok(false)));
                waiting.extend(open.into_iter().flat_map(|landed| landed.batch.commands));
                self.settle(waiting).await
            }
        };
        self.plan(left.into_iter().chain(next.commands).collect())
    }

    /// How many of the batches went in is unknown: their leaves tell, each of them. A part of another process' batch may be
    /// the same, place and time included, where a client turned to that one and the ledger's clock stands. What is not in is
    /// committed under the very lock it was found missing under, since the server may yet come to it.
    async fn find_out(&mut self, batches: Vec<Batch>, mut waiting: Vec<Pending>) -> Vec<Pending> {
        self.lose_ground();
        self.link.hang_up();
        let commands: Vec<_> = batches.iter().flat_map(|batch| &batch.commands).chain(&waiting).collect();
        let streams = streams(&commands);
        let found = async {
            let held = self.link.ask(&streams, &commands).await?;
            Ok::<_, LedgerError>((self.count_in(&batches).await?, held))
        };
        let (count, held) = match found.await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(error = %error, "ledger.append.lost");
                self.link.hang_up();
                let commands = batches.into_iter().flat_map(|batch| batch.commands).chain(waiting);
                let lost = LedgerError::Unavailable { operation: OPERATION, detail: error.detail() };
                return fail_all(commands.collect(), &lost);
            }
        };
        self.learn(&streams, &commands, held);
        let mut batches = batches.into_iter();
        for batch in batches.by_ref().take(count) {
            tracing::info!(position = batch.ground.position, "ledger.append.found");
            waiting.extend(self.answer(batch));
        }
        waiting.extend(batches.flat_map(|batch| batch.commands));
        self.settle_held(waiting).await
    }

    /// How many of the batches are in, which is so many of the first ones.
    async fn count_in(&mut self, batches: &[Batch]) -> Result<usize, LedgerError> {
        for (count, batch) in batches.iter().enumerate() {
            let leaves = self.link.leaves(batch.after.position, batch.ground.position).await?;
            if !leaves.into_iter().eq(batch.events.iter().map(|event| event.leaf_hash)) {
                return Ok(count);
            }
        }
        Ok(batches.len())
    }

    /// Asks where everything is and commits there, under the lock all the while; gives back what has to wait.
    pub(super) async fn settle(&mut self, commands: Vec<Pending>) -> Vec<Pending> {
        if commands.is_empty() {
            return commands;
        }
        let asked: Vec<_> = commands.iter().collect();
        let streams = streams(&asked);
        match self.link.ask(&streams, &asked).await {
            Ok(held) => {
                self.learn(&streams, &asked, held);
                self.settle_held(commands).await
            }
            Err(error) => {
                self.lose_ground();
                self.one_by_one(commands, &error).await
            }
        }
    }

    /// Commits commands where everything was just asked for, under the lock; gives back what has to wait.
    async fn settle_held(&mut self, commands: Vec<Pending>) -> Vec<Pending> {
        let mut commands = commands.into_iter();
        let mut batch = self.batch();
        while batch.has_room()
            && let Some(command) = commands.next()
        {
            self.admit(&mut batch, command);
        }
        self.knowledge.keys.clear();
        let written = match batch.events.is_empty() {
            true => self.link.release().await.map(|()| true),
            false => {
                let begin = Instant::now();
                let written = self.link.write(&batch).await;
                measured::sent(outcome(&written), begin.elapsed());
                written
            }
        };
        let error = match written {
            Ok(true) => {
                self.stand_on(&batch);
                return self.answer(batch).into_iter().chain(commands).collect();
            }
            Ok(false) => out_of_turn(),
            Err(error) => error,
        };
        self.lose_ground();
        self.link.hang_up();
        let mut waiting = self.one_by_one(batch.commands, &error).await;
        waiting.extend(commands);
        waiting
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
    fn learn(&mut self, streams: &[Stream], commands: &[&Pending], held: Answers) {
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

    fn lose_ground(&mut self) {
        (self.ground, self.knowledge) = (None, Knowledge::default());
    }
}

/// Whether the server's answer did not come.
fn is_lost(landed: &Landed) -> bool {
    landed.written.as_ref().is_err_and(LedgerError::is_unavailable)
}

/// The streams of commands, each once.
fn streams(commands: &[&Pending]) -> Vec<Stream> {
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
