//! A stock OPA server as the engine.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::runtime::Handle;
use xagent_domain::{CanonicalJson, Digest, EngineIdentity, Entrypoint, Evaluation, FailureClass, Limits, Outcome};
use xagent_policies::answer::failure;
use xagent_policies::{Bundle, BundleError, PolicyEngine};

use crate::archive::{archive, replace};
use crate::ask::Question;

/// Where OPA is, and what bounds it.
#[derive(Clone, Debug)]
pub struct OpaOptions {
    /// For example `http://127.0.0.1:8181`.
    pub url: String,
    /// The file OPA loads its bundle from, kept at the active bundle; none where somebody else hands OPA its bundles.
    pub bundle_file: Option<PathBuf>,
    /// Bounds of a decision.
    pub limits: Limits,
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum OpaError {
    /// The address makes no sense.
    #[error("`{0}` is no address of an OPA server: write it as http://127.0.0.1:8181")]
    Url(String),
    /// The client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Client(String),
}

/// A bundle that was taken.
struct Loaded {
    data: Digest,
    archive: Vec<u8>,
}

/// Asks an OPA server. Bundles reach it through a file, or by ways of its own.
pub struct OpaServer {
    http: Client,
    url: String,
    options: OpaOptions,
    runtime: Handle,
    bundles: RwLock<HashMap<Digest, Arc<Loaded>>>,
    version: RwLock<String>,
}

impl OpaServer {
    /// A client that works on `runtime`. OPA may be away: it is looked for whenever it is asked.
    pub fn new(options: OpaOptions, runtime: Handle) -> Result<Self, OpaError> {
        let parsed = reqwest::Url::parse(&options.url).ok();
        let is_good = parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
        if !is_good {
            return Err(OpaError::Url(options.url));
        }
        let limit = Duration::from_millis(options.limits.timeout_ms);
        let builder = Client::builder().timeout(limit).connect_timeout(limit).redirect(Policy::none()).no_proxy();
        let http = builder.build().map_err(|error| OpaError::Client(error.to_string()))?;
        let url = options.url.trim_end_matches('/').to_owned();
        Ok(Self { http, url, options, runtime, bundles: RwLock::default(), version: RwLock::default() })
    }

    fn loaded(&self, bundle: &Digest) -> Option<Arc<Loaded>> {
        self.bundles.read().unwrap_or_else(PoisonError::into_inner).get(bundle).cloned()
    }

    fn outcome(&self, bundle: &Digest, entrypoint: &Entrypoint, input: &CanonicalJson) -> Outcome {
        let (http, url) = (&self.http, self.url.as_str());
        let mut question = Question { http, url, bundle, entrypoint, input, last: None, version: None };
        let limit = Duration::from_millis(self.options.limits.timeout_ms);
        let answer = self.runtime.block_on(async { tokio::time::timeout(limit, question.answer()).await });
        if let Some(version) = question.version.take() {
            *self.version.write().unwrap_or_else(PoisonError::into_inner) = version;
        }
        let late = || failure(FailureClass::Timeout, &format!("no answer within {} ms", limit.as_millis()));
        answer.unwrap_or_else(|_| question.last.take().unwrap_or_else(late))
    }

    fn identity(&self) -> EngineIdentity {
        let version = self.version.read().unwrap_or_else(PoisonError::into_inner).clone();
        EngineIdentity { name: "opa".to_owned(), version, mode: "server-strict".to_owned() }
    }
}

impl PolicyEngine for OpaServer {
    fn load(&self, bundle: &Bundle) -> Result<Digest, BundleError> {
        let digest = bundle.digest();
        let unwritable = |error: std::io::Error| BundleError::Compile(format!("it cannot be archived: {error}"));
        let loaded =
            Loaded { data: Digest::of(bundle.data().as_bytes()), archive: archive(bundle).map_err(unwritable)? };
        self.bundles.write().unwrap_or_else(PoisonError::into_inner).insert(digest, Arc::new(loaded));
        Ok(digest)
    }

    fn holds(&self, bundle: &Digest) -> bool {
        self.loaded(bundle).is_some()
    }

    fn enact(&self, bundle: &Digest) -> Result<(), BundleError> {
        let (Some(file), Some(loaded)) = (&self.options.bundle_file, self.loaded(bundle)) else { return Ok(()) };
        let path = file.display().to_string();
        replace(file, &loaded.archive).map_err(|error| BundleError::File { path, detail: error.to_string() })
    }

    fn decide(&self, bundle: &Digest, entrypoint: &Entrypoint, input: &CanonicalJson) -> Evaluation {
        let clock = Instant::now();
        let outcome = self.outcome(bundle, entrypoint, input);
        Evaluation {
            entrypoint: entrypoint.clone(),
            bundle: *bundle,
            data: self.loaded(bundle).map(|loaded| loaded.data),
            engine: self.identity(),
            limits: self.options.limits,
            outcome,
            duration_us: u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX),
        }
    }
}
