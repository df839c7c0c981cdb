//! A run planned by a chat model over the real protocol: refused where it oversteps, it finds another way; and it replays with
//! the model gone.

use serde_json::{Value, json};
use xagent_tests::{ChatServer, Script};

use crate::review::waiting;
use crate::world::{Api, World, until};

pub const KEY: &str = "sk-planner-test-9f1c";
const SCRIPT: &str = include_str!("../data/chat/repo_review.json");
const GOAL: &str = "review this folder and write a report";

/// A world whose server plans with this model.
pub async fn planning(model: &ChatServer, settings: &[(&str, &str)]) -> World {
    let mut world = World::new().await;
    let url = model.url();
    world
        .restart_with(|command| {
            command.env("XAGENT_MODEL_URL", url).env("XAGENT_MODEL_KEY", KEY).env("XAGENT_MODEL", "scripted");
            command.envs(settings.iter().copied());
        })
        .await;
    world
}

/// Starts a run that the model plans.
pub async fn start(api: &Api, world: &World, goal: &str, chat: Value) -> String {
    let body = json!({"agent": "a", "goal": goal, "planner": {"chat": chat}, "workspace": world.workspace});
    api.post("/v1/runs", &body).await.expect(201)["run"].as_str().unwrap().to_owned()
}

/// The facts of a kind among a run's events, in order.
pub async fn facts(api: &Api, run: &str, kind: &str) -> Vec<Value> {
    let events = api.events(run).await;
    events.iter().filter(|event| event["event_type"] == kind).map(|event| event["payload"][kind].clone()).collect()
}

fn folder(world: &World) {
    for (name, text) in
        [("README.md", "# Sample\n"), ("Cargo.toml", "unsafe_code = \"forbid\"\n"), ("AUTHORS", "ann\nbob\n")]
    {
        std::fs::write(world.workspace.join(name), text).unwrap();
    }
    for made in ["review", "scratch"] {
        let _absent = std::fs::remove_dir_all(world.workspace.join(made));
    }
}

/// Approves what the run asks for, and waits for its end.
async fn approved(world: &World, alice: &Api, run: &str) -> Value {
    let approval = alice.run_until(run, "the run waits for an approval", waiting).await;
    let bob = world.api("bob", &["approval:decide"]);
    bob.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await.expect(200);
    alice.run_ended(run).await
}

async fn replays(world: &World, run: &str, ended: &Value) {
    let sequence = ended["sequence"].as_u64().unwrap();
    until("the view has the last event", async || {
        let view = world.views().get(&"default".parse().unwrap(), run).await.unwrap();
        view.filter(|view| view.sequence == sequence).map(drop)
    })
    .await;
    let replay = world.xagent(&["--json", "replay", run]).await;
    let report: Value = serde_json::from_slice(&replay.stdout).unwrap();
    assert!(replay.status.success(), "{report:#}");
    assert_eq!(report["runs"][0]["decided_again"], report["runs"][0]["decisions"]);
    assert_eq!(report["runs"][0]["state"], "identical");
}

