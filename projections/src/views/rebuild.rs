//! Rebuilding the views beside the live ones, which serve meanwhile and are replaced in one step.

use std::sync::LazyLock;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use redis::Script;
use xagent_ledger::Ledger;

use super::apply::{Lifetime, Writer};
use super::digest::{digest, keys, live};
use super::store::{LIVE, WRITE, within};
use super::{RunViews, ViewError};
use crate::tables::{Built, TablesDigest, Target, page};

static SWAP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("swap.lua")));

/// Pages that are read at once.
const AHEAD: usize = 2;
const PAGE: u32 = 1000;
/// Times a build is brought to where the live views are before they are replaced.
const ROUNDS: usize = 50;
/// How long views as of a position are kept, in milliseconds.
const KEPT_MS: i64 = 24 * 3_600_000;
/// What ends within so many milliseconds is not compared: it may end meanwhile.
const MARGIN_MS: i64 = 15 * 60_000;
/// Keys dropped at once.
const DROPPED: usize = 1000;

/// Rebuilds the views in Redis.
pub struct ViewsRebuild {
    ledger: Ledger,
    views: RunViews,
}

impl ViewsRebuild {
    /// From `ledger`, beside the live `views`.
    pub fn new(ledger: Ledger, views: RunViews) -> Self {
        Self { ledger, views }
    }

    /// Builds; tells the last position wanted and how far it is after each page.
    pub async fn run(&self, target: Target, told: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<Built, ViewError> {
        let lease = self.ledger.lease("rebuild/redis").await?.ok_or(ViewError::Busy)?;
        let head = self.ledger.head().await?.position;
        let built = match target {
            Target::Live => self.live(head, told).await,
            Target::At(wanted) if wanted > head => Err(ViewError::Ahead { wanted, head }),
            Target::At(wanted) => {
                let until = Lifetime::Until(self.now_ms() + KEPT_MS);
                self.build(&format!("at{wanted}"), until, wanted, told).await
            }
            Target::Check => self.check(told).await,
        };
        drop(lease);
        built
    }

    /// Drops views that were built as of a position.
    pub async fn drop_at(&self, position: u64) -> Result<(), ViewError> {
        self.drop_generation(&format!("at{position}")).await
    }

    async fn live(&self, head: u64, told: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<Built, ViewError> {
        let before = live(&mut self.views.redis()).await?;
        let number = before.strip_prefix('g').and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        let name = format!("g{}", number + 1);
        let built = self.build(&name, Lifetime::Recorded, head, told).await?;
        let mut writer = Writer::new(self.views.of_generation(&name), self.ledger.clone(), Lifetime::Recorded);
        let mut at = head;
        for _ in 0..ROUNDS {
            let swapped: (u64, String) = self.swap(&name).await?;
            if swapped.0 <= at {
                self.drop_generation(&before).await?;
                return Ok(built);
            }
            at = writer.catch_up(swapped.0).await?;
        }
        Err(ViewError::Moved)
    }

    async fn swap(&self, name: &str) -> Result<(u64, String), ViewError> {
        let mut call = SWAP.key(LIVE);
        call.arg(name);
        within(WRITE, call.invoke_async(&mut self.views.redis())).await
    }

    async fn check(&self, told: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<Built, ViewError> {
        const NAME: &str = "check";
        let beyond_ms = self.now_ms() + MARGIN_MS;
        let live = digest(&self.views, beyond_ms).await?;
        let built = self.fill(NAME, Lifetime::Recorded, live.position, told).await?;
        let compared = digest(&self.views.of_generation(NAME), beyond_ms).await?;
        self.drop_generation(NAME).await?;
        Ok(Built { schema: None, live: Some(live), ..Built::of(String::new(), compared.position, built, compared) })
    }

    async fn build(
        &self,
        name: &str,
        lifetime: Lifetime,
        to: u64,
        told: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<Built, ViewError> {
        let took = self.fill(name, lifetime, to, told).await?;
        let built: TablesDigest = digest(&self.views.of_generation(name), 0).await?;
        Ok(Built::of(name.to_owned(), to, took, built))
    }

    /// Makes a generation anew and folds all events up to a position into it.
    async fn fill(
        &self,
        name: &str,
        lifetime: Lifetime,
        to: u64,
        told: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<std::time::Duration, ViewError> {
        self.drop_generation(name).await?;
        let begun = Instant::now();
        let mut writer = Writer::new(self.views.of_generation(name), self.ledger.clone(), lifetime);
        let firsts = stream::iter((0..to).step_by(PAGE as usize));
        let mut pages = std::pin::pin!(firsts.map(|after| page(&self.ledger, after, to, PAGE)).buffered(AHEAD));
        let mut position = 0;
        while let Some(events) = pages.try_next().await? {
            let wanted = position + events.len() as u64;
            position = writer.apply(position, &events).await?;
            if position != wanted {
                return Err(ViewError::Moved);
            }
            told(position, to);
        }
        Ok(begun.elapsed())
    }

    /// Its position goes first, so that what is left of it is not taken for whole.
    async fn drop_generation(&self, name: &str) -> Result<(), ViewError> {
        let mut redis = self.views.redis();
        let marker = format!("xagent:views:{name}:position");
        let () = within(WRITE, redis::cmd("DEL").arg(marker).query_async(&mut redis)).await?;
        let keys: Vec<_> = keys(&mut redis, name).await?.into_iter().collect();
        for keys in keys.chunks(DROPPED) {
            let mut unlink = redis::cmd("UNLINK");
            keys.iter().for_each(|key| _ = unlink.arg(&key.text));
            let () = within(WRITE, unlink.query_async(&mut redis)).await?;
        }
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        self.ledger.now_us() / 1000
    }
}
