//! Tools through the MCP door: listed as the law would have it, called under it, recorded like any other call.

use serde_json::{Value, json};

use crate::world::{Api, LEGACY, World, until, words};

fn names(listed: &Value) -> Vec<&str> {
    listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

/// A run of the caller with a workspace that holds `note.txt`.
async fn run_with_note(world: &World, api: &Api) -> String {
    std::fs::write(world.workspace.join("note.txt"), "hello\n").unwrap();
    let body = json!({"agent": "a", "goal": "g", "workspace": world.workspace});
    api.post("/v1/runs", &body).await.expect(201)["run"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_what_policy_would_let_the_caller_call_in_order() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let all = alice.mcp_result("tools/list", &json!({})).await;
    assert_eq!(
        names(&all),
        ["http_fetch", "list_files", "read_file", "run_code", "search_text", "sql_query", "write_file"]
    );
    assert_eq!(all["tools"], alice.mcp_result("tools/list", &json!({})).await["tools"]);
    assert_eq!(all["tools"][2]["inputSchema"]["type"], "object");
    assert_eq!(all["tools"][2]["annotations"]["readOnlyHint"], true);

    let scopes = ["run:read", "call:propose", "tool:read_file", "tool:list_files"];
    let reader = world.api("reader", &scopes);
    assert_eq!(names(&reader.mcp_result("tools/list", &json!({})).await), ["list_files", "read_file"]);
    let nobody = world.api("nobody", &["run:read", "tool:*"]);
    assert_eq!(names(&nobody.mcp_result("tools/list", &json!({})).await), Vec::<&str>::new());

    let denied = world.api("stranger", &["call:propose"]).mcp("tools/list", &json!({})).await.expect(200);
    assert_eq!(denied["error"]["code"], -32001, "{denied:#}");
    assert_eq!(denied["error"]["data"]["deny"][0]["code"], "missing_scope");
    let wrong = alice.mcp("tools/list", &json!({"cursor": "zz"})).await.expect(200);
    assert_eq!(wrong["error"]["code"], -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_goes_on_behind_its_cursor_and_holds_no_tool_its_client_runs() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let declared = json!({"schema": {"type": "object"}, "executor": "client", "risk": "low"});
    for name in ["a", "z"] {
        let mut tool = declared.clone();
        tool["name"] = json!(name);
        alice.post("/v1/tools", &tool).await.expect(201);
    }
    let first = alice.mcp_result("tools/list", &json!({"cursor": hex("http_fetch")})).await;
    assert_eq!(names(&first).first(), Some(&"list_files"));
    assert!(!names(&first).contains(&"z"), "a tool that its client runs is not called here");
    assert_eq!(first["nextCursor"], Value::Null);
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_joins_the_run_its_client_names_and_is_answered_with_its_outcome() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = run_with_note(&world, &alice).await;
    let read = alice.mcp_call(Some(&run), "read_file", &json!({"path": "note.txt"})).await;
    assert_eq!(read["isError"], false, "{read:#}");
    assert_eq!(read["structuredContent"]["text"], "hello\n");
    assert_eq!(serde_json::from_str::<Value>(words(&read)).unwrap(), read["structuredContent"]);
    assert_eq!(read["_meta"]["xagent/run"], *run);
    for kind in ["ToolCallProposed", "ToolCallStarted", "ToolCallCompleted"] {
        assert_eq!(alice.count(&run, kind).await, 1, "{kind}");
    }
    // The same run by its header, under the protocol with `initialize`.
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "list_files", "arguments": {}}});
    let listed = alice.mcp_post(&call).header("mcp-protocol-version", LEGACY).header("x-agent-run", &run);
    let listed: Value = listed.send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["result"]["structuredContent"]["files"], json!(["note.txt"]), "{listed:#}");
    assert!(world.xagent(&["replay", &run]).await.status.success());

    let missing = alice.mcp_call(Some(&run), "read_file", &json!({"path": "no.txt"})).await;
    assert_eq!(missing["isError"], true);
    assert!(words(&missing).starts_with("`no.txt`"), "{}", words(&missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_the_tools_error_with_reasons_remedy_and_decision() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = run_with_note(&world, &alice).await;
    let refused = alice.mcp_call(Some(&run), "read_file", &json!({"path": "../secret"})).await;
    assert_eq!(refused["isError"], true);
    let decision = refused["_meta"]["xagent/decision"].as_str().unwrap();
    for part in ["Refused by policy", decision, "path_outside_workspace", "What to do: use a path relative", "recorded"]
    {
        assert!(words(&refused).contains(part), "no `{part}` in {}", words(&refused));
    }
    assert_eq!(alice.count(&run, "ToolCallStarted").await, 0);
    let wrong = alice.mcp_call(Some(&run), "read_file", &json!({"file": "x"})).await;
    assert!(words(&wrong).contains("/arguments"), "{}", words(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_tool_called_anyway_is_denied_and_recorded() {
    let world = World::new().await;
    let reader = world.api("reader", &["run:start", "run:read", "call:propose", "tool:list_files", "audit:read"]);
    let refused = reader.mcp_call(None, "run_code", &json!({"language": "python", "code": "1"})).await;
    assert!(words(&refused).contains("missing_tool_scope"), "{}", words(&refused));
    let run = refused["_meta"]["xagent/run"].as_str().unwrap();
    let events = json!(reader.events(run).await).to_string();
    assert!(events.contains("missing_tool_scope"), "{events}");
    assert_eq!(reader.count(run, "ToolCallStarted").await, 0);

    let silent = world.api("silent", &["run:read", "tool:*"]);
    let refused = silent.mcp_call(Some(run), "list_files", &json!({})).await;
    assert!(words(&refused).contains("missing_scope"), "{}", words(&refused));
    let unknown = reader.mcp("tools/call", &json!({"name": "no_such", "arguments": {}})).await.expect(200);
    assert_eq!(unknown["error"]["code"], -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_asked_for_by_id_and_calling_again_gives_its_outcome_once() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = run_with_note(&world, &alice).await;
    alice.mcp_call(Some(&run), "read_file", &json!({"path": "note.txt"})).await;
    let write = json!({"path": "report.md", "content": "done"});
    let asked = alice.mcp_call(Some(&run), "write_file", &write).await;
    let approval = asked["_meta"]["xagent/approval"].as_str().unwrap_or_else(|| panic!("{asked:#}")).to_owned();
    assert_eq!(asked["isError"], true);
    assert!(words(&asked).contains(&approval) && words(&asked).contains("exactly the same arguments"));
    let again = alice.mcp_call(Some(&run), "write_file", &write).await;
    assert_eq!(again["_meta"]["xagent/approval"], *approval, "asking again asks for no second approval");
    assert!(!world.workspace.join("report.md").exists());

    let bob = world.api("bob", &["approval:decide"]);
    bob.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await.expect(200);
    let done = alice.mcp_call(Some(&run), "write_file", &write).await;
    assert_eq!(done["isError"], false, "{done:#}");
    assert_eq!(done["structuredContent"]["bytes"], 4);
    assert_eq!(std::fs::read_to_string(world.workspace.join("report.md")).unwrap(), "done");
    assert_eq!(alice.count(&run, "ToolCallStarted").await, 2);

    let another = alice.mcp_call(Some(&run), "write_file", &write).await;
    let second = another["_meta"]["xagent/approval"].as_str().unwrap_or_else(|| panic!("{another:#}"));
    assert_ne!(second, approval, "an approval is good for one call");
    let refuse = json!({"reason": "once is enough"});
    bob.post(&format!("/v1/approvals/{second}/refuse"), &refuse).await.expect(200);
    let refused = alice.mcp_call(Some(&run), "write_file", &write).await;
    assert!(words(&refused).contains("refused by bob: once is enough"), "{}", words(&refused));
    // Neither outcome is anybody else's to fetch.
    let other = world.api("mallory", &["call:propose", "tool:*"]);
    let denied = other.mcp_call(Some(&run), "write_file", &write).await;
    assert!(words(&denied).contains("not_your_run"), "{}", words(&denied));
    assert!(world.xagent(&["replay", &run]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_without_a_run_share_the_one_open_for_their_client_until_it_is_idle() {
    let mut world = World::new().await;
    let alice = world.everything("alice");
    let of = |result: Value| result["_meta"]["xagent/run"].as_str().unwrap().to_owned();
    let first = of(alice.mcp_call(None, "list_files", &json!({})).await);
    assert_eq!(of(alice.mcp_call(None, "list_files", &json!({"path": "a"})).await), first);
    let other = of(world.everything("carol").mcp_call(None, "list_files", &json!({})).await);
    assert_ne!(other, first, "a run belongs to one principal");
    let shown = alice.get(&format!("/v1/runs/{first}")).await.expect(200);
    assert_eq!((&shown["state"]["agent"], &shown["status"]), (&json!("mcp/e2e"), &json!("running")));
    let taken = alice.post("/v1/runs", &json!({"agent": "mcp/e2e", "goal": "g"})).await;
    assert_eq!(taken.problem(400, "invalid-input")["field"], "/agent");

    // A server started anew finds the run again, and closes those its clients have left.
    world.kill_server().await;
    let (_server, url) = world
        .server_with(|command| {
            command.env("XAGENT_MCP_IDLE_S", "1");
        })
        .await;
    let alice = Api::new(&url, "default", "alice", &["*", "tool:*"], &[]);
    assert_eq!(of(alice.mcp_call(None, "list_files", &json!({})).await), first);
    for run in [&first, &other] {
        let ended = alice.run_ended(run).await;
        assert_eq!(ended["status"], "completed");
        assert!(ended["state"]["summary"].as_str().unwrap().contains("idle"), "{ended:#}");
    }
    let next = of(alice.mcp_call(None, "list_files", &json!({})).await);
    assert_ne!(next, first);
    // Ended by a person, it is not joined any more.
    alice.post(&format!("/v1/runs/{next}/cancel"), &json!({"reason": "enough"})).await.expect(200);
    assert_ne!(of(alice.mcp_call(None, "list_files", &json!({})).await), next);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_a_call_one_call_however_often_it_is_sent() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = run_with_note(&world, &alice).await;
    let mut params = json!({"name": "read_file", "arguments": {"path": "note.txt"}});
    params["_meta"] = json!({"xagent/run": run, "xagent/idempotency-key": "read-1"});
    let first = alice.mcp_result("tools/call", &params).await;
    let second = alice.mcp_result("tools/call", &params).await;
    assert_eq!(first["_meta"]["xagent/call"], second["_meta"]["xagent/call"]);
    assert_eq!(first["structuredContent"], second["structuredContent"]);
    assert_eq!(alice.count(&run, "ToolCallStarted").await, 1);
    params["arguments"]["path"] = json!("other.txt");
    let reused = alice.mcp("tools/call", &params).await.expect(200);
    assert!(reused["error"]["message"].as_str().unwrap().contains("key"), "{reused:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_its_call_to_end_on_the_record() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = run_with_note(&world, &alice).await;
    let slow = crate::world::SlowServer::start().await;
    crate::law::enact(&world.everything("root"), |body| {
        body["data"]["config"]["network"]["allowed_endpoints"] = json!([format!("127.0.0.1:{}", slow.port)]);
    })
    .await;
    let fetch = json!({"name": "http_fetch", "arguments": {"url": slow.url()}, "_meta": {"xagent/run": run}});
    let (api, params) = (alice.clone(), fetch.clone());
    let call = tokio::spawn(async move { api.mcp("tools/call", &params).await });
    until("the tool is at work", async || (slow.hits() == 1).then_some(())).await;
    call.abort();
    slow.open();
    let ended = async || (alice.count(&run, "ToolCallCompleted").await == 1).then_some(());
    until("the outcome is recorded", ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_are_spoken_and_their_rules_kept() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let found = alice.mcp_result("server/discover", &json!({})).await;
    assert!(found["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")), "{found:#}");
    assert_eq!(found["capabilities"], json!({"tools": {}}));
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}});
    let hello = alice.legacy_mcp(&hello).await.expect(200);
    assert_eq!(hello["result"]["protocolVersion"], LEGACY, "{hello:#}");
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    alice.legacy_mcp(&ready).await.expect(202);

    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    let evil = alice.mcp_post(&list).header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!(evil.status(), 403);
    let local = alice.mcp_post(&list).header("origin", "http://localhost:6274").send().await.unwrap();
    assert_eq!(local.status(), 200);
    let lying = alice.mcp_post(&list).header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
    let lying = lying.send().await.unwrap();
    assert_eq!(lying.status(), 400);
    assert_eq!(lying.json::<Value>().await.unwrap()["error"]["code"], -32020);
    let get = alice.request(reqwest::Method::GET, "/mcp").send().await.unwrap();
    assert_eq!(get.status(), 405);
    Api::with_token(&world.url, "none").mcp("tools/list", &json!({})).await.problem(401, "unauthenticated");
    let huge = json!({"jsonrpc": "2.0", "id": 1, "method": "x".repeat(2_000_000)});
    assert_eq!(alice.mcp_post(&huge).send().await.unwrap().status(), 413);
}
