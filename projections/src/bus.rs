//! The connection to NATS and the one JetStream stream of all events.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamError, GetStreamError};
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use url::Url;

/// The stream of all events. An event's sequence in it is its position in the ledger.
pub const STREAM: &str = "XAGENT_EVENTS";

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
