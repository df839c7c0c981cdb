//! Commands to api keys, and who a key stands for. The ledger is asked each time: what is revoked anywhere is good nowhere.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;
use xagent_domain::api_key::{ApiKey, ApiKeyAct, ApiKeyEvent, KeyGrant, KeyStatus};
use xagent_domain::{ApiKeyId, Principal, Tenant};
use xagent_ledger::{LedgerError, Receipt};

use super::runs::{LONGEST_TEXT, check_text};
use super::{Caller, Commands, Done, Subject};
use crate::api::secret::{Presented, draw};
use crate::{CommandError, InvalidInput};

/// A key is good for a year and a day at most.
const LONGEST_S: u32 = 366 * 24 * 3600;
/// Scopes, or roles, of one key at most.
const MOST: usize = 100;
/// How long the ledger is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Lookups at once of keys that this process has seen good, and of others: who guesses does not get in the way of who knows.
const LOOKUPS: usize = 32;
const STRANGERS: usize = 4;
/// Keys remembered as good once.
const REMEMBERED: usize = 4096;

/// What a key is to be.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// What people call it.
    pub name: String,
    /// Scopes it grants.
    pub scopes: BTreeSet<String>,
    /// Roles it grants.
    pub roles: BTreeSet<String>,
    /// For how long, in seconds.
    pub lifetime_s: u32,
}

/// A key that was issued.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct IssuedKey {
    /// Its id.
    pub key: ApiKeyId,
    /// The key itself. It is shown once: a repetition of the command does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// From when on it is good for nothing, in microseconds since 1970.
    pub expires_at_us: i64,
    /// What is promised.
    pub receipt: Receipt,
}

/// Who comes with a key.
#[derive(Clone, Debug)]
pub struct KeyHolder {
    /// Which key.
    pub key: ApiKeyId,
    /// As whom it acts.
    pub principal: Principal,
    /// From when on it is good for nothing, in microseconds since 1970.
    pub expires_at_us: i64,
}

/// Why a key is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum KeyRefusal {
    /// It does not have the form of a key, or its checksum is wrong.
    #[error("it is not an api key: a character is missing or wrong")]
    Malformed,
    /// There is no such key.
    #[error("it is not known")]
    Unknown,
    /// There is, but this is not its secret. To whoever asks it is the same as an unknown one.
    #[error("it is not known")]
    WrongSecret,
    /// Its time is over.
    #[error("it has expired: issue another one")]
    Expired,
    /// Somebody took it back.
    #[error("it was revoked")]
    Revoked,
    /// The ledger cannot be asked, and without it no key is good.
    #[error("api keys cannot be checked right now: {0}")]
    Away(String),
}

/// Lookups of keys by one process.
pub(super) struct Lookups {
    known: Mutex<HashMap<ApiKeyId, Tenant>>,
    holders: Semaphore,
    strangers: Semaphore,
}

impl Default for Lookups {
    fn default() -> Self {
        Self { known: Mutex::default(), holders: Semaphore::new(LOOKUPS), strangers: Semaphore::new(STRANGERS) }
    }
}

impl Lookups {
    fn slots(&self, key: ApiKeyId) -> &Semaphore {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains_key(&key) { &self.holders } else { &self.strangers }
    }

    fn remember(&self, key: ApiKeyId, tenant: Tenant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, tenant);
    }
}

impl Commands {
    /// Issues a key that acts as its issuer, within what its issuer has.
    pub async fn issue_key(&self, caller: &Caller, wanted: KeyRequest) -> Result<IssuedKey, CommandError> {
        check(&wanted)?;
        let tenant = &caller.principal.tenant;
        let (key, now_us) = (ApiKeyId::new(self.ids.draw()), self.executor.now_us());
        let drawn = draw(tenant, key);
        let grant = KeyGrant {
            key,
            name: wanted.name.clone(),
            principal: caller.principal.id.clone(),
            scopes: wanted.scopes.clone(),
            roles: wanted.roles.clone(),
            secret_digest: drawn.digest,
            issued_at_us: now_us,
            expires_at_us: now_us.saturating_add(i64::from(wanted.lifetime_s) * 1_000_000),
        };
        let credential = if caller.credential.is_some() { "api_key" } else { "token" };
        let attributes = vec![
            ("credential", credential.to_owned()),
            ("lifetime_s", wanted.lifetime_s.to_string()),
            ("name", wanted.name.clone()),
            ("roles", joined(&wanted.roles)),
            ("scopes", joined(&wanted.scopes)),
        ];
        let body = json!({
            "lifetime_s": wanted.lifetime_s, "name": wanted.name, "roles": wanted.roles, "scopes": wanted.scopes,
        });
        let subject = Subject { name: "api_key.issue", id: ApiKey::aggregate_id(tenant, key), attributes, body };
        let act = ApiKeyAct::Issue(Box::new(grant.clone()));
        let executed = self.carry_out::<ApiKey>(caller, subject, act, Vec::new()).await?;
        let issued = executed.events.iter().find_map(|event| match event.event() {
            ApiKeyEvent::ApiKeyIssued(grant) => Some((**grant).clone()),
            ApiKeyEvent::DecisionMade(_) | ApiKeyEvent::ApiKeyRevoked { .. } => None,
        });
        let issued = issued.unwrap_or_else(|| grant.clone());
        let api_key = (issued.key == key).then_some(drawn.text);
        Ok(IssuedKey { key: issued.key, api_key, expires_at_us: issued.expires_at_us, receipt: executed.receipt })
    }

