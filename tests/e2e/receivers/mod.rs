//! Servers that receive what this system sends out, over the real protocols: strict, scriptable, and away at will.

mod loki;
mod otlp;

pub use loki::{Kept, LokiReceiver, Mood};
pub use otlp::{OtlpReceiver, Seen, text_of};
