//! The rate of a principal, shared by all processes: counted in Redis, or here while Redis is away. Whoever asks often is
//! given several requests at once for a second, so that not each of them costs a round trip.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use lru::LruCache;
use tokio::time::Instant;
use xagent_domain::{Principal, Tenant};
use xagent_projections::{Rate, RateCounters, Taken};

use super::local::Local;

/// How long requests that were taken ahead are good.
const STOCK: Duration = Duration::from_secs(1);
/// Requests taken ahead at most.
const MOST: u32 = 32;
/// Which part of what may come at once that may be.
const PART: u32 = 64;
/// How long Redis is left alone after it gave no answer.
const ALONE: Duration = Duration::from_secs(1);
/// Principals with requests taken ahead.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

type Who = (Tenant, String);

/// The rates in force.
pub struct Rates {
    rate: Option<Rate>,
    counters: RateCounters,
    state: Mutex<State>,
    start: Instant,
}

struct State {
    stocks: LruCache<Who, Stock>,
    local: Local<Who>,
    away_until: Option<Instant>,
}

struct Stock {
    left: u32,
    until: Instant,
    /// How many were taken ahead the last time.
    size: u32,
    seen: Taken,
}

/// Where a principal stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    rate: Rate,
    pub granted: bool,
    remaining: u32,
    reset_us: u64,
    retry_us: u64,
}

impl Rates {
    pub fn new(rate: Option<Rate>, counters: RateCounters) -> Self {
        let state = State { stocks: LruCache::new(REMEMBERED), local: Local::default(), away_until: None };
        Self { rate, counters, state: Mutex::new(state), start: Instant::now() }
    }

    /// Takes one request; none where there is no rate.
    pub async fn take(&self, principal: &Principal) -> Option<Standing> {
        let rate = self.rate?;
        let who = (principal.tenant.clone(), principal.id.clone());
        let (wanted, is_away) = match self.ahead(&who, rate) {
            Ok(taken) => return Some(standing(rate, true, taken)),
            Err(ask) => ask,
        };
        if is_away {
            return Some(self.alone(who, rate));
        }
        match self.counters.take(&who.0, &who.1, rate, wanted).await {
            Ok(taken) => {
                self.keep(who, wanted, taken);
                Some(standing(rate, taken.granted > 0, taken))
            }
            Err(error) => {
                tracing::warn!(error = %error, "rate.counters.away");
                self.state().away_until = Some(Instant::now() + ALONE);
                Some(self.alone(who, rate))
            }
        }
    }

    /// One of those taken ahead; otherwise how many to take now, and whether Redis is to be left alone.
    fn ahead(&self, who: &Who, rate: Rate) -> Result<Taken, (u32, bool)> {
        let now = Instant::now();
        let mut state = self.state();
        let is_away = state.away_until.is_some_and(|until| now < until);
        let Some(stock) = state.stocks.get_mut(who).filter(|stock| now < stock.until) else {
            return Err((1, is_away));
        };
        if stock.left == 0 {
            // All used up in time: twice as many, but a small part of what may come at once.
            let most = (rate.burst / PART).clamp(1, MOST);
            return Err(((stock.size * 2).min(most), is_away));
        }
        stock.left -= 1;
        Ok(Taken { remaining: stock.seen.remaining.saturating_add(stock.left), ..stock.seen })
    }

    fn keep(&self, who: Who, size: u32, taken: Taken) {
        let left = taken.granted.saturating_sub(1);
        let stock = Stock { left, until: Instant::now() + STOCK, size, seen: taken };
        self.state().stocks.put(who, stock);
    }

    fn alone(&self, who: Who, rate: Rate) -> Standing {
        let now_us = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let taken = self.state().local.take(who, rate, now_us);
        standing(rate, taken.granted > 0, taken)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standing(rate: Rate, granted: bool, taken: Taken) -> Standing {
    let Taken { remaining, reset_us, retry_us, .. } = taken;
    Standing { rate, granted, remaining, reset_us, retry_us }
}

impl Standing {
    /// In how many seconds to try again, at least 1.
    pub fn retry_s(&self) -> u64 {
        self.retry_us.div_ceil(1_000_000).max(1)
    }

    /// Tells it in the headers of draft-ietf-httpapi-ratelimit-headers.
    pub fn write(&self, headers: &mut HeaderMap) {
        let Rate { burst, .. } = self.rate;
        let window_s = (self.rate.interval_us() * u64::from(burst)).div_ceil(1_000_000).max(1);
        let policy = format!("\"principal\";q={burst};w={window_s}");
        let now = format!("\"principal\";r={};t={}", self.remaining, self.reset_us.div_ceil(1_000_000));
        for (name, text) in [("ratelimit-policy", policy), ("ratelimit", now)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
}
