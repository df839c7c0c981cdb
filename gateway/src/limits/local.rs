//! The same counting as in Redis, for this process alone, while Redis is away.

use std::num::NonZeroUsize;

use lru::LruCache;
use xagent_projections::{Rate, Taken};

/// Principals remembered at most; one that is forgotten begins anew.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// When, of each principal, the last request granted would have come at exactly the rate, in microseconds.
pub struct Local<K>(LruCache<K, u64>);

impl<K: std::hash::Hash + Eq> Default for Local<K> {
    fn default() -> Self {
        Self(LruCache::new(REMEMBERED))
    }
}

impl<K: std::hash::Hash + Eq> Local<K> {
    /// Takes one request at `now_us`, of any clock that goes forward.
    pub fn take(&mut self, who: K, rate: Rate, now_us: u64) -> Taken {
        let interval = rate.interval_us();
        let all = interval.saturating_mul(rate.burst.into());
        let at = self.0.get_or_insert_mut(who, || now_us);
        *at = (*at).max(now_us);
        let granted = *at - now_us + interval <= all;
        *at += if granted { interval } else { 0 };
        let (reset_us, room) = (*at - now_us, all.saturating_sub(*at - now_us));
        let remaining = u32::try_from(room / interval).unwrap_or(u32::MAX);
        Taken { granted: granted.into(), remaining, reset_us, retry_us: interval.saturating_sub(room) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_minute: 60, burst: 3 };

    #[test]
    fn a_burst_is_granted_and_then_one_at_a_time() {
        let mut local = Local::default();
        let granted: Vec<u32> = (0..5).map(|_| local.take("alice", RATE, 1_000).granted).collect();
        assert_eq!(granted, [1, 1, 1, 0, 0]);
        let refused = local.take("alice", RATE, 1_000);
        assert_eq!((refused.remaining, refused.retry_us, refused.reset_us), (0, 1_000_000, 3_000_000));
        assert_eq!(local.take("alice", RATE, 1_001_000).granted, 1);
        assert_eq!(local.take("alice", RATE, 1_001_000).granted, 0);
        assert_eq!(local.take("bob", RATE, 1_000).granted, 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut local = Local::default();
        assert!((0..20_000).all(|number| local.take(number, RATE, 0).granted == 1));
        assert_eq!(local.0.len(), REMEMBERED.get());
    }
}
