//! An issuer's keys as this process has them: got in the background, kept through an outage for a bounded time, got again
//! for a key that is not known, but not more often than a bound says, whoever asks.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jsonwebtoken::Algorithm;
use rand::Rng;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::jwks::TrustedKey;
use super::source::{Getter, Place, SourceError};

/// Requests that may wait for a key at once; the others are refused at once.
const WAITING: usize = 32;
/// How long one of them waits.
const PATIENCE: Duration = Duration::from_secs(3);

/// How keys are kept.
#[derive(Clone, Debug)]
pub struct KeyOptions {
    /// Where they come from.
    pub places: Vec<Place>,
    /// How often they are got again.
    pub refresh: Duration,
    /// How soon, at the soonest.
    pub min_gap: Duration,
    /// How long they are good without having been got again.
    pub max_age: Duration,
}

/// The keys. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing(Arc<Shared>);

struct Shared {
    options: KeyOptions,
    getter: Getter,
    held: watch::Sender<Held>,
    wanted: Notify,
    waiting: Semaphore,
}

/// What was got, place by place.
#[derive(Clone, Default)]
struct Held {
    places: Vec<Option<Got>>,
    /// How often all places were asked.
    rounds: u64,
    asked_at: Option<Instant>,
}

#[derive(Clone)]
struct Got {
    keys: Arc<Vec<TrustedKey>>,
    at: Instant,
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// None of ours is such a key.
    Unknown,
    /// Several may be: the token must name one.
    Ambiguous,
    /// What we have is too old to be believed, or we have nothing yet.
    Away,
}

impl KeyRing {
    /// Without keys yet; [`KeyRing::run`] gets them.
    pub fn new(options: KeyOptions) -> Result<Self, SourceError> {
        let held = Held { places: vec![None; options.places.len()], ..Held::default() };
        let (held, waiting) = (watch::Sender::new(held), Semaphore::new(WAITING));
        Ok(Self(Arc::new(Shared { options, getter: Getter::new()?, held, wanted: Notify::new(), waiting })))
    }

    /// Why the keys cannot be used right now, if they cannot.
    pub fn trouble(&self) -> Option<String> {
        let held = self.0.held.borrow();
        let fresh = held.places.iter().flatten().any(|got| got.at.elapsed() <= self.0.options.max_age);
        (!fresh).then(|| "the keys of the token issuer could not be got lately".to_owned())
    }

    /// The key of this algorithm and name. A name that is not known is looked for once more, where that is due.
    pub async fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<TrustedKey, Missing> {
        let mut held = self.0.held.subscribe();
        let (found, rounds) = {
            let now = held.borrow();
            (self.look(&now, algorithm, kid), now.rounds)
        };
        let missing = match found {
            Err(missing @ (Missing::Unknown | Missing::Away)) if self.is_due() => missing,
            other => return other,
        };
        let Ok(_place) = self.0.waiting.try_acquire() else { return Err(missing) };
        self.0.wanted.notify_one();
        let asked = tokio::time::timeout(PATIENCE, held.wait_for(|held| held.rounds > rounds)).await;
        match asked {
            Ok(Ok(held)) => self.look(&held, algorithm, kid),
            Ok(Err(_)) | Err(_) => Err(missing),
        }
    }

    fn look(&self, held: &Held, algorithm: Algorithm, kid: Option<&str>) -> Result<TrustedKey, Missing> {
        let fresh = || held.places.iter().flatten().filter(|got| got.at.elapsed() <= self.0.options.max_age);
        if fresh().next().is_none() {
            return Err(Missing::Away);
        }
        let mut fitting = fresh().flat_map(|got| got.keys.iter()).filter(|key| key.algorithm == algorithm);
        match kid {
            Some(kid) => fitting.find(|key| key.kid.as_deref() == Some(kid)).cloned().ok_or(Missing::Unknown),
            None => match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(only.clone()),
                (Some(_), Some(_)) => Err(Missing::Ambiguous),
                (None, _) => Err(Missing::Unknown),
            },
        }
    }

    /// Whether asking the places again is not too soon.
    fn is_due(&self) -> bool {
        self.0.held.borrow().asked_at.is_none_or(|at| at.elapsed() >= self.0.options.min_gap)
    }

    /// Gets the keys again and again until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut failures = 0_u32;
        loop {
            failures = if self.round().await { 0 } else { failures.saturating_add(1) };
            let pause = self.pause(failures);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.0.wanted.notified() => {
                    // Whoever wants it early waits until it is due.
                    let asked = self.0.held.borrow().asked_at;
                    let due = asked.map_or_else(Instant::now, |at| at + self.0.options.min_gap);
                    tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep_until(due) => {} }
                }
            }
        }
    }

    /// Soon where a place was away, but not sooner than may be, and not all processes at once.
    fn pause(&self, failures: u32) -> Duration {
        let KeyOptions { refresh, min_gap, .. } = self.0.options;
        let base = if failures == 0 { refresh } else { min_gap.saturating_mul(1 << failures.min(8)).min(refresh) };
        base.max(min_gap).mul_f64(rand::rng().random_range(0.9..1.0)).max(min_gap)
    }

    /// Asks all places; true where all answered.
    async fn round(&self) -> bool {
        let options = &self.0.options;
        let answers = join_all(options.places.iter().map(|place| self.0.getter.get(place))).await;
        let mut all = true;
        let at = Instant::now();
        let got: Vec<_> = answers
            .into_iter()
            .map(|answer| match answer {
                Ok(keys) => Some(Got { keys: Arc::new(keys), at }),
                Err(error) => {
                    tracing::warn!(error = %error, "jwks.refresh.failed");
                    all = false;
                    None
                }
            })
            .collect();
        self.0.held.send_modify(|held| {
            for (place, got) in held.places.iter_mut().zip(got) {
                *place = got.or_else(|| place.take());
            }
            held.rounds += 1;
            held.asked_at = Some(at);
        });
        all
    }
}