async fn check_review(alice: &Api, run: &str, ended: &Value) {
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(ended["state"]["summary"], "the report is in review/report.md");
    let consulted = facts(alice, run, "PlannerConsulted").await;
    assert_eq!(consulted.len(), 11);
    let tokens: u64 = consulted.iter().map(|made| made["tokens"].as_u64().unwrap()).sum();
    assert_eq!((tokens, &ended["state"]["spent"]["tokens"]), (10_919, &json!(tokens)));
    assert!(consulted.iter().all(|made| made["exchange"]["model"] == "scripted" && made["exchange"]["attempts"] == 1));
    let tools = &consulted[0]["exchange"]["tools"];
    assert_eq!(tools["text"], Value::Null, "what is offered stands once, apart");
    assert!(consulted.iter().all(|made| made["exchange"]["tools"]["digest"] == tools["digest"]));

    let proposed = facts(alice, run, "ToolCallProposed").await;
    let labels: Vec<&str> = proposed.iter().map(|call| call["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["1.1", "2.1", "2.2", "2.3", "3.1", "4.1", "5.1", "6.1", "7.1", "8.1", "9.1", "10.1"]);
    let decided = facts(alice, run, "DecisionMade").await;
    let denied = |made: &&Value| made["allow"] == false && made["obligations"] == json!([]);
    let denied: Vec<&Value> = decided.iter().filter(denied).map(|made| &made["deny"][0]["code"]).collect();
    assert_eq!(denied, ["path_outside_workspace", "network_blocked"]);
    assert_eq!(facts(alice, run, "ToolCallStarted").await.len(), 10);
    let events = alice.events(run).await;
    let traces: Vec<&str> = events
        .iter()
        .filter(|event| event["metadata"]["actor"] == "system:worker")
        .map(|event| event["metadata"]["traceparent"].as_str().unwrap())
        .collect();
    let distinct: std::collections::BTreeSet<&str> = traces.iter().copied().collect();
    assert!(traces.iter().all(|trace| trace.len() == 55), "{traces:?}");
    assert!((11..=13).contains(&distinct.len()), "a step is one trace, but for what waited for a person: {distinct:?}");
    let sub_goals = facts(alice, run, "GoalSet").await;
    assert_eq!((sub_goals.len(), &sub_goals[1]["parent"]), (2, &sub_goals[0]["goal"]));
    assert_eq!(facts(alice, run, "GoalAchieved").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_reviews_a_folder_finds_another_way_and_replays_when_it_is_gone() {
    let model = ChatServer::start(Script::parse(SCRIPT).unwrap()).await;
    let world = planning(&model, &[]).await;
    let alice = world.everything("alice");
    let mut runs = Vec::new();
    for stream in [false, true] {
        folder(&world);
        let run = start(&alice, &world, GOAL, json!({"stream": stream, "temperature": 0.2})).await;
        let ended = approved(&world, &alice, &run).await;
        check_review(&alice, &run, &ended).await;
        runs.push((run, ended));
    }
    let requests = model.requests();
    assert_eq!(requests.len(), 22);
    assert!(requests.iter().all(|request| request.authorization.as_deref() == Some(&format!("Bearer {KEY}"))));
    assert_eq!((&requests[0].body["temperature"], &requests[11].body["stream"]), (&json!(0.2), &json!(true)));
    for (run, _) in &runs {
        assert!(!alice.events(run).await.iter().any(|event| event.to_string().contains(KEY)), "the key is recorded");
    }
    model.stop().await;
    for (run, ended) in &runs {
        replays(&world, run, ended).await;
    }

    // The recorded replies plan another run, as long as it sees the same; where it does not, it says so.
    let recorded =
        json!({"agent": "a", "goal": GOAL, "planner": {"recorded": {"run": runs[0].0}}, "workspace": world.workspace});
    folder(&world);
    let again = alice.post("/v1/runs", &recorded).await.expect(201)["run"].as_str().unwrap().to_owned();
    let ended = approved(&world, &alice, &again).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let perceived = async |run: &str| -> Vec<Value> {
        facts(&alice, run, "PlannerConsulted").await.iter().map(|made| made["perceived"].clone()).collect()
    };
    assert_eq!(perceived(&again).await, perceived(&runs[0].0).await);
    replays(&world, &again, &ended).await;
    let strayed = alice.post("/v1/runs", &recorded).await.expect(201)["run"].as_str().unwrap().to_owned();
    let ended = alice.run_ended(&strayed).await;
    assert_eq!(ended["status"], "failed");
    assert!(ended["state"]["summary"].as_str().unwrap().contains("step 2 sees something else"), "{ended:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_follows_a_planned_run_on_the_command_line() {
    let script = json!({"rules": [
        {"when": {"turn": 0}, "reply": {"calls": [{"name": "list_files", "arguments": {}}, {"name": "no_such"}], "usage": [40, 8]}},
        {"when": {"turn": 1}, "reply": {"content": "There is nothing.", "usage": [60, 4]}},
    ]});
    let model = ChatServer::start(Script::of(script)).await;
    let world = planning(&model, &[]).await;
    let workspace = world.workspace.to_str().unwrap();
    let arguments =
        ["run", "look around", "--model", "m", "--model-url", &model.url(), "--workspace", workspace, "--stream"];
    let told = world.xagent(&arguments).await;
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{text} {}", String::from_utf8_lossy(&told.stderr));
    for line in [
        "step 1  40 tokens in, 8 out,",
        ": list_files, no_such\n",
        "unfit    /tool: there is no tool `no_such`; see GET /v1/tools\n",
        "allowed  succeeded,",
        "step 2  60 tokens in, 4 out,",
        ": the end\n",
        "  achieved  There is nothing.\n",
        "is completed: There is nothing.\n",
    ] {
        assert!(text.contains(line), "`{line}` is missing in:\n{text}");
    }
    let told = world.xagent(&[&["--json"], &arguments[..]].concat()).await;
    let said: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&said["status"], &said["tokens"], &said["steps"]), (&json!("completed"), &json!(112), &json!(2)));
    let elsewhere =
        ["run", "look around", "--model", "m", "--model-url", "http://127.0.0.1:1/v1", "--workspace", workspace];
    let told = world.xagent(&elsewhere).await;
    let error = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(2));
    assert!(error.contains("/planner/chat/url") && error.contains("this server asks models at"), "{error}");
}
