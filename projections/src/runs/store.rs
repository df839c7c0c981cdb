//! Keys and scripts of the view of runs, and reading it.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{RedisError, Script};
use serde::de::DeserializeOwned;
use xagent_domain::Tenant;

use super::memory::shelved;
use super::{RunView, ViewError};

/// A reader waits this long, then asks the ledger instead.
const READ: Duration = Duration::from_millis(250);
const WRITE: Duration = Duration::from_secs(2);
/// Views of runs that nothing happened to are forgotten after a week; the ledger still has them.
const EXPIRY_S: u64 = 7 * 24 * 3600;
/// Runs kept in a tenant's list.
const LISTED: u32 = 10_000;

/// The position up to which every event is in the view.
const MARKER: &str = "xagent:views:runs:position";

/// Moves the marker and all runs at once, or nothing where the marker is not where the writer thinks.
const APPLY: &str = r"
if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return 0 end
local expiry, listed = ARGV[3], tonumber(ARGV[4])
for i = 5, #ARGV, 7 do
    local key, list, view, started = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local memory, remembered, forgotten = ARGV[i + 4], ARGV[i + 5], ARGV[i + 6]
    if view == '' then redis.call('DEL', key) else redis.call('SET', key, view, 'EX', expiry) end
    if remembered == '' then redis.call('DEL', memory) else redis.call('SET', memory, remembered, 'EX', forgotten) end
    if started ~= '' then
        redis.call('ZADD', list, started, key)
        redis.call('ZREMRANGEBYRANK', list, 0, -listed - 1)
    end
end
redis.call('SET', KEYS[1], ARGV[2])
return 1";

/// The view of runs. Cheap to clone.
#[derive(Clone)]
pub struct RunViews {
    redis: ConnectionManager,
}

/// One run's change on its way into the view.
pub(super) struct Change {
    pub tenant: Tenant,
    pub run: String,
    /// None where the run cannot be folded: then the ledger, which says why, answers for it.
    pub view: Option<RunView>,
    /// Position of its start, where that is among the events.
    pub started: Option<u64>,
}

/// What is kept beside a run, under a key of its own; an empty text is not kept.
pub(super) struct Shelved {
    pub key: String,
    pub text: String,
    pub expiry: Duration,
}

/// What a key holds.
pub(super) async fn get<T: DeserializeOwned>(views: &RunViews, key: &str) -> Result<Option<T>, ViewError> {
    let mut redis = views.redis.clone();
    let text: Option<String> = within(READ, redis::cmd("GET").arg(key).query_async(&mut redis)).await?;
    let undecodable =
        |error: serde_json::Error| ViewError::Undecodable { key: key.to_owned(), detail: error.to_string() };
    text.map(|text| serde_json::from_str(&text).map_err(undecodable)).transpose()
}

impl RunViews {
    /// Over the Redis server at `url`, which may be away.
    pub fn connect(url: &str) -> Result<Self, ViewError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(WRITE))
            .set_number_of_retries(1);
        let redis = ConnectionManager::new_lazy_with_config(redis::Client::open(url)?, config)?;
        Ok(Self { redis })
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), ViewError> {
        let mut redis = self.redis.clone();
        within(WRITE, redis::cmd("PING").query_async::<String>(&mut redis)).await.map(drop)
    }

    /// A run, if the view has it.
    pub async fn get(&self, tenant: &Tenant, run: &str) -> Result<Option<RunView>, ViewError> {
        get(self, &run_key(tenant, run)).await
    }

    /// The position up to which every event is in the view.
    pub async fn position(&self) -> Result<u64, ViewError> {
        let mut redis = self.redis.clone();
        let marker: Option<u64> = within(WRITE, redis::cmd("GET").arg(MARKER).query_async(&mut redis)).await?;
        Ok(marker.unwrap_or(0))
    }

    /// Writes changes and moves the marker from `from` to `to`; false where another writer has moved it.
    pub(super) async fn apply(&self, from: u64, to: u64, changes: &[Change]) -> Result<bool, ViewError> {
        let script = Script::new(APPLY);
        let mut call = script.key(MARKER);
        call.arg(from).arg(to).arg(EXPIRY_S).arg(LISTED);
        for change in changes {
            let memory = shelved(&change.tenant, &change.run, change.view.as_ref())?;
            let view = change.view.as_ref().map(serde_json::to_string).transpose();
            let key = run_key(&change.tenant, &change.run);
            let view = view.map_err(|e| ViewError::Undecodable { key: key.clone(), detail: e.to_string() })?;
            let started = change.started.map(|position| position.to_string()).unwrap_or_default();
            call.arg(key).arg(format!("xagent:{}:runs", change.tenant)).arg(view.unwrap_or_default()).arg(started);
            call.arg(memory.key).arg(memory.text).arg(memory.expiry.as_secs());
        }
        let mut redis = self.redis.clone();
        Ok(within(WRITE, call.invoke_async::<u32>(&mut redis)).await? == 1)
    }
}

fn run_key(tenant: &Tenant, run: &str) -> String {
    format!("xagent:{tenant}:run:{run}")
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, RedisError>>) -> Result<T, ViewError> {
    Ok(tokio::time::timeout(limit, work).await.map_err(|_| ViewError::Timeout)??)
}
