//! The life of a key: issued within what its issuer has, good until its time is over or it is taken back.

use uuid::Uuid;

use super::*;
use crate::{CanonicalJson, Content, DecisionId, EngineIdentity, Evaluation, Limits, Outcome, Ruling, Usage};

const NOW: i64 = 1_000_000;

fn key() -> ApiKeyId {
    ApiKeyId::new(Uuid::from_u128(7))
}

fn texts(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

fn grant(scopes: &[&str], roles: &[&str]) -> Box<KeyGrant> {
    Box::new(KeyGrant {
        key: key(),
        name: "ci".to_owned(),
        principal: "alice".to_owned(),
        scopes: texts(scopes),
        roles: texts(roles),
        secret_digest: Digest::of(b"secret"),
        issued_at_us: NOW,
        expires_at_us: NOW + 10,
    })
}

fn revoke() -> ApiKeyAct {
    ApiKeyAct::Revoke { key: key(), reason: "it was in a log".to_owned() }
}

/// A key, by what happened to it, and alice, who has these scopes and roles.
#[derive(Clone, Default)]
struct Given {
    state: ApiKey,
    scopes: BTreeSet<String>,
    roles: BTreeSet<String>,
}

impl Given {
    fn issuer(scopes: &[&str], roles: &[&str]) -> Self {
        Self { scopes: texts(scopes), roles: texts(roles), ..Self::default() }
    }

    fn after(mut self, act: ApiKeyAct) -> Self {
        self.when(act, true).unwrap().iter().for_each(|event| self.state.evolve(event));
        self
    }

    fn when(&self, act: ApiKeyAct, allow: bool) -> Result<Vec<ApiKeyEvent>, Refusal> {
        let (tenant, scopes, roles) = (Tenant::default_tenant(), self.scopes.clone(), self.roles.clone());
        let principal = Principal { id: "alice".to_owned(), tenant, scopes, roles };
        let (name, aggregate, id) = ("api_key.issue".to_owned(), "api_key".to_owned(), key().to_string());
        let intent = Intent { name, principal, aggregate, id, attributes: Default::default() };
        let context = Context::new(NOW, Usage::default());
        let rulings = self.state.inquiries(&act, Some(&intent), &context)?.iter().map(|i| ruling(i, allow)).collect();
        self.state.decide(&Command { act, intent: Some(intent), context, rulings })
    }

    #[track_caller]
    fn then_conflict(&self, act: ApiKeyAct, expected: &str) {
        match self.when(act, true) {
            Err(Refusal::Conflict { code, .. }) => assert_eq!(code, expected),
            other => panic!("{other:?}"),
        }
    }
}

fn ruling(inquiry: &Inquiry, allow: bool) -> Ruling {
    let deny = if allow { "" } else { r#"{"code":"no"}"# };
    let document = format!(r#"{{"allow":{allow},"deny":[{deny}],"obligations":[]}}"#);
    let engine = EngineIdentity { name: "test".to_owned(), version: "1".to_owned(), mode: "test".to_owned() };
    let evaluation = Evaluation {
        entrypoint: inquiry.question.entrypoint(),
        bundle: Digest::of(b"bundle"),
        data: Some(Digest::of(b"{}")),
        engine,
        limits: Limits { timeout_ms: 1 },
        outcome: Outcome::Document(CanonicalJson::recorded(document)),
        duration_us: 1,
    };
    let input = Content::json(inquiry.input.clone()).0;
    Ruling { decision: DecisionId::new(Uuid::from_u128(1)), input, evaluation }
}

#[test]
fn a_key_is_issued_with_the_decision_that_allowed_it() {
    let given = Given::issuer(&["run:read", "tool:*"], &["operator"]);
    let wanted = grant(&["run:read", "tool:read_file"], &["operator"]);
    let events = given.when(ApiKeyAct::Issue(wanted.clone()), true).unwrap();
    assert!(matches!(&events[0], ApiKeyEvent::DecisionMade(made) if made.allow));
    assert_eq!(events[1..], [ApiKeyEvent::ApiKeyIssued(wanted)]);
}

#[test]
fn a_key_grants_nothing_that_its_issuer_does_not_have_even_where_the_law_allows_it() {
    let given = Given::issuer(&["run:read", "tool:read_file"], &["operator"]);
    for (scopes, roles) in
        [(&["run:start"][..], &[][..]), (&["*"], &[]), (&["tool:*"], &[]), (&["tool:x"], &[]), (&[], &["auditor"])]
    {
        given.then_conflict(ApiKeyAct::Issue(grant(scopes, roles)), "key_exceeds_issuer");
    }
    let other = Box::new(KeyGrant { principal: "bob".to_owned(), ..*grant(&[], &[]) });
    given.then_conflict(ApiKeyAct::Issue(other), "key_exceeds_issuer");
    let all = Given::issuer(&["*"], &[]);
    assert!(all.when(ApiKeyAct::Issue(grant(&["run:start", "tool:x", "*"], &[])), true).is_ok());
}

#[test]
fn what_the_law_denies_is_not_issued() {
    let given = Given::issuer(&["*"], &[]);
    assert!(matches!(given.when(ApiKeyAct::Issue(grant(&[], &[])), false), Err(Refusal::Denied(_))));
}

#[test]
fn a_key_is_issued_once() {
    let given = Given::issuer(&["*"], &[]).after(ApiKeyAct::Issue(grant(&[], &[])));
    given.then_conflict(ApiKeyAct::Issue(grant(&[], &[])), "key_issued");
}

#[test]
fn a_key_ends_with_its_time_or_its_revocation_and_stays_revoked() {
    let issued = Given::issuer(&["*"], &[]).after(ApiKeyAct::Issue(grant(&[], &[])));
    assert_eq!(issued.state.status(NOW + 9), Some(KeyStatus::Active));
    assert_eq!(issued.state.status(NOW + 10), Some(KeyStatus::Expired));
    let revoked = issued.after(revoke());
    assert_eq!(revoked.state.status(NOW), Some(KeyStatus::Revoked));
    assert_eq!(revoked.state.revoked(), Some("it was in a log"));
    let again = revoked.when(revoke(), true).unwrap();
    assert!(matches!(again.as_slice(), [ApiKeyEvent::DecisionMade(_)]));
}

#[test]
fn only_what_was_issued_is_revoked() {
    assert!(matches!(Given::issuer(&["*"], &[]).when(revoke(), true), Err(Refusal::NotFound { .. })));
    assert_eq!(ApiKey::default().status(NOW), None);
}

const FIXTURES: [(&str, &str); 2] =
    [("1", include_str!("fixtures/api_key_issued_v1.json")), ("1", include_str!("fixtures/api_key_revoked_v1.json"))];

#[test]
fn events_of_every_version_ever_recorded_are_read_and_written_as_they_were() {
    for (version, recorded) in FIXTURES {
        let recorded = recorded.trim_end();
        let event: ApiKeyEvent = serde_json::from_str(recorded).unwrap();
        assert_eq!(event.event_version(), version, "{recorded}");
        assert_eq!(CanonicalJson::of(&event).unwrap().as_str(), recorded);
    }
}
