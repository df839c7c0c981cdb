//! Live streams: the events of a tenant as they are committed, over SSE and WebSocket, to thousands of readers.
//!
//! `rest` routes here, the composition root starts and ends the feed. Each event is read and rendered once for all readers;
//! a reader is a position and a filter, and holds a handful of events at most.

mod feed;
mod filter;
mod item;
mod open;
mod reader;
mod shelf;
pub mod sse;
mod window;
pub mod ws;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use xagent_commands::Commands;
use xagent_domain::Digest;
use xagent_ledger::Ledger;

use crate::telemetry;
use shelf::Shelf;
use window::Window;

pub use feed::run as feed;
pub use filter::{Filter, Verdict, Wish};
pub use item::Item;

/// Bounds of live streams.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// How long a stream is silent at most.
    pub heartbeat: Duration,
    /// How long a connection may take nothing of what is written to it.
    pub stall: Duration,
    /// Readers at once.
    pub readers: usize,
    /// Bytes of the newest events kept for readers, and again as many of older ones.
    pub window_bytes: usize,
}

/// What all readers share. Cheap to clone.
#[derive(Clone)]
pub struct Streams(Arc<Shared>);

struct Shared {
    commands: Commands,
    options: StreamOptions,
    window: Window,
    shelf: Shelf,
    readers: watch::Sender<usize>,
    stop: CancellationToken,
    /// How often something was seen after which a key may be good no more.
    revocations: AtomicU64,
}

/// A reader's place among the readers; free again when it is dropped.
struct Seat(Streams);

impl Streams {
    /// Streams that end when `stop` is cancelled.
    pub fn new(commands: Commands, options: StreamOptions, stop: CancellationToken) -> Self {
        let window = Window::new(options.window_bytes);
        let shelf = Shelf::new(commands.ledger().clone(), options.window_bytes);
        Self(Arc::new(Shared {
            commands,
            options,
            window,
            shelf,
            readers: watch::Sender::default(),
            stop,
            revocations: AtomicU64::default(),
        }))
    }

    fn ledger(&self) -> &Ledger {
        self.0.commands.ledger()
    }

    /// The bundle in force.
    fn law(&self) -> Option<Digest> {
        self.0.commands.executor().law().active()
    }

    /// A place, where one is left.
    fn seat(&self) -> Option<Seat> {
        let most = self.0.options.readers;
        let taken = self.0.readers.send_if_modified(|count| {
            let free = *count < most;
            *count += usize::from(free);
            free
        });
        telemetry::streams_open(*self.0.readers.borrow());
        taken.then(|| Seat(self.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.0.readers.send_modify(|count| *count -= 1);
        telemetry::streams_open(*self.0.0.readers.borrow());
    }
}
