//! The embedded engine: regorus' interpreter with strict builtin errors, one prepared clone per decision at a time.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use regorus::rvm::Program;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, LimitError, Value};
use xagent_domain::{CanonicalJson, Digest, EngineIdentity, Entrypoint, Evaluation, FailureClass, Limits, Outcome};

use crate::answer::{bounded, document, failure, undefined};
use crate::bundle::is_test;
use crate::check::SILENT;
use crate::{Bundle, BundleError, ParsedInput, PolicyEngine};

/// Work units between looks at the clock.
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);
/// Idle clones kept per bundle.
const IDLE: usize = 16;
/// The version of the engine that was built in, in its own words.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| Program::new().metadata.compiler_version);

/// A bundle with its compiled engine.
struct Loaded {
    data: Digest,
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

    /// The bounds of an evaluation.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn loaded(&self, bundle: &Digest) -> Option<Arc<Loaded>> {
        self.bundles.read().unwrap_or_else(PoisonError::into_inner).get(bundle).cloned()
    }

    /// What the bundle says to an input that is parsed already.
    pub(crate) fn decide_parsed(&self, bundle: &Digest, entrypoint: &Entrypoint, input: &ParsedInput) -> Outcome {
        self.loaded(bundle).map_or_else(|| missing(bundle), |loaded| self.outcome(&loaded, entrypoint, input))
    }

    fn outcome(&self, loaded: &Loaded, entrypoint: &Entrypoint, input: &ParsedInput) -> Outcome {
        let input = match input.value() {
            Ok(input) => input,
            Err(failure) => return failure,
        };
        let idle = loaded.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut engine = idle.unwrap_or_else(|| loaded.prepared.clone());
        let evaluated = catch_unwind(AssertUnwindSafe(|| {
            engine.set_input(input);
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
                if value == Value::Undefined { undefined() } else { document(&value) }
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
    /// Takes a bundle. Tests are left out.
    fn load(&self, bundle: &Bundle) -> Result<Digest, BundleError> {
        let digest = bundle.digest();
        not_silent(bundle)?;
        let (data, prepared) = (Digest::of(bundle.data().as_bytes()), compile(bundle, false, self.limits)?);
        let loaded = Arc::new(Loaded { data, prepared, idle: Mutex::default() });
        self.bundles.write().unwrap_or_else(PoisonError::into_inner).insert(digest, loaded);
        Ok(digest)
    }

    fn holds(&self, bundle: &Digest) -> bool {
        self.loaded(bundle).is_some()
    }

    /// Each question names its bundle, so there is nothing to do.
    fn enact(&self, _: &Digest) -> Result<(), BundleError> {
        Ok(())
    }

    fn decide(&self, bundle: &Digest, entrypoint: &Entrypoint, input: &CanonicalJson) -> Evaluation {
        let clock = Instant::now();
        let loaded = self.loaded(bundle);
        let decide = |loaded: &Arc<Loaded>| self.outcome(loaded, entrypoint, &ParsedInput::parse(input));
        let outcome = loaded.as_ref().map_or_else(|| missing(bundle), decide);
        Evaluation {
            entrypoint: entrypoint.clone(),
            bundle: *bundle,
            data: loaded.map(|loaded| loaded.data),
            engine: identity("interpreter-strict"),
            limits: self.limits,
            outcome,
            duration_us: u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX),
        }
    }
}

fn missing(bundle: &Digest) -> Outcome {
    failure(FailureClass::BundleMissing, &format!("the bundle {bundle} is not loaded"))
}

/// Bundles that were published before the gate knew them are refused here.
fn not_silent(bundle: &Bundle) -> Result<(), BundleError> {
    let modules = bundle.modules().iter().filter(|(path, _)| !is_test(path));
    let mut calls = modules.flat_map(|(path, text)| SILENT.map(|name| (path, name, text.find(&format!("{name}(")))));
    let found = calls.find_map(|(path, name, at)| at.map(|at| (path, name, at)));
    let Some((path, name, at)) = found else { return Ok(()) };
    let text = bundle.modules().get(path).map_or("", String::as_str);
    let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let why = "is undefined where it fails, which a rule may take for false";
    Err(BundleError::Compile(format!("{path}:{line}: `{name}` {why}: put what it would give into data or input")))
}

/// This engine in one of its modes.
pub(crate) fn identity(mode: &str) -> EngineIdentity {
    EngineIdentity { name: "regorus".to_owned(), version: VERSION.clone(), mode: mode.to_owned() }
}

/// Bounds the time of one evaluation.
pub(crate) fn timer(limits: Limits) -> ExecutionTimerConfig {
    ExecutionTimerConfig { limit: Duration::from_millis(limits.timeout_ms), check_interval: CHECK_INTERVAL }
}

/// An engine with the bundle's modules and data, prepared for evaluation.
pub(crate) fn compile(bundle: &Bundle, with_tests: bool, limits: Limits) -> Result<Engine, BundleError> {
    let failed = |error: anyhow::Error| BundleError::Compile(bounded(&format!("{error:#}")));
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    engine.set_execution_timer_config(timer(limits));
    for (path, text) in bundle.modules().iter().filter(|(path, _)| with_tests || !is_test(path)) {
        engine.add_policy(path.clone(), text.clone()).map_err(failed)?;
    }
    engine.add_data_json(bundle.data()).map_err(failed)?;
    // A first evaluation analyses and schedules the rules, so that clones start prepared.
    let _prepared_whatever_it_says = engine.eval_query("1".to_owned(), false).map_err(failed)?;
    Ok(engine)
}
