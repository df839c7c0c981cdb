//! An example of each event there is. Which ones there are is asked of the domain, so that none can be forgotten: a new one
//! has no example here, and the test that walks them says so.

mod parts;
mod run;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;
use xagent_domain::access::{AccessEvent, RefusedRequests};
use xagent_domain::api_key::{ApiKeyEvent, KeyGrant};
use xagent_domain::bundle::{BundleEvent, Manifest, Publication, Replayed};
use xagent_domain::decision_log::{DecisionLogEvent, Logged};
use xagent_domain::tool::ToolEvent;
use xagent_domain::upstream::{Declaration, Reach, Setting, UpstreamEvent};
use xagent_domain::{Digest, EngineIdentity, Event, Intent};

use crate::tool::registered;
pub use parts::Parts;

/// Events of one kind of aggregate.
pub trait Examples: Event {
    /// An example of the event of this name. Content it refers to that is too large for an event is left in `parts`.
    fn example(name: &str, parts: &mut Parts) -> Self;

    /// An example of each event, in the order the domain lists them.
    fn all(parts: &mut Parts) -> Vec<Self> {
        let example = |name: &&str| {
            let event = Self::example(name, parts);
            assert_eq!(event.event_type(), *name);
            event
        };
        names::<Self>().iter().map(example).collect()
    }
}

/// The names of all events of a kind, as the domain lists them.
pub fn names<E: DeserializeOwned>() -> &'static [&'static str] {
    let Err(Variants(names)) = E::deserialize(Probe).map(drop) else { panic!("it is made of nothing") };
    assert!(!names.is_empty());
    names
}

/// Asked for an enum, it answers with the variants that are asked for.
struct Probe;

#[derive(Debug)]
struct Variants(&'static [&'static str]);

impl fmt::Display for Variants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Variants {}

impl Error for Variants {
    fn custom<T: fmt::Display>(message: T) -> Self {
        panic!("events are enums: {message}")
    }
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Variants;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Variants> {
        Err(Variants(&[]))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Variants> {
        Err(Variants(variants))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

fn unknown(name: &str) -> ! {
    panic!("`{name}` is new: give an example of it here")
}

impl Examples for ToolEvent {
    fn example(name: &str, parts: &mut Parts) -> Self {
        match name {
            "DecisionMade" => Self::DecisionMade(parts.decision()),
            "ToolRegistered" => registered("tool", "é \u{1F600} \"quoted\" \\ \u{7f}"),
            "ToolRetired" => Self::ToolRetired { reason: "worn out".to_owned() },
            other => unknown(other),
        }
    }
}

impl Examples for UpstreamEvent {
    fn example(name: &str, parts: &mut Parts) -> Self {
        match name {
            "DecisionMade" => Self::DecisionMade(parts.decision()),
            "UpstreamDeclared" => {
                let environment = [("TOKEN".to_owned(), Setting::Secret("TOKEN".to_owned()))].into();
                let (program, arguments) = ("/usr/bin/server".to_owned(), vec!["--stdio".to_owned()]);
                let reach = Reach::Stdio { program, arguments, environment };
                let name = "files".to_owned();
                Self::UpstreamDeclared(Box::new(Declaration { name, reach, concurrency: 4, timeout_ms: 1000 }))
            }
            "UpstreamWithdrawn" => Self::UpstreamWithdrawn { reason: "worn out".to_owned() },
            other => unknown(other),
        }
    }
}

impl Examples for AccessEvent {
    fn example(name: &str, parts: &mut Parts) -> Self {
        match name {
            "DecisionMade" => Self::DecisionMade(parts.decision()),
            "CommandRefused" => {
                let principal = parts.principal();
                let (name, aggregate, id) = ("approval.grant".to_owned(), "run".to_owned(), "run_1".to_owned());
                let command = Box::new(Intent { name, principal, aggregate, id, attributes: BTreeMap::default() });
                let (code, message) = ("approval_used".to_owned(), "it was used".to_owned());
                Self::CommandRefused { command, code, message }
            }
            "RequestsRefused" => Self::RequestsRefused {
                refused: vec![RefusedRequests {
                    reason: "expired".to_owned(),
                    credential: "token".to_owned(),
                    kid: Some("key-1".to_owned()),
                    principal: Some("alice".to_owned()),
                    method: "GET".to_owned(),
                    route: "/v1/runs/{run}".to_owned(),
                    remote: "loopback".to_owned(),
                    count: 2,
                    first_us: 1,
                    last_us: 2,
                    trace_id: "0".repeat(32),
                }],
            },
            other => unknown(other),
        }
    }
}

impl Examples for ApiKeyEvent {
    fn example(name: &str, parts: &mut Parts) -> Self {
        let Ok(key) = format!("key_{}", "7".repeat(32)).parse() else { unknown(name) };
        match name {
            "DecisionMade" => Self::DecisionMade(parts.decision()),
            "ApiKeyIssued" => Self::ApiKeyIssued(Box::new(KeyGrant {
                key,
                name: "ci".to_owned(),
                principal: "alice".to_owned(),
                scopes: ["run:read".to_owned()].into(),
                roles: ["operator".to_owned()].into(),
                secret_digest: Digest::of(b"secret"),
                issued_at_us: 1,
                expires_at_us: 2,
            })),
            "ApiKeyRevoked" => Self::ApiKeyRevoked { key, reason: "it was in a log".to_owned() },
            other => unknown(other),
        }
    }
}

impl Examples for DecisionLogEvent {
    fn example(name: &str, parts: &mut Parts) -> Self {
        match name {
            "DecisionMade" => Self::DecisionMade(parts.decision()),
            "DecisionLogged" => {
                let event = parts.large("application/json");
                Self::DecisionLogged(Box::new(Logged { decision_id: "1".to_owned(), path: "a/b".to_owned(), event }))
            }
            other => unknown(other),
        }
    }
}

impl Examples for BundleEvent {
    fn example(name: &str, parts: &mut Parts) -> Self {
        let digest = Digest::of(b"bundle");
        match name {
            "DecisionMade" => Self::DecisionMade(parts.decision()),
            "BundlePublished" => {
                let modules = [("tools.rego".to_owned(), parts.large("text/x-rego"))].into();
                let data = parts.small("{}", "application/json");
                let publication = Some(Publication {
                    revision: "one".to_owned(),
                    roots: vec![String::new()],
                    signed_by: Some("key".to_owned()),
                    lines_covered: 9,
                    lines: 10,
                });
                Self::BundlePublished(Box::new(Manifest { digest, modules, data, tests_passed: 7, publication }))
            }
            "BundleActivated" => {
                Self::BundleActivated { digest, previous: Some(Digest::of(b"previous")), rolled_back: true }
            }
            "ReplayRecorded" => Self::ReplayRecorded(Box::new(Replayed {
                bundle: digest,
                after: 0,
                to: 9,
                engine: EngineIdentity { name: "regorus".to_owned(), version: "1".to_owned(), mode: "m".to_owned() },
                decided: 3,
                undecided: 1,
                engine_changed: 1,
                changes: [("deny-to-allow".to_owned(), 2)].into(),
                report: parts.large("application/json"),
            })),
            "BundleRetired" => Self::BundleRetired { digest, reason: "superseded".to_owned() },
            other => unknown(other),
        }
    }
}
