//! A digest of each view at a position, so that two builds of the same events can be compared.

use std::collections::{BTreeMap, BTreeSet};

use redis::aio::ConnectionManager;
use sha2::{Digest as _, Sha256};
use xagent_domain::Digest;

use super::store::{LIVE, WRITE, within};
use super::{RunViews, ViewError};
use crate::tables::{TableDigest, TablesDigest};

/// Keys looked at in one round trip.
const AT_ONCE: usize = 500;
/// How often a view that moves meanwhile is looked at anew.
const TRIES: usize = 20;
/// The views by the names of their keys.
const VIEWS: [&str; 6] = ["runs", "memories", "live", "approvals", "decisions", "usage"];

fn view(name: &str) -> Option<&'static str> {
    match name {
        "run" => Some("runs"),
        "memory" => Some("memories"),
        "live" => Some("live"),
        "approvals" => Some("approvals"),
        "decisions" => Some("decisions"),
        "usage" => Some("usage"),
        _ => None,
    }
}

/// The digests of the views, all of one position. What ends before `beyond_ms` is left out: it may be gone at any time.
pub(super) async fn digest(views: &RunViews, beyond_ms: i64) -> Result<TablesDigest, ViewError> {
    for _ in 0..TRIES {
        let position = views.position().await?;
        let tables = tables(views, beyond_ms).await?;
        if views.position().await? == position {
            return Ok(TablesDigest { position, unreadable: 0, tables });
        }
    }
    Err(ViewError::Moved)
}

async fn tables(views: &RunViews, beyond_ms: i64) -> Result<BTreeMap<&'static str, TableDigest>, ViewError> {
    let mut redis = views.redis();
    let generation = match views.generation() {
        Some(name) => name.to_owned(),
        None => live(&mut redis).await?,
    };
    let mut building: BTreeMap<_, _> = VIEWS.map(|name| (name, (Sha256::new(), 0))).into();
    let keys: Vec<_> = keys(&mut redis, &generation).await?.into_iter().collect();
    for keys in keys.chunks(AT_ONCE) {
        for (key, value) in keys.iter().zip(values(&mut redis, keys, beyond_ms).await?) {
            let (Some(value), Some((digest, rows))) = (value, view(&key.view).and_then(|it| building.get_mut(it)))
            else {
                continue;
            };
            *rows += value.len() as u64;
            for text in [key.tenant.as_str(), key.rest.as_str()].into_iter().chain(value.iter().map(String::as_str)) {
                digest.update(text.len().to_be_bytes());
                digest.update(text);
            }
        }
    }
    let done = building.into_iter().map(|(name, (digest, rows))| {
        (name, TableDigest { rows, digest: Digest::from_bytes(digest.finalize().into()) })
    });
    Ok(done.collect())
}

/// The name of the live generation.
pub(super) async fn live(redis: &mut ConnectionManager) -> Result<String, ViewError> {
    let name: Option<String> = within(WRITE, redis::cmd("GET").arg(LIVE).query_async(redis)).await?;
    Ok(name.unwrap_or_else(|| "g0".to_owned()))
}

/// A key of a generation, apart; ordered by tenant and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    tenant: String,
    view: String,
    /// All of the name.
    rest: String,
    /// All of the key.
    pub text: String,
}

impl Key {
    fn of(text: String, generation: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ':');
        let (_, tenant, of, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let view = rest.split(':').next().unwrap_or(rest);
        (of == generation).then(|| Self {
            tenant: tenant.to_owned(),
            view: view.to_owned(),
            rest: rest.to_owned(),
            text: text.clone(),
        })
    }

    fn ask(&self, pipeline: &mut redis::Pipeline) {
        match (self.view.as_str(), self.rest.ends_with(":rows")) {
            ("live" | "approvals", true) => pipeline.cmd("HGETALL").arg(&self.text),
            ("live" | "approvals", false) => pipeline.cmd("ZRANGE").arg(&self.text).arg(0).arg(-1).arg("WITHSCORES"),
            ("decisions", _) => pipeline.cmd("LRANGE").arg(&self.text).arg(0).arg(-1),
            ("usage", _) => pipeline.cmd("HGETALL").arg(&self.text),
            _ => pipeline.cmd("MGET").arg(&self.text),
        };
    }
}

/// All keys of a generation, its position but the last of all.
pub(super) async fn keys(redis: &mut ConnectionManager, generation: &str) -> Result<BTreeSet<Key>, ViewError> {
    let (mut cursor, mut found, pattern) = (0_u64, BTreeSet::new(), format!("xagent:*:{generation}:*"));
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000);
        let (next, texts): (u64, Vec<String>) = within(WRITE, scan.query_async(redis)).await?;
        found.extend(texts.into_iter().filter_map(|text| Key::of(text, generation)));
        cursor = next;
        if cursor == 0 {
            return Ok(found);
        }
    }
}

/// What keys hold, as texts in an order of its own; nothing of what ends before `beyond_ms`.
async fn values(
    redis: &mut ConnectionManager,
    keys: &[Key],
    beyond_ms: i64,
) -> Result<Vec<Option<Vec<String>>>, ViewError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("TIME");
    for key in keys {
        pipeline.cmd("PTTL").arg(&key.text);
        key.ask(&mut pipeline);
    }
    let found: Vec<redis::Value> = within(WRITE, pipeline.query_async(redis)).await?;
    let mut found = found.into_iter();
    let (seconds, micros): (i64, i64) =
        redis::from_redis_value(found.next().unwrap_or(redis::Value::Nil)).map_err(redis::RedisError::from)?;
    let now_ms = seconds * 1000 + micros / 1000;
    let mut values = Vec::with_capacity(keys.len());
    while let (Some(ttl), Some(value)) = (found.next(), found.next()) {
        let ttl: i64 = redis::from_redis_value(ttl).map_err(redis::RedisError::from)?;
        let texts: Vec<Option<String>> = redis::from_redis_value(value).map_err(redis::RedisError::from)?;
        let mut texts: Vec<String> = texts.into_iter().flatten().collect();
        // Hashes come in any order: what is compared is fields with their values.
        if keys.get(values.len()).is_some_and(|key| key.view == "usage" || key.rest.ends_with(":rows")) {
            let mut pairs: Vec<_> = texts.chunks(2).map(<[String]>::to_vec).collect();
            pairs.sort();
            texts = pairs.into_iter().flatten().collect();
        }
        values.push((ttl >= 0 && now_ms + ttl > beyond_ms).then_some(texts));
    }
    Ok(values)
}
