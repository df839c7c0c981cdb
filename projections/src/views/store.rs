//! The views in Redis: their keys, reading and writing them.
//!
//! A key is `xagent:TENANT:GENERATION:NAME`. One generation is live; a rebuild fills another and puts it in its place.

use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{RedisError, Script};
use serde::de::DeserializeOwned;
use xagent_domain::Tenant;

use super::change::Changes;
use super::{RunView, ViewError};

/// A reader waits this long, then asks the ledger instead.
pub(super) const READ: Duration = Duration::from_millis(250);
pub(super) const WRITE: Duration = Duration::from_secs(2);

/// The name of the live generation; the first one is `g0`.
pub(super) const LIVE: &str = "xagent:views:live";

static APPLY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("apply.lua")));
static GET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("get.lua")));

/// Views read at once.
const AT_ONCE: usize = 500;

/// The short-term views. Cheap to clone.
#[derive(Clone)]
pub struct RunViews {
    redis: ConnectionManager,
    /// None where it is the live one, whichever that is.
    generation: Option<String>,
}

impl RunViews {
    /// Over the Redis server at `url`, which may be away.
    pub fn connect(url: &str) -> Result<Self, ViewError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(WRITE))
            .set_number_of_retries(1);
        let redis = ConnectionManager::new_lazy_with_config(redis::Client::open(url)?, config)?;
        Ok(Self { redis, generation: None })
    }

    /// Another generation of them.
    pub(super) fn of_generation(&self, name: &str) -> Self {
        Self { redis: self.redis.clone(), generation: Some(name.to_owned()) }
    }

    /// The generation, where it is a certain one.
    pub(super) fn generation(&self) -> Option<&str> {
        self.generation.as_deref()
    }

    pub(super) fn redis(&self) -> ConnectionManager {
        self.redis.clone()
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), ViewError> {
        within(WRITE, redis::cmd("PING").query_async::<String>(&mut self.redis())).await.map(drop)
    }

    /// A run, if the view has it.
    pub async fn get(&self, tenant: &Tenant, run: &str) -> Result<Option<RunView>, ViewError> {
        self.one(tenant, &format!("run:{run}")).await
    }

    /// The position up to which every event is in the views.
    pub async fn position(&self) -> Result<u64, ViewError> {
        let names = vec![("views".to_owned(), "position".to_owned())];
        let found = self.texts(WRITE, &names).await?;
        let marker = found.into_iter().next().flatten();
        Ok(marker.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// What a name of a tenant holds.
    pub(super) async fn one<T: DeserializeOwned>(&self, tenant: &Tenant, name: &str) -> Result<Option<T>, ViewError> {
        let found = self.texts(READ, &[(tenant.to_string(), name.to_owned())]).await?;
        let text = found.into_iter().next().flatten();
        text.map(|text| serde_json::from_str(&text).map_err(|e| ViewError::undecodable(name, &e))).transpose()
    }

    /// Texts by tenant and name, in as few round trips as may be.
    pub(super) async fn texts(
        &self,
        patience: Duration,
        names: &[(String, String)],
    ) -> Result<Vec<Option<String>>, ViewError> {
        let mut found = Vec::with_capacity(names.len());
        for names in names.chunks(AT_ONCE) {
            let mut call = GET.key(LIVE);
            call.arg(self.generation.as_deref().unwrap_or_default());
            for (tenant, name) in names {
                call.arg(tenant).arg(name);
            }
            let texts: Vec<Option<String>> = within(patience, call.invoke_async(&mut self.redis())).await?;
            found.extend(texts);
        }
        Ok(found)
    }

    /// Writes changes and moves the position, from and to; false where another writer has moved it.
    pub(super) async fn write(
        &self,
        (from, to): (u64, u64),
        deadline_ms: i64,
        changes: &Changes,
    ) -> Result<bool, ViewError> {
        let mut call = APPLY.key(LIVE);
        call.arg(self.generation.as_deref().unwrap_or_default()).arg(from).arg(to).arg(deadline_ms);
        for argument in changes.arguments() {
            call.arg(argument.as_slice());
        }
        Ok(within(WRITE, call.invoke_async::<u32>(&mut self.redis())).await? == 1)
    }
}

pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, ViewError> {
    Ok(tokio::time::timeout(limit, work).await.map_err(|_| ViewError::Timeout)??)
}
