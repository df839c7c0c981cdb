//! The connection to NATS, the one JetStream stream of all events, and that of checkpoints.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamError, GetStreamError};
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use url::Url;

/// The stream of all events. An event's sequence in it is its position in the ledger.
pub const STREAM: &str = "XAGENT_EVENTS";

/// The stream of checkpoints, apart: the events' sequence is the position.
pub const CHECKPOINTS: &str = "XAGENT_CHECKPOINTS";
/// Where checkpoints are published: each message is a signed note.
pub(crate) const CHECKPOINTS_SUBJECT: &str = "xagent.checkpoints";
/// Checkpoints the stream holds, about a day of a busy ledger; the ledger keeps them all.
const CHECKPOINTS_HELD: i64 = 100_000;

const PATIENCE: Duration = Duration::from_secs(3);

/// NATS, which may be away at any time. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    client: Client,
    context: Context,
}

impl Bus {
    /// Connects in the background to `url`, for example `nats://token@127.0.0.1:4222`.
    pub async fn connect(url: &str) -> Result<Self, async_nats::ConnectError> {
        let mut options = ConnectOptions::new()
            .name("xagent")
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .retry_on_initial_connect();
        if let Some(token) = token(url) {
            options = options.token(token);
        }
        let client = options.connect(url).await?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(PATIENCE);
        Ok(Self { client, context })
    }

    /// Whether the server can be talked to now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The stream, created where it is missing.
    pub(crate) async fn ensured_stream(&self) -> Result<Stream, CreateStreamError> {
        let config = Config {
            name: STREAM.to_owned(),
            subjects: vec!["xagent.events.>".to_owned()],
            description: Some("Every event of the ledger; sequence = position".to_owned()),
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            deny_delete: true,
            allow_direct: true,
            ..Config::default()
        };
        self.context.get_or_create_stream(config).await
    }

    /// The stream of checkpoints, created where it is missing.
    pub(crate) async fn ensured_checkpoints(&self) -> Result<Stream, CreateStreamError> {
        let config = Config {
            name: CHECKPOINTS.to_owned(),
            subjects: vec![CHECKPOINTS_SUBJECT.to_owned()],
            description: Some("The latest signed checkpoints of the ledger; message id = tree size".to_owned()),
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            max_messages: CHECKPOINTS_HELD,
            allow_direct: true,
            ..Config::default()
        };
        self.context.get_or_create_stream(config).await
    }

    /// The stream, if there is one.
    pub async fn stream(&self) -> Result<Stream, GetStreamError> {
        self.context.get_stream(STREAM).await
    }
}

/// The token of a URL that has a user and no password.
fn token(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    (url.password().is_none() && !url.username().is_empty()).then(|| url.username().to_owned())
}