    /// Takes a key of the caller's tenant back, for ever and everywhere.
    pub async fn revoke_key(&self, caller: &Caller, key: ApiKeyId, reason: String) -> Result<Done, CommandError> {
        check_text("/reason", &reason, LONGEST_TEXT)?;
        let id = ApiKey::aggregate_id(&caller.principal.tenant, key);
        let body = json!({"key": key, "reason": reason});
        let subject = Subject { name: "api_key.revoke", id, attributes: vec![("key", key.to_string())], body };
        let executed = self.carry_out::<ApiKey>(caller, subject, ApiKeyAct::Revoke { key, reason }, Vec::new()).await?;
        Ok(Done { receipt: executed.receipt })
    }

    /// The keys of a tenant, the oldest first.
    pub async fn keys(&self, tenant: &Tenant) -> Result<Vec<ApiKey>, CommandError> {
        let ids = self.ledger().aggregate_ids(tenant, "api_key", &format!("{tenant}/key_")).await?;
        let mut keys = Vec::with_capacity(ids.len());
        for id in ids {
            keys.push(self.ledger().load::<ApiKey>(tenant, &id).await?.state);
        }
        Ok(keys)
    }

    /// Whose key this is.
    pub async fn key_holder(&self, text: &str) -> Result<KeyHolder, KeyRefusal> {
        let presented = Presented::parse(text).ok_or(KeyRefusal::Malformed)?;
        let (tenant, key) = (presented.tenant.clone(), presented.key);
        let state = self.key_state(&tenant, key).await?;
        let grant = state.grant().ok_or(KeyRefusal::Unknown)?;
        if !presented.is_secret_of(&grant.secret_digest) {
            return Err(KeyRefusal::WrongSecret);
        }
        self.lookups.remember(key, tenant.clone());
        match state.status(self.executor.now_us()) {
            None => Err(KeyRefusal::Unknown),
            Some(KeyStatus::Revoked) => Err(KeyRefusal::Revoked),
            Some(KeyStatus::Expired) => Err(KeyRefusal::Expired),
            Some(KeyStatus::Active) => {
                let (scopes, roles) = (grant.scopes.clone(), grant.roles.clone());
                let principal = Principal { id: grant.principal.clone(), tenant, scopes, roles };
                Ok(KeyHolder { key, principal, expires_at_us: grant.expires_at_us })
            }
        }
    }

    /// Whether a key that was good is good still.
    pub async fn key_is_good(&self, tenant: &Tenant, key: ApiKeyId) -> Result<bool, KeyRefusal> {
        let state = self.key_state(tenant, key).await?;
        Ok(state.status(self.executor.now_us()) == Some(KeyStatus::Active))
    }

    async fn key_state(&self, tenant: &Tenant, key: ApiKeyId) -> Result<ApiKey, KeyRefusal> {
        let id = ApiKey::aggregate_id(tenant, key);
        let look = async {
            let _slot = self.lookups.slots(key).acquire().await;
            self.ledger().load::<ApiKey>(tenant, &id).await
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(Ok(loaded)) => Ok(loaded.state),
            Ok(Err(error)) => Err(away(&error)),
            Err(_) => Err(KeyRefusal::Away("the ledger gave no answer in time".to_owned())),
        }
    }
}

fn away(error: &LedgerError) -> KeyRefusal {
    tracing::warn!(error = %error, "api_key.lookup.failed");
    KeyRefusal::Away("the ledger gave no answer".to_owned())
}

fn joined(all: &BTreeSet<String>) -> String {
    all.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn check(wanted: &KeyRequest) -> Result<(), InvalidInput> {
    check_text("/name", &wanted.name, 200)?;
    if !(1..=LONGEST_S).contains(&wanted.lifetime_s) {
        let message = format!("a key is good for 1 to {LONGEST_S} seconds, not for {}", wanted.lifetime_s);
        return Err(InvalidInput::new("/lifetime_s", message));
    }
    for (field, texts) in [("/scopes", &wanted.scopes), ("/roles", &wanted.roles)] {
        if texts.len() > MOST {
            return Err(InvalidInput::new(field, format!("{} given: {MOST} at most", texts.len())));
        }
        let fits = |text: &str| (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if let Some(text) = texts.iter().find(|text| !fits(text)) {
            let shown: String = text.chars().take(80).collect();
            let message = format!("`{shown}` is none: 1 to 200 printable ASCII characters without spaces");
            return Err(InvalidInput::new(field, message));
        }
    }
    Ok(())
}
