//! regorus' virtual machine: bundles compiled once per entrypoint, one machine per question at a time. For `bulk`, never
//! for a decision that is recorded: the interpreter in strict mode is the authority.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::VmError;
use regorus::rvm::{Program, RegoVM};
use regorus::{CompiledPolicy, Engine, Rc, Value};
use xagent_domain::{Entrypoint, FailureClass, Limits, Outcome};

use crate::answer::{document, failure, undefined};
use crate::embedded::{compile, timer};
use crate::{Bundle, BundleError, ParsedInput};

/// Instructions of one evaluation at most. The stock bundle takes about 2,000.
pub(crate) const MOST_INSTRUCTIONS: usize = 5_000_000;
/// Idle machines kept per entrypoint.
const IDLE: usize = 16;

/// One entrypoint, compiled.
struct Entry {
    policy: CompiledPolicy,
    program: Arc<Program>,
    idle: Mutex<Vec<RegoVM>>,
}

/// A bundle compiled for the machine.
pub(crate) struct Machine {
    limits: Limits,
    instructions: usize,
    data: Value,
    entries: HashMap<Entrypoint, Entry>,
}

/// What the gate and the machine share: `entrypoint` of a prepared engine, compiled. An entrypoint that no module
/// declares is none; functions that do not exist are refused here, where the interpreter meets them only at work.
pub(crate) fn program(
    engine: &mut Engine,
    entrypoint: &Entrypoint,
) -> Result<Option<(CompiledPolicy, Arc<Program>)>, BundleError> {
    let rule = entrypoint.rule();
    let (package, name) = rule.rsplit_once('.').unwrap_or_default();
    let declared = engine.get_policies().unwrap_or_default().iter().any(|module| {
        let text = module.contents();
        text.contains(&format!("package {}", package.trim_start_matches("data."))) && text.contains(name)
    });
    if !declared {
        return Ok(None);
    }
    let failed = |detail: String| BundleError::Compile(format!("{entrypoint}: {detail}"));
    let policy = engine.compile_with_entrypoint(&Rc::from(rule.as_str())).map_err(|e| failed(e.to_string()))?;
    let program = Compiler::compile_from_policy(&policy, &[rule.as_str()]).map_err(|e| failed(e.to_string()))?;
    Ok(Some((policy, program)))
}

impl Machine {
    pub(crate) fn new(bundle: &Bundle, limits: Limits, instructions: usize) -> Result<Self, BundleError> {
        let mut engine = compile(bundle, false, limits)?;
        let mut entries = HashMap::new();
        for entrypoint in [Entrypoint::api(), Entrypoint::tools()] {
            if let Some((policy, program)) = program(&mut engine, &entrypoint)? {
                entries.insert(entrypoint, Entry { policy, program, idle: Mutex::default() });
            }
        }
        Ok(Self { limits, instructions, data: engine.get_data(), entries })
    }

    pub(crate) fn outcome(&self, entrypoint: &Entrypoint, input: &ParsedInput) -> Outcome {
        let Some(entry) = self.entries.get(entrypoint) else {
            return failure(FailureClass::Undefined, &format!("the bundle has no rule {}", entrypoint.rule()));
        };
        let input = match input.value() {
            Ok(input) => input,
            Err(failure) => return failure,
        };
        let idle = entry.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let evaluated = catch_unwind(AssertUnwindSafe(|| {
            let mut machine = idle.map_or_else(|| self.machine(entry), Ok)?;
            machine.set_input(input);
            let value = machine.execute()?;
            Ok((machine, value))
        }));
        // A machine that failed may be in any state: only one that answered is used again.
        match evaluated {
            Ok(Ok((machine, value))) => {
                let mut idle = entry.idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < IDLE {
                    idle.push(machine);
                }
                drop(idle);
                if value == Value::Undefined { undefined() } else { document(&value) }
            }
            Ok(Err(error)) => self.failed(&error),
            Err(_) => failure(FailureClass::EvaluationError, "the engine panicked"),
        }
    }

    fn machine(&self, entry: &Entry) -> Result<RegoVM, VmError> {
        let mut machine = RegoVM::new_with_policy(entry.policy.clone());
        machine.set_strict_builtin_errors(true);
        machine.set_max_instructions(self.instructions);
        machine.set_execution_timer_config(Some(timer(self.limits)));
        machine.load_program(entry.program.clone());
        machine.set_data(self.data.clone())?;
        Ok(machine)
    }

    fn failed(&self, error: &VmError) -> Outcome {
        match error {
            VmError::TimeLimitExceeded { .. } => {
                failure(FailureClass::Timeout, &format!("no answer within {} ms", self.limits.timeout_ms))
            }
            VmError::InstructionLimitExceeded { .. } => {
                failure(FailureClass::InstructionLimit, &format!("no answer within {} instructions", self.instructions))
            }
            other => failure(FailureClass::EvaluationError, &other.to_string()),
        }
    }
}
