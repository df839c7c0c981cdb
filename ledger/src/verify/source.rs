//! Where rows come from: the database or the file of an archived range. A task reads ahead, within a bound, while other
//! cores hash what was read; what comes out is in order.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::inspect::{Checked, inspect};
use super::marks::failed;
use crate::archive::Archive;
use crate::read::{AHEAD, COPYING, Copied, copy};
use crate::{Ledger, LedgerError};

type Ahead = Result<JoinHandle<Vec<Checked>>, LedgerError>;

/// Rows with their leaf hashes, in order. The task behind it ends with it.
pub(super) struct Source {
    ahead: mpsc::Receiver<Ahead>,
    reader: JoinHandle<()>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Source {
    /// The events after position `after`, up to `to`, from the database.
    pub(super) fn database(ledger: &Ledger, after: u64, to: u64) -> Self {
        let (sender, ahead) = mpsc::channel(AHEAD);
        let ledger = ledger.clone();
        let reader = tokio::spawn(async move {
            let checked = |rows| Ok(tokio::task::spawn_blocking(move || inspect(rows)));
            if let Err(error) = copy(&ledger, &Copied { after, to, condition: "" }, &sender, checked).await {
                // Who asked may have stopped listening.
                drop(sender.send(Err(error)).await);
            }
        });
        Self { ahead, reader }
    }

    /// The events of an archived range, from its file.
    pub(super) fn file(archive: Archive) -> Self {
        let (sender, ahead) = mpsc::channel(AHEAD);
        let runtime = tokio::runtime::Handle::current();
        let reader = tokio::task::spawn_blocking(move || {
            let gone = || LedgerError::Failed { operation: COPYING, detail: "nobody listens".to_owned() };
            let send = |ahead| sender.blocking_send(ahead).map_err(|_| gone());
            let read = archive.read(|_, rows| match rows.filter(|rows| !rows.is_empty()) {
                Some(rows) => send(Ok(runtime.spawn_blocking(move || inspect(rows)))),
                None => Ok(()),
            });
            if let Err(error) = read {
                // Who asked may have stopped listening.
                drop(send(Err(error)));
            }
        });
        Self { ahead, reader }
    }

    /// The next rows; nothing at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Checked>>, LedgerError> {
        match self.ahead.recv().await {
            Some(rows) => rows?.await.map(Some).map_err(|error| failed(&error)),
            None => Ok(None),
        }
    }
}
