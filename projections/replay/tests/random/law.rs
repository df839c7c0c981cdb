//! Two bundles that do not agree, held by the engine that serves, and the tools they decide on.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xagent_domain::bundle::Manifest;
use xagent_domain::tool::Registration;
use xagent_domain::{Content, Digest, Inquiry, Limits, Ruling};
use xagent_policies::{Bundle, Embedded, PolicyEngine};

pub const LIMITS: Limits = Limits { timeout_ms: 60_000 };

/// The law of random runs: which of its bundles is in force changes as they go.
pub struct Law {
    engine: Embedded,
    pub bundles: [Digest; 2],
    pub manifests: BTreeMap<Digest, Manifest>,
    pub blobs: BTreeMap<Digest, String>,
    pub tools: Vec<Registration>,
}

impl Law {
    pub fn new() -> Self {
        let stock = Bundle::stock().unwrap();
        let mut data: Value = serde_json::from_str(stock.data()).unwrap();
        data["config"]["free_risks"] = json!(["low"]);
        data["config"]["secret_patterns"] = json!([]);
        let other = Bundle::from_parts(stock.modules().clone(), &data.to_string()).unwrap();
        let engine = Embedded::new(LIMITS);
        let mut law = Self {
            engine,
            bundles: [stock.digest(); 2],
            manifests: BTreeMap::new(),
            blobs: BTreeMap::new(),
            tools: tools(),
        };
        for (place, bundle) in [stock, other].into_iter().enumerate() {
            law.bundles[place] = law.engine.load(&bundle).unwrap();
            law.publish(&bundle);
        }
        assert_ne!(law.bundles[0], law.bundles[1]);
        law
    }

    fn publish(&mut self, bundle: &Bundle) {
        let mut keep = |text: &str| {
            let (content, blob) = Content::of(text.to_owned(), "text/plain");
            self.blobs.extend(blob.map(|blob| (blob.digest, blob.text)));
            content
        };
        let modules = bundle.modules().iter().map(|(path, text)| (path.clone(), keep(text))).collect();
        let (digest, data) = (bundle.digest(), keep(bundle.data()));
        self.manifests.insert(digest, Manifest { digest, modules, data, tests_passed: 0, publication: None });
    }

    /// What a bundle says to a question.
    pub fn ask(&self, bundle: &Digest, inquiry: &Inquiry, decision: &str) -> Ruling {
        let evaluation = self.engine.decide(bundle, &inquiry.question.entrypoint(), &inquiry.input);
        Ruling { decision: decision.parse().unwrap(), input: Content::json(inquiry.input.clone()).0, evaluation }
    }
}

fn tools() -> Vec<Registration> {
    let tool = |name: &str, executor: &str, risk: &str, more: Value| -> Registration {
        let mut fields = json!({"name": name, "schema": "{\"type\":\"object\"}", "executor": executor, "risk": risk});
        more.as_object().unwrap().iter().for_each(|(name, value)| fields[name] = value.clone());
        serde_json::from_value(fields).unwrap()
    };
    vec![
        tool("look", "builtin", "low", json!({"idempotent": true, "reads_untrusted": true, "paths": ["path"]})),
        tool("note", "client", "low", json!({"paths": ["path"]})),
        tool("change", "builtin", "medium", json!({"paths": ["path"]})),
        tool("pay", "client", "high", json!({"consequential": true, "roles": {"amount": "amount", "to": "recipient"}})),
    ]
}
