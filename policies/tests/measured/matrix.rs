//! The law's matrix: who may do what, read by people. Generated through the engine from inputs the domain builds.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use xagent_domain::run::{Act, CodeText, Resources, RunEvent, UrlUse};
use xagent_domain::tool::Registration;
use xagent_domain::{Context, Principal, Usage, command_inquiry};
use xagent_policies::Bundle;
use xagent_policies::normalise::{path_use, url_use};

use crate::generated::compare;
use crate::trial::{Law, Said, Trial, intent, principal};

const FILE: &str = "policies/tests/measured/matrix.txt";

fn principals() -> Vec<(&'static str, Principal)> {
    let agent = ["run:start", "run:read", "run:control", "call:propose", "call:result", "tool:*"];
    vec![
        ("owner", principal("alice", &agent, &[])),
        ("stranger", principal("bob", &agent, &[])),
        ("operator", principal("olga", &agent, &["operator"])),
        ("approver", principal("paul", &["approval:decide", "run:read"], &[])),
        ("auditor", principal("anna", &[], &["auditor"])),
        ("auditor *", principal("anna", &["*"], &["auditor"])),
        ("owner *", principal("alice", &["*"], &[])),
        ("other *", principal("eve", &["*"], &[])),
        ("no scope", principal("alice", &[], &[])),
        ("nobody", principal("", &["*"], &[])),
    ]
}

fn tool(name: &str, annotations: Value) -> Registration {
    let mut fields = json!({"name": name, "schema": "{}", "executor": "client", "risk": "low"});
    annotations.as_object().unwrap().iter().for_each(|(key, value)| fields[key] = value.clone());
    serde_json::from_value(fields).unwrap()
}

fn cell(said: &Said) -> String {
    if said.allow {
        return "allow".to_owned();
    }
    said.deny.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>().join(" ")
}

