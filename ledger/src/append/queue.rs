//! Where commands wait for the appender, within bounds.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Inbox, OPERATION, Pending};
use crate::{LedgerError, measured};

/// Commands that may wait.
const COMMANDS: usize = 1024;
/// Kibibytes that may wait.
const KIB: u32 = 64 * 1024;

/// Where commands wait.
pub(crate) struct Queue {
    commands: mpsc::Sender<Pending>,
    room: Arc<Semaphore>,
}

impl Queue {
    /// A queue, and where its commands come out.
    pub(super) fn new() -> (Self, Inbox) {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        (Self { commands, room: Arc::new(Semaphore::new(KIB as usize)) }, inbox)
    }

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
    measured::refused();
    LedgerError::Unavailable { operation: OPERATION, detail: "too many commands are waiting".to_owned() }
}
