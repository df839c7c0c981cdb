//! The api key aggregate: what a key grants, from its issue to its revocation. One stream per key; no secret is in it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::governed::{Command, Governed, Refusal, settle};
use crate::input::command_inquiry;
use crate::{ApiKeyId, Context, Decider, DecisionMade, Digest, Event, Inquiry, Intent, Principal, Tenant};

/// What a key is good for. It acts as the principal that issued it, with these scopes and roles and no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyGrant {
    /// Which key.
    pub key: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// As whom it acts: its issuer. A key of another name could approve what its issuer asks for.
    pub principal: String,
    /// Granted scopes, sorted.
    pub scopes: BTreeSet<String>,
    /// Granted roles, sorted.
    pub roles: BTreeSet<String>,
    /// SHA-256 of its secret of 256 random bits: there is nothing to be guessed that a slower hash would protect.
    pub secret_digest: Digest,
    /// When it was issued, in microseconds since 1970.
    pub issued_at_us: i64,
    /// From when on it is good for nothing, in microseconds since 1970.
    pub expires_at_us: i64,
}

/// A fact about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiKeyEvent {
    /// The law answered.
    DecisionMade(Box<DecisionMade>),
    /// It is good from here on.
    ApiKeyIssued(Box<KeyGrant>),
    /// It is good for nothing from here on.
    ApiKeyRevoked {
        /// Which key.
        key: ApiKeyId,
        /// Why.
        reason: String,
    },
}

impl Event for ApiKeyEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => "DecisionMade",
            Self::ApiKeyIssued(_) => "ApiKeyIssued",
            Self::ApiKeyRevoked { .. } => "ApiKeyRevoked",
        }
    }

    fn event_version(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => DecisionMade::VERSION,
            Self::ApiKeyIssued(_) | Self::ApiKeyRevoked { .. } => "1",
        }
    }
}

/// A key of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    grant: Option<KeyGrant>,
    revoked: Option<String>,
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// It is good.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody took it back.
    Revoked,
}

impl ApiKey {
    /// The stream of a key.
    pub fn aggregate_id(tenant: &Tenant, key: ApiKeyId) -> String {
        format!("{tenant}/{key}")
    }

    /// What it grants, or granted.
    pub fn grant(&self) -> Option<&KeyGrant> {
        self.grant.as_ref()
    }

    /// Why it was revoked.
    pub fn revoked(&self) -> Option<&str> {
        self.revoked.as_deref()
    }

    /// Where it stands at `now_us`; none where it was never issued.
    pub fn status(&self, now_us: i64) -> Option<KeyStatus> {
        let grant = self.grant.as_ref()?;
        Some(match (self.revoked.is_some(), now_us >= grant.expires_at_us) {
            (true, _) => KeyStatus::Revoked,
            (false, true) => KeyStatus::Expired,
            (false, false) => KeyStatus::Active,
        })
    }

    fn consequence(&self, act: &ApiKeyAct, intent: Option<&Intent>) -> Result<Option<ApiKeyEvent>, Refusal> {
        Ok(match act {
            ApiKeyAct::Issue(_) if self.grant.is_some() => {
                return Err(Refusal::conflict("key_issued", "a key of this id was issued before"));
            }
            ApiKeyAct::Issue(grant) => {
                let issuer = intent.map(|intent| &intent.principal);
                let none = || Refusal::conflict("no_issuer", "a key is issued by somebody");
                within(grant, issuer.ok_or_else(none)?)?;
                Some(ApiKeyEvent::ApiKeyIssued(grant.clone()))
            }
            ApiKeyAct::Revoke { key, .. } if self.grant.is_none() => {
                return Err(Refusal::NotFound { what: "api key", id: key.to_string() });
            }
            ApiKeyAct::Revoke { .. } if self.revoked.is_some() => None,
            ApiKeyAct::Revoke { key, reason } => Some(ApiKeyEvent::ApiKeyRevoked { key: *key, reason: reason.clone() }),
        })
    }
}

/// A key grants nothing that its issuer does not have, whatever the law says.
fn within(grant: &KeyGrant, issuer: &Principal) -> Result<(), Refusal> {
    let beyond = |what: String| Refusal::conflict("key_exceeds_issuer", format!("a key cannot grant {what}"));
    if grant.principal != issuer.id {
        return Err(beyond(format!("to act as anybody but its issuer, `{}`", issuer.id)));
    }
    if let Some(scope) = grant.scopes.iter().find(|scope| !issuer.holds_scope(scope)) {
        return Err(beyond(format!("the scope `{scope}`, which its issuer does not have")));
    }
    match grant.roles.iter().find(|role| !issuer.roles.contains(*role)) {
        Some(role) => Err(beyond(format!("the role `{role}`, which its issuer does not have"))),
        None => Ok(()),
    }
}

/// A command to a key.
#[derive(Clone, Debug)]
pub enum ApiKeyAct {
    /// Issue it.
    Issue(Box<KeyGrant>),
    /// Take it back for ever. A second time changes nothing.
    Revoke {
        /// Which.
        key: ApiKeyId,
        /// Why.
        reason: String,
    },
}

impl Governed for ApiKey {
    type Act = ApiKeyAct;

    fn inquiries(&self, _: &ApiKeyAct, intent: Option<&Intent>, context: &Context) -> Result<Vec<Inquiry>, Refusal> {
        intent.map(|intent| command_inquiry(None, intent, context)).into_iter().collect()
    }
}

impl Decider for ApiKey {
    const TYPE: &'static str = "api_key";
    type Command = Command<ApiKeyAct>;
    type Event = ApiKeyEvent;
    type Refusal = Refusal;

    fn decide(&self, command: &Command<ApiKeyAct>) -> Result<Vec<ApiKeyEvent>, Refusal> {
        let inquiries = self.inquiries(&command.act, command.intent.as_ref(), &command.context)?;
        let decisions = settle(command, &inquiries)?;
        let event = self.consequence(&command.act, command.intent.as_ref())?;
        Ok(decisions.into_iter().map(|d| ApiKeyEvent::DecisionMade(Box::new(d))).chain(event).collect())
    }

    fn evolve(&mut self, event: &ApiKeyEvent) {
        match event {
            ApiKeyEvent::DecisionMade(_) => {}
            ApiKeyEvent::ApiKeyIssued(grant) => self.grant = Some((**grant).clone()),
            ApiKeyEvent::ApiKeyRevoked { reason, .. } => self.revoked = Some(reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
