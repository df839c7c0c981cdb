//! What examples of events are made of.

use serde_json::json;
use xagent_domain::{
    Blob, CanonicalJson, Content, Context, DecisionMade, Digest, EngineIdentity, Entrypoint, Evaluation, INLINE_LIMIT,
    Limits, Obligation, Outcome, Principal, Question, Reason, Tenant, Usage,
};

/// Contents of events, and those of them that are stored apart.
#[derive(Default)]
pub struct Parts {
    /// What is too large for an event.
    pub blobs: Vec<Blob>,
    drawn: u32,
}

impl Parts {
    /// Content that stands in its event.
    pub fn small(&mut self, text: &str, media_type: &str) -> Content {
        let (content, blob) = Content::of(text.to_owned(), media_type);
        assert!(blob.is_none());
        content
    }

    /// Content that is stored apart, another one each time.
    pub fn large(&mut self, media_type: &str) -> Content {
        self.drawn += 1;
        let text = format!("{media_type} {} ", self.drawn).repeat(INLINE_LIMIT / 8);
        let (content, blob) = Content::of(text, media_type);
        self.blobs.extend(blob);
        assert!(content.text.is_none());
        content
    }

    /// A decision on a large input, with everything that one may hold.
    pub fn decision(&mut self) -> Box<DecisionMade> {
        let document = json!({"allow": false, "deny": [], "obligations": []});
        let evaluation = Evaluation {
            entrypoint: Entrypoint::tools(),
            bundle: Digest::of(b"bundle"),
            data: Some(Digest::of(b"data")),
            engine: EngineIdentity { name: "regorus".into(), version: "0.14.1".into(), mode: "strict".into() },
            limits: Limits { timeout_ms: 100 },
            outcome: Outcome::Document(CanonicalJson::of(&document).unwrap()),
            duration_us: 12,
        };
        Box::new(DecisionMade {
            decision: id("dec"),
            question: Question::ToolCall { call: id("call"), approval: Some(id("appr")) },
            context: Context::new(1_790_000_000_000_000, Usage::default()),
            input: self.large("application/json"),
            evaluation,
            allow: false,
            deny: vec![Reason { code: "path".into(), rule: "paths_ok".into(), message: "outside".into() }],
            obligations: vec![Obligation { kind: "approval".into(), reason: "risk".into() }],
        })
    }

    /// Somebody.
    pub fn principal(&self) -> Principal {
        let scopes = ["*".to_owned()].into();
        Principal {
            id: "alice".into(),
            tenant: Tenant::default_tenant(),
            scopes,
            roles: ["operator".to_owned()].into(),
        }
    }
}

/// The id with this prefix; always the same.
pub fn id<I: std::str::FromStr<Err: std::fmt::Debug>>(prefix: &str) -> I {
    format!("{prefix}_{}", "0192".repeat(8)).parse().unwrap()
}
