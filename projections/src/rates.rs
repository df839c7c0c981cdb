//! Rates of principals, counted for all processes in Redis: the generic cell rate algorithm (ITU-T I.371) in one script.
//! A counter that is lost begins anew: it is no record of anything.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{ErrorKind, RedisError, Script};
use xagent_domain::{Digest, Tenant};

use crate::ViewError;

/// Whoever asks waits this long, then counts for itself.
const PATIENCE: Duration = Duration::from_millis(100);

/// Times in microseconds. `tat` is when the last request granted would have come at exactly the rate; `burst` requests may
/// come before it. The clock is that of Redis: processes need not agree on one.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local granted = math.min(wanted, math.max(0, math.floor((burst * interval - (tat - now)) / interval)))
tat = tat + granted * interval
if granted > 0 then
    redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1000)
end
local room = burst * interval - (tat - now)
return {granted, math.max(0, math.floor(room / interval)), tat - now, math.max(0, interval - room)}";

/// A rate: so many requests a minute in the long run, so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In a minute.
    pub per_minute: u32,
    /// At once.
    pub burst: u32,
}

/// What came of asking for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How many were granted, of those asked for.
    pub granted: u32,
    /// How many would be granted right now.
    pub remaining: u32,
    /// When all of the burst is there again, in microseconds from now.
    pub reset_us: u64,
    /// When one would be granted, in microseconds from now; 0 where one would be now.
    pub retry_us: u64,
}

/// The counters of all processes. Cheap to clone.
#[derive(Clone)]
pub struct RateCounters {
    redis: ConnectionManager,
    take: Script,
}

impl Rate {
    /// Microseconds between two requests at exactly the rate.
    pub fn interval_us(self) -> u64 {
        (60_000_000 / u64::from(self.per_minute.max(1))).max(1)
    }
}

impl RateCounters {
    /// Over the Redis server at `url`, which may be away.
    pub fn connect(url: &str) -> Result<Self, ViewError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let redis = ConnectionManager::new_lazy_with_config(redis::Client::open(url)?, config)?;
        Ok(Self { redis, take: Script::new(TAKE) })
    }

    /// Takes up to `wanted` requests of a principal.
    pub async fn take(&self, tenant: &Tenant, principal: &str, rate: Rate, wanted: u32) -> Result<Taken, ViewError> {
        let mut redis = self.redis.clone();
        let mut call = self.take.key(format!("xagent:{tenant}:rate:{}", Digest::of(principal.as_bytes())));
        call.arg(rate.interval_us()).arg(rate.burst).arg(wanted);
        let said = tokio::time::timeout(PATIENCE, call.invoke_async::<Vec<u64>>(&mut redis)).await;
        match said.map_err(|_| ViewError::Timeout)??.as_slice() {
            [granted, remaining, reset_us, retry_us] => Ok(Taken {
                granted: u32::try_from(*granted).unwrap_or(0),
                remaining: u32::try_from(*remaining).unwrap_or(u32::MAX),
                reset_us: *reset_us,
                retry_us: *retry_us,
            }),
            _ => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "four numbers were expected")).into()),
        }
    }
}
