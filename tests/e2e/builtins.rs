//! The built-in tools at work: what they give back is what they declare, and their bounds are said.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::Executor;

use crate::review::waiting;
use crate::world::{Api, World, output};

/// Grants every approval the run asks for until it ends.
async fn with_approvals(api: &Api, approver: &Api, run: &str) -> Value {
    loop {
        let ended = |run: &Value| matches!(run["status"].as_str(), Some("completed" | "failed"));
        let rests = |run: &Value| (ended(run) || waiting(run).is_some()).then(|| run.clone());
        let seen = api.run_until(run, "the run waits or has ended", rests).await;
        let Some(approval) = waiting(&seen) else { return seen };
        approver.post(&format!("/v1/approvals/{approval}/grant"), &json!({})).await.expect(200);
        let answered = |run: &Value| (waiting(run).as_deref() != Some(&approval)).then_some(());
        api.run_until(run, "the approval is answered", answered).await;
    }
}

async fn schemas(api: &Api) -> BTreeMap<String, Value> {
    let tools = api.get("/v1/tools").await.expect(200);
    let named = |tool: &Value| (tool["name"].as_str().unwrap().to_owned(), tool["output_schema"].clone());
    tools["items"].as_array().unwrap().iter().map(named).collect()
}

/// A role that may read `public.sales`, and one that may write it too.
async fn roles(world: &World) -> [String; 2] {
    let superuser = world.superuser().await;
    let names = ["reader", "writer"].map(|name| format!("{name}_{}", world.database_url.rsplit('_').next().unwrap()));
    let [reader, writer] = &names;
    let script = format!(
        "DROP ROLE IF EXISTS {reader}; DROP ROLE IF EXISTS {writer};
         CREATE ROLE {reader} LOGIN PASSWORD 'reader-pass'; CREATE ROLE {writer} LOGIN PASSWORD 'writer-pass';
         CREATE TABLE public.sales (id bigint, amount numeric, note text, at timestamptz DEFAULT '2026-01-01Z');
         INSERT INTO public.sales VALUES (1, 1.10, 'a'), (9007199254740993, 2.5, NULL), (3, 3, 'c');
         REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         GRANT SELECT ON public.sales TO {reader}, {writer}; GRANT INSERT ON public.sales TO {writer};"
    );
    superuser.execute(script.as_str()).await.unwrap();
    let (_, place) = world.database_url.rsplit_once('@').unwrap();
    names.map(|name| format!("postgres://{name}:{}-pass@{place}", name.split('_').next().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tools_give_back_is_what_they_declare() {
    let mut world = World::new().await;
    let [reader, writer] = roles(&world).await;
    let settings = world.workspace.with_file_name("tools.toml");
    let declared = "[secrets.reader]\nenv = \"READER\"\n[secrets.writer]\nenv = \"WRITER\"\n\
                    [databases.sales]\nurl = \"secret:reader\"\ntimeout_ms = 1000\n[databases.loose]\nurl = \"secret:writer\"\n";
    std::fs::write(&settings, declared).unwrap();
    let set = |command: &mut tokio::process::Command| {
        command.env("XAGENT_TOOLS_FILE", &settings).env("READER", &reader).env("WRITER", &writer);
    };
    world.restart_with(set).await;
    let alice = world.everything("alice");
    std::fs::create_dir(world.workspace.join("src")).unwrap();
    for (name, text) in [("src/a.txt", "one\ntwo 22\n"), ("src/credentials.json", "two 22"), ("src/.env", "two 22")] {
        std::fs::write(world.workspace.join(name), text).unwrap();
    }
    std::fs::write(world.workspace.join("large.txt"), "é".repeat(600_000)).unwrap();
    let sql = |database: &str, sql: &str| json!({"database": database, "sql": sql});
    let code =
        |code: &str| json!({"language": "python", "code": code, "files": ["src"], "keep": ["out"], "stdin": "in"});
    let work = "import sys, os, glob\nfrom pathlib import Path\nPath('out').mkdir()\nPath('out/r.txt').write_text(sys.stdin.read() + Path('src/a.txt').read_text())\nPath('elsewhere').write_text('x')\nprint(sorted(glob.glob('src/**', recursive=True)))";
    let steps = json!([
        {"id": "list", "tool": "list_files", "arguments": {"path": "src"}},
        {"id": "read", "tool": "read_file", "arguments": {"path": "src/a.txt"}},
        {"id": "large", "tool": "read_file", "arguments": {"path": "large.txt"}},
        {"id": "text", "tool": "search_text", "arguments": {"text": "two"}},
        {"id": "pattern", "tool": "search_text", "arguments": {"pattern": "^t.o [0-9]{2}$", "limit": 1}},
        {"id": "bomb", "tool": "search_text", "arguments": {"pattern": "(a{1000}){1000}"}},
        {"id": "rows", "tool": "sql_query", "arguments": sql("sales", "SELECT id, amount, note FROM sales ORDER BY amount;")},
        {"id": "cut", "tool": "sql_query", "arguments": {"database": "sales", "sql": "SELECT generate_series(1, 5) AS n", "limit": 2}},
        {"id": "huge", "tool": "sql_query", "arguments": sql("sales", "SELECT repeat('x', 1000000) AS x")},
        {"id": "slow", "tool": "sql_query", "arguments": sql("sales", "SELECT count(*) FROM generate_series(1, 1000000000) AS s")},
        {"id": "twice", "tool": "sql_query", "arguments": sql("sales", "SELECT 1 AS a, 2 AS a")},
        {"id": "loose", "tool": "sql_query", "arguments": sql("loose", "SELECT 1 AS one")},
        {"id": "unknown", "tool": "sql_query", "arguments": sql("none", "SELECT 1 AS one")},
        {"id": "wrong", "tool": "sql_query", "arguments": sql("sales", "SELECT nothing FROM sales")},
        {"id": "ends", "tool": "sql_query", "arguments": sql("sales", "COMMIT")},
        {"id": "drop", "tool": "sql_query", "arguments": sql("sales", "DROP TABLE sales")},
        {"id": "two", "tool": "sql_query", "arguments": sql("sales", "SELECT 1 AS a; DELETE FROM sales")},
        {"id": "fails", "tool": "run_code", "arguments": {"language": "shell", "code": "echo out; echo err >&2; exit 3"}},
        {"id": "danger", "tool": "run_code", "arguments": {"language": "shell", "code": "curl http://a"}},
        {"id": "reads", "tool": "run_code", "arguments": code("print(open('src/a.txt').read())")},
        {"id": "code", "tool": "run_code", "arguments": code(work)},
    ]);
    let run = alice.start_plan(steps, &world.workspace).await;
    let bob = world.api("bob", &["approval:decide"]);
    let ended = with_approvals(&alice, &bob, &run).await;
    let results = &ended["state"]["results"];
    let status = |step: &str| results[step]["status"].as_str().unwrap().to_owned();
    let of = |step: &str| output(&ended, step);

    let schemas = schemas(&alice).await;
    let tools = [
        ("list", "list_files"),
        ("read", "read_file"),
        ("text", "search_text"),
        ("rows", "sql_query"),
        ("code", "run_code"),
    ];
    for (step, tool) in tools {
        assert_eq!(status(step), "succeeded", "{step}: {results:#}");
        let validator = jsonschema::validator_for(&schemas[tool]).unwrap();
        assert_eq!(
            validator.iter_errors(&of(step)).map(|e| e.to_string()).collect::<Vec<_>>(),
            [] as [String; 0],
            "{tool}"
        );
    }
    assert!(schemas.values().all(Value::is_object), "{schemas:#?}");

    assert_eq!(
        (of("text")["count"].as_u64(), of("pattern")["count"].as_u64()),
        (Some(1), Some(1)),
        "names of secrets are left out"
    );
    assert!(of("bomb")["error"].as_str().unwrap().contains("size limit"), "{}", of("bomb"));
    assert_eq!(status("large"), "succeeded");

    let rows = json!([{"id": 1, "amount": "1.10", "note": "a"}, {"id": "9007199254740993", "amount": "2.5", "note": null}, {"id": 3, "amount": 3, "note": "c"}]);
    assert_eq!(of("rows")["rows"], rows);
    assert_eq!(of("rows")["columns"][1], json!({"name": "amount", "type": "NUMERIC"}));
    assert_eq!((of("cut")["count"].as_u64(), of("cut")["truncated"].as_bool()), (Some(2), Some(true)));
    let errors = [
        ("huge", "larger than"),
        ("slow", "57014"),
        ("twice", "two columns are named `a`"),
        ("loose", "it may write sales"),
        ("unknown", "`loose`, `sales`"),
        ("wrong", "42703"),
        ("ends", "only a SELECT"),
    ];
    for (step, expected) in errors {
        let error = of(step)["error"].as_str().unwrap().to_owned();
        assert!(error.contains(expected) && !error.contains("-pass"), "{step}: {error}");
    }
    for (step, reason) in [
        ("drop", "dangerous_code"),
        ("two", "dangerous_code"),
        ("danger", "dangerous_code"),
        ("reads", "dangerous_code"),
    ] {
        assert_eq!(results[step]["reasons"][0]["code"], reason, "{step}: {:#}", results[step]);
    }

    assert_eq!(
        (status("fails"), &of("fails")["exit_code"], &of("fails")["stderr"]),
        ("failed".to_owned(), &json!(3), &json!("err\n"))
    );
    assert_eq!(of("code")["stdout"], "['src/', 'src/a.txt']\n");
    assert_eq!(of("code")["kept"], json!([{"bytes": 13, "path": "out/r.txt"}]));
    assert_eq!(std::fs::read_to_string(world.workspace.join("out/r.txt")).unwrap(), "inone\ntwo 22\n");
    assert!(!world.workspace.join("elsewhere").exists());
    assert_eq!(alice.count(&run, "ApprovalGranted").await, 2, "code is run when somebody else has approved it");
}
