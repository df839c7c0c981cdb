//! What a server is configured with: flags, then environment `XAGENT_*`, then what `xagent up` left in its folder.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::access::Secret;

/// A server's configuration, complete.
#[derive(Clone)]
pub struct Configuration {
    /// Where Postgres is.
    pub database_url: String,
    /// Where NATS is.
    pub nats_url: String,
    /// Where Redis is.
    pub redis_url: String,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What development tokens are signed with.
    pub secret: Secret,
    /// Folders in which the workspaces of runs must lie.
    pub workspaces: Vec<PathBuf>,
    /// What the tree is signed with: the log's name and a secret seed.
    pub log_name: String,
    /// See [`Configuration::log_name`].
    pub log_key: [u8; 32],
    /// A folder the latest checkpoint is mirrored to.
    pub checkpoint_mirror: Option<PathBuf>,
    /// Bounds of one policy decision, in milliseconds.
    pub policy_timeout_ms: u64,
}
