//! A blocking writer whose bytes go to the body of an answer, as fast as the client takes them.

use std::io::{Error, ErrorKind, Write};

use axum::body::Bytes;
use tokio::sync::mpsc;

/// Bytes gathered into one chunk.
const CHUNK: usize = 64 * 1024;

/// Writes into a channel; waits where the client is slow.
pub struct ChannelWriter {
    sender: mpsc::Sender<Result<Bytes, Error>>,
    gathered: Vec<u8>,
}

impl ChannelWriter {
    pub fn new(sender: mpsc::Sender<Result<Bytes, Error>>) -> Self {
        Self { sender, gathered: Vec::with_capacity(CHUNK) }
    }

    /// Breaks the answer off. A client that has gone does not hear of it.
    pub fn fail(&self, why: &str) {
        let _gone = self.sender.blocking_send(Err(Error::other(why.to_owned())));
    }

    fn send(&mut self) -> Result<(), Error> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.gathered, Vec::with_capacity(CHUNK));
        self.sender.blocking_send(Ok(chunk.into())).map_err(|_| ErrorKind::BrokenPipe.into())
    }
}

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= CHUNK {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.send()
    }
}