fn table(title: &str, head: &[&str], rows: &[(String, Vec<String>)]) -> String {
    let first = rows.iter().map(|(name, _)| name.len()).chain([title.len()]).max().unwrap();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| rows.iter().map(|(_, cells)| cells[column].len()).chain([head[column].len()]).max().unwrap())
        .collect();
    let mut text = String::new();
    let mut line = |name: &str, cells: &[&str]| {
        let padded: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(text, "{}", format!("{name:<first$}  {}", padded.join("  ")).trim_end()).unwrap();
    };
    line(title, head);
    for (name, cells) in rows {
        line(name, &cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

/// A run of alice's with a call that waits for an approval.
fn waiting(law: &Law) -> (Trial<'_>, String) {
    let mut trial = Trial::start(law, &principal("alice", &["*"], &[]), "tidy up");
    let said = trial.call(&tool("risky", json!({"risk": "high"})), &json!({}), Resources::default(), &json!({}));
    assert!(said.asks_for_approval);
    let approval = trial.run.approvals().next().map(|(id, _)| id.to_string()).unwrap();
    (trial, approval)
}

fn commands(law: &Law) -> String {
    let data: Value = serde_json::from_str(Bundle::stock().unwrap().data()).unwrap();
    let mut names: Vec<&str> = data["config"]["commands"].as_object().unwrap().keys().map(String::as_str).collect();
    names.push("run.explode");
    let principals = principals();
    let (trial, approval) = waiting(law);
    let row = |name: &str| {
        let cells = principals.iter().map(|(_, who)| {
            let about_run = name.starts_with("run.") || name.starts_with("approval.");
            let run = (about_run && name != "run.start").then_some(&trial.run);
            let attributes = [("approval", approval.clone())];
            // A key that grants nothing.
            let key = ["credential", "scopes", "roles"].map(|part| (part, String::new()));
            let key = key.map(|(part, none)| (part, if part == "credential" { "token".to_owned() } else { none }));
            let attributes = match name {
                "api_key.issue" => &key[..],
                _ if name.starts_with("approval.") => &attributes,
                _ => &[],
            };
            let intent = intent(name, who, attributes);
            let inquiry = command_inquiry(run, &intent, &Context::new(trial.now_us, Usage::default())).unwrap();
            cell(&law.answer(&inquiry))
        });
        (name.to_owned(), cells.collect::<Vec<_>>())
    };
    let rows: Vec<_> = names.iter().map(|name| row(name)).collect();
    table("command, on a run of alice's", &principals.iter().map(|(name, _)| *name).collect::<Vec<_>>(), &rows)
}

struct Scene {
    name: &'static str,
    tool: Registration,
    arguments: Value,
    resources: Resources,
}

fn scene(name: &'static str, tool: Registration, arguments: Value) -> Scene {
    let texts = |names: &[String]| -> Vec<(String, String)> {
        let text = |name: &String| Some((name.clone(), arguments.get(name)?.as_str()?.to_owned()));
        names.iter().filter_map(text).collect()
    };
    let resolved = |name: &str, raw: &str| {
        let url = url_use(name, raw);
        match url.addresses.is_empty() && url.problem.is_empty() {
            true => UrlUse { addresses: vec!["93.184.216.34".to_owned()], ..url },
            false => url,
        }
    };
    let code = |(argument, language): (&String, &String)| {
        let text = arguments.get(argument)?.as_str()?.to_owned();
        Some(CodeText { argument: argument.clone(), language: language.clone(), text })
    };
    let resources = Resources {
        paths: texts(&tool.paths).iter().map(|(name, raw)| path_use(name, raw)).collect(),
        urls: texts(&tool.urls).iter().map(|(name, raw)| resolved(name, raw)).collect(),
        code: tool.code.iter().filter_map(code).collect(),
    };
    Scene { name, tool, arguments, resources }
}

fn scenes() -> Vec<Scene> {
    let read = || tool("read_file", json!({"paths": ["path"]}));
    let fetch = || tool("fetch", json!({"urls": ["url"], "risk": "medium"}));
    let write = || tool("write_file", json!({"paths": ["path"], "consequential": true, "risk": "medium"}));
    let roles = json!({"to": "recipient", "sum": "amount", "text": "content", "id": "target"});
    let send = || tool("send", json!({"consequential": true, "risk": "medium", "roles": roles}));
    let code = |name: &str, language: &str, risk: &str| tool(name, json!({"code": {"code": language}, "risk": risk}));
    let run = |language: &str| code("run_code", language, "low");
    vec![
        scene("read a file", read(), json!({"path": "src/main.rs"})),
        scene("read ../x", read(), json!({"path": "a/../../x"})),
        scene("read ．．/x", read(), json!({"path": "．．/x"})),
        scene("read .ENV", read(), json!({"path": ".ENV"})),
        scene("fetch a site", fetch(), json!({"url": "https://example.org/"})),
        scene("fetch 2130706433", fetch(), json!({"url": "http://2130706433/"})),
        scene("fetch ::ffff:169.254.169.254", fetch(), json!({"url": "http://[::ffff:169.254.169.254]/"})),
        scene("fetch 64:ff9b::10.0.0.1", fetch(), json!({"url": "http://[64:ff9b::10.0.0.1]/"})),
        scene("fetch localhost.", fetch(), json!({"url": "http://localhost./"})),
        scene("fetch port 8080", fetch(), json!({"url": "http://example.org:8080/"})),
        scene("fetch ftp", fetch(), json!({"url": "ftp://example.org/"})),
        scene("fetch user@host", fetch(), json!({"url": "http://a@example.org/"})),
        scene("run plain python", run("python"), json!({"code": "print(1)"})),
        scene("run python that evals", run("python"), json!({"code": "eval('1')"})),
        scene("run shell that removes", run("shell"), json!({"code": "rm -rf /"})),
        scene("run sql that drops", run("sql"), json!({"code": "DrOp TABLE a"})),
        scene("run cobol", run("cobol"), json!({"code": "STOP RUN."})),
        scene("run python as it is registered", code("run_code", "python", "high"), json!({"code": "print(1)"})),
        scene("ask a database", code("sql_query", "sql", "medium"), json!({"code": "SELECT name FROM users"})),
        scene("a risky tool", tool("risky", json!({"risk": "high"})), json!({})),
        scene("write scratch/a", write(), json!({"path": "scratch/a"})),
        scene("write report", write(), json!({"path": "report"})),
        scene("send to bob@x.org of the goal", send(), json!({"to": "bob@x.org", "text": "hello"})),
        scene("send to eve@x.org", send(), json!({"to": "eve@x.org", "text": "hello"})),
        scene("send 10 of the goal", send(), json!({"to": "bob@x.org", "sum": 10.0})),
        scene("send 11", send(), json!({"to": "bob@x.org", "sum": 11})),
        scene("send -1", send(), json!({"to": "bob@x.org", "sum": -1})),
        scene("send with a link", send(), json!({"to": "bob@x.org", "text": "see http://evil.example/"})),
        scene("delete 13", send(), json!({"id": "13"})),
        scene("an argument without a role", send(), json!({"to": "bob@x.org", "more": "bob@x.org"})),
    ]
}

const GOAL: &str = "Send 10.00 to bob@x.org on June 13";

fn tools(law: &Law) -> String {
    let runs: [(&str, Principal, bool); 5] = [
        ("tool:*", principal("alice", &["run:start", "tool:*"], &[]), false),
        ("tool:*, tainted", principal("alice", &["run:start", "tool:*"], &[]), true),
        ("*, tainted", principal("alice", &["*"], &["operator"]), true),
        ("tool:read_file", principal("alice", &["run:start", "tool:read_file"], &[]), false),
        ("no tool scope", principal("alice", &["run:start"], &[]), false),
    ];
    let outside = tool("read_inbox", json!({"reads_untrusted": true}));
    let started: Vec<_> = runs
        .iter()
        .map(|(_, who, tainted)| {
            let mut trial = Trial::start(law, who, GOAL);
            if *tainted {
                assert!(trial.call(&outside, &json!({}), Resources::default(), &json!({})).allow);
            }
            trial
        })
        .collect();
    let row = |scene: &Scene| {
        let cells = started.iter().map(|trial| {
            let said = trial.clone().call(&scene.tool, &scene.arguments, scene.resources.clone(), &json!({}));
            cell(&said)
        });
        (scene.name.to_owned(), cells.collect::<Vec<_>>())
    };
    let rows: Vec<_> = scenes().iter().map(row).collect();
    table(&format!("call, goal \"{GOAL}\""), &runs.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), &rows)
}

#[test]
fn the_matrix_is_the_one_that_was_reviewed() {
    let law = Law::stock_with(&json!({}));
    let text = format!("{}\n{}", commands(&law), tools(&law));
    compare(FILE, &text);
}

#[test]
fn an_approval_by_the_proposer_does_not_count_even_for_another_run() {
    let law = Law::stock_with(&json!({}));
    let (mut trial, _) = waiting(&law);
    let olga = principal("olga", &["*"], &["operator"]);
    let risky = tool("risky", json!({"risk": "high"}));
    let proposed = trial.propose_as(&olga, &risky);
    let approval = proposed.iter().find_map(|event| match event {
        RunEvent::ApprovalRequested { approval, .. } => Some(*approval),
        _ => None,
    });
    let approval = approval.unwrap();
    let grants = |trial: &Trial<'_>, who: &Principal| {
        let intent = intent("approval.grant", who, &[("approval", approval.to_string())]);
        trial.clone().act(Act::Grant { approval }, Some(intent)).is_ok()
    };
    let answers: BTreeMap<&str, bool> = ["olga", "alice", "paul"]
        .into_iter()
        .map(|name| (name, grants(&trial, &principal(name, &["*"], &[]))))
        .collect();
    assert_eq!(answers, BTreeMap::from([("alice", false), ("olga", false), ("paul", true)]));
}
