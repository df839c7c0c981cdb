//! The embedded engine: regorus' interpreter with strict builtin errors, one prepared clone per decision at a time.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, LimitError, Value};
use xagent_domain::{
    CanonicalJson, Digest, Document, EngineIdentity, Entrypoint, Evaluation, FailureClass, Limits, Outcome,
};

use crate::bundle::is_test;
use crate::{Bundle, BundleError, PolicyEngine};

/// Work units between looks at the clock.
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);
/// Idle clones kept per bundle.
const IDLE: usize = 16;
/// An engine's words are cut to this many characters.
const LONGEST_MESSAGE: usize = 500;

/// A bundle with its compiled engine.
struct Loaded {
    prepared: Engine,
    idle: Mutex<Vec<Engine>>,
}

/// Evaluates bundles in this process.
pub struct Embedded {
    limits: Limits,
    bundles: RwLock<HashMap<Digest, Arc<Loaded>>>,
}

impl Embedded {
    /// An engine that holds no bundle yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, bundles: RwLock::default() }
    }

    /// Takes a bundle. Tests are left out.
    pub fn load(&self, bundle: &Bundle) -> Result<Digest, BundleError> {
        let digest = bundle.digest();
        let prepared = compile(bundle, false, self.limits)?;
        let loaded = Arc::new(Loaded { prepared, idle: Mutex::default() });
        self.bundles.write().unwrap_or_else(PoisonError::into_inner).insert(digest, loaded);
        Ok(digest)
    }

    /// Whether the bundle has been taken.
    pub fn holds(&self, bundle: &Digest) -> bool {
        self.bundles.read().unwrap_or_else(PoisonError::into_inner).contains_key(bundle)
    }

    /// The bounds of an evaluation.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn outcome(&self, bundle: &Digest, entrypoint: &Entrypoint, input: &CanonicalJson) -> Outcome {
        let loaded = self.bundles.read().unwrap_or_else(PoisonError::into_inner).get(bundle).cloned();
        let Some(loaded) = loaded else {
            return failure(FailureClass::BundleMissing, &format!("the bundle {bundle} is not loaded"));
        };
        let idle = loaded.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut engine = idle.unwrap_or_else(|| loaded.prepared.clone());
        let evaluated = catch_unwind(AssertUnwindSafe(|| {
            engine.set_input_json(input.as_str())?;
            engine.eval_rule(entrypoint.rule())
        }));
        // An engine that failed may be in any state: only one that answered is used again.
        match evaluated {
            Ok(Ok(value)) => {
                let mut idle = loaded.idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < IDLE {
                    idle.push(engine);
                }
                drop(idle);
                document(&value)
            }
            Ok(Err(error)) => self.failed(&error, entrypoint),
            Err(_) => failure(FailureClass::EvaluationError, "the engine panicked"),
        }
    }

    fn failed(&self, error: &anyhow::Error, entrypoint: &Entrypoint) -> Outcome {
        let timed_out =
            error.chain().any(|cause| matches!(cause.downcast_ref(), Some(LimitError::TimeLimitExceeded { .. })));
        let text = format!("{error:#}");
        if timed_out || text.contains("execution exceeded time limit") {
            let message = format!("no answer within {} ms", self.limits.timeout_ms);
            return failure(FailureClass::Timeout, &message);
        }
        if text.contains("not a valid rule path") {
            return failure(FailureClass::Undefined, &format!("the bundle has no rule {}", entrypoint.rule()));
        }
        failure(FailureClass::EvaluationError, &text)
    }
}

impl PolicyEngine for Embedded {
    fn decide(&self, bundle: &Digest, entrypoint: &Entrypoint, input: &CanonicalJson) -> Evaluation {
        let clock = Instant::now();
        let outcome = self.outcome(bundle, entrypoint, input);
        Evaluation {
            entrypoint: entrypoint.clone(),
            bundle: *bundle,
            engine: EngineIdentity {
                name: "regorus".to_owned(),
                version: "0.14.1".to_owned(),
                mode: "interpreter-strict".to_owned(),
            },
            limits: self.limits,
            outcome,
            duration_us: u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// An engine with the bundle's modules and data, prepared for evaluation.
pub(crate) fn compile(bundle: &Bundle, with_tests: bool, limits: Limits) -> Result<Engine, BundleError> {
    let failed = |error: anyhow::Error| BundleError::Compile(bounded(&format!("{error:#}")));
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    let (limit, check_interval) = (Duration::from_millis(limits.timeout_ms), CHECK_INTERVAL);
    engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval });
    for (path, text) in bundle.modules().iter().filter(|(path, _)| with_tests || !is_test(path)) {
        engine.add_policy(path.clone(), text.clone()).map_err(failed)?;
    }
    engine.add_data_json(bundle.data()).map_err(failed)?;
    // A first evaluation analyses and schedules the rules, so that clones start prepared.
    let _prepared_whatever_it_says = engine.eval_query("1".to_owned(), false).map_err(failed)?;
    Ok(engine)
}

fn document(value: &Value) -> Outcome {
    if *value == Value::Undefined {
        return failure(FailureClass::Undefined, "the rule has no value for this input");
    }
    let canonical = match CanonicalJson::of(value) {
        Ok(canonical) => canonical,
        Err(error) => return failure(FailureClass::WrongShape, &error.to_string()),
    };
    match serde_json::from_str::<Document>(canonical.as_str()) {
        Ok(document) if document.allow && !document.deny.is_empty() => {
            failure(FailureClass::WrongShape, "allow is true beside deny reasons")
        }
        Ok(_) => Outcome::Document(canonical),
        Err(error) => failure(FailureClass::WrongShape, &error.to_string()),
    }
}

fn failure(class: FailureClass, message: &str) -> Outcome {
    Outcome::Failure { class, message: bounded(message) }
}

fn bounded(message: &str) -> String {
    message.chars().take(LONGEST_MESSAGE).collect()
}
