//! A tool as tests register it: harmless, and run by the client.

use std::collections::BTreeMap;

use serde_json::json;
use xagent_domain::CanonicalJson;
use xagent_domain::run::Executor;
use xagent_domain::tool::{Registration, ToolEvent};

/// The registration of a tool of this name. The description makes it as large as it has to be.
pub fn registration(name: impl Into<String>, description: impl Into<String>) -> Registration {
    Registration {
        name: name.into(),
        description: description.into(),
        schema: CanonicalJson::of(&json!({})).unwrap(),
        output_schema: None,
        executor: Executor::Client,
        risk: "low".to_owned(),
        idempotent: false,
        consequential: false,
        reads_untrusted: false,
        paths: Vec::new(),
        urls: Vec::new(),
        code: BTreeMap::default(),
        trusted_source: false,
        roles: BTreeMap::default(),
        source: None,
    }
}

/// The event of its registration.
pub fn registered(name: impl Into<String>, description: impl Into<String>) -> ToolEvent {
    ToolEvent::ToolRegistered(Box::new(registration(name, description)))
}
