//! The bare engine in both modes: parse, evaluate, write JSON, and nothing else.

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::{Engine, Rc, Value};
use xagent_domain::Entrypoint;
use xagent_policies::Bundle;

use crate::inputs::Input;

fn engine(bundle: &Bundle) -> Engine {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    for (path, text) in bundle.modules().iter().filter(|(path, _)| !path.ends_with("_test.rego")) {
        engine.add_policy(path.clone(), text.clone()).unwrap();
    }
    engine.add_data_json(bundle.data()).unwrap();
    engine
}

fn written(value: &Value) -> usize {
    serde_json::to_string(value).unwrap().len()
}

/// regorus' interpreter in strict mode.
pub fn interpreter(bundle: &Bundle) -> impl FnMut(&Input) -> usize + use<> {
    let (mut engine, rule) = (engine(bundle), Entrypoint::tools().rule());
    move |input| {
        engine.set_input_json(input.text.as_str()).unwrap();
        written(&engine.eval_rule(rule.clone()).unwrap())
    }
}

/// regorus' virtual machine, its program compiled once.
pub fn machine(bundle: &Bundle) -> impl FnMut(&Input) -> usize + use<> {
    let (mut engine, rule) = (engine(bundle), Entrypoint::tools().rule());
    let policy = engine.compile_with_entrypoint(&Rc::from(rule.as_str())).unwrap();
    let program = Compiler::compile_from_policy(&policy, &[rule.as_str()]).unwrap();
    let mut machine = RegoVM::new_with_policy(policy);
    machine.set_strict_builtin_errors(true);
    machine.set_max_instructions(5_000_000);
    machine.load_program(program);
    machine.set_data(engine.get_data()).unwrap();
    move |input| {
        machine.set_input(Value::from_json_str(input.text.as_str()).unwrap());
        written(&machine.execute().unwrap())
    }
}
