//! Bounds of live streams, as a server is given them.

use std::time::Duration;

use clap::Args;

use crate::stream::StreamOptions;

/// Bounds of live streams.
#[derive(Args, Clone)]
pub struct StreamArgs {
    /// How long a live stream is silent at most, in seconds: then it gets a heartbeat
    #[arg(long, env = "XAGENT_STREAM_HEARTBEAT_S", default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=300))]
    stream_heartbeat_s: u32,
    /// How long a connection may take nothing of what is sent to it, in seconds: then it is cut off
    #[arg(long, env = "XAGENT_STALL_S", default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=300))]
    stall_s: u32,
    /// Live streams open at once; mind the limit of open files
    #[arg(long, env = "XAGENT_STREAMS", default_value_t = 10_000, value_name = "COUNT")]
    streams: u32,
    /// Memory for the newest events of live streams, in MiB, and again as much for older ones that are asked for
    #[arg(long, env = "XAGENT_STREAM_WINDOW_MIB", default_value_t = 16, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=4096))]
    stream_window_mib: u32,
}

impl StreamArgs {
    pub fn options(&self) -> StreamOptions {
        StreamOptions {
            heartbeat: Duration::from_secs(self.stream_heartbeat_s.into()),
            stall: Duration::from_secs(self.stall_s.into()),
            readers: self.streams as usize,
            window_bytes: self.stream_window_mib as usize * 1024 * 1024,
        }
    }
}
