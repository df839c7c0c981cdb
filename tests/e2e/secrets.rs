//! Secrets of tools are used, and are found nowhere afterwards: not in database, stream, view, log or export.

use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures::StreamExt;
use serde_json::json;
use sqlx::{Executor, Row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::law::enact;
use crate::world::{Api, World, output, until};

/// Printable, and written differently in every encoding.
const TOKEN: &str = "tok/EN+ \"7\"=&%?~secretive<value>";
const PASSWORD: &str = "p@ss:w0rd/of+the&database";
/// No secret: it shows that a search finds what is there.
const MARKER: &str = "marker-that-is-no-secret";

/// Forms a secret may be met in.
fn forms(secret: &str) -> Vec<String> {
    let around = format!("a{secret}b");
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let all: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let quoted = serde_json::to_string(secret).unwrap();
    let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        secret.to_owned(),
        STANDARD.encode(secret),
        STANDARD.encode(&around),
        STANDARD.encode(format!("a{around}")),
        URL_SAFE_NO_PAD.encode(secret),
        form,
        all,
        quoted[1..quoted.len() - 1].to_owned(),
        hexadecimal,
    ]
}

/// What is left of a form when its ends are those of its neighbours.
fn core(form: &str) -> &str {
    &form[4..form.len() - 4]
}

/// Answers with the authorization it was sent, in every form, and keeps it.
async fn mirror() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, seen) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
    let kept = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let length = stream.read(&mut request).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let sent = text.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap_or_default();
            kept.lock().unwrap().push(sent.to_owned());
            let body = format!("{}\n{text}", forms(sent).join("\n"));
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nlocation: /{}\r\n\r\n", body.len(), forms(sent)[5]);
            let _gone = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    (port, seen)
}

/// Everything every table of the database holds, as text.
async fn database(world: &World) -> String {
    let superuser = world.superuser().await;
    let tables = "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables \
                  WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let mut dump = String::new();
    for table in superuser.fetch_all(tables).await.unwrap() {
        let name: String = table.get("name");
        if name == "public.vault" {
            continue;
        }
        let rows = sqlx::query(&format!("SELECT row::text AS text FROM {name} AS row")).fetch_all(&superuser).await;
        dump.extend(rows.unwrap().iter().map(|row| row.get::<String, _>("text") + "\n"));
    }
    dump
}

async fn stream(world: &World, head: u64) -> String {
    let jetstream = world.jetstream().await;
    let mut stream = until("the stream has every event", async || {
        let mut stream = jetstream.get_stream("XAGENT_EVENTS").await.ok()?;
        (stream.info().await.ok()?.state.messages >= head).then_some(stream)
    })
    .await;
    let count = stream.info().await.unwrap().state.messages;
    let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
    let mut messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    let mut dump = String::new();
    for _ in 0..count {
        let message = messages.next().await.unwrap().unwrap();
        dump.push_str(&format!("{} {:?}\n", message.subject, message.headers));
        dump.push_str(&String::from_utf8_lossy(&message.payload));
    }
    dump
}

async fn view(world: &World) -> String {
    let client = redis::Client::open(world.stack.redis_url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await.unwrap();
    let mut dump = keys.join("\n");
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut redis).await.unwrap();
        let (command, range): (_, &[i64]) = match kind.as_str() {
            "string" => ("MGET", &[]),
            "zset" => ("ZRANGE", &[0, -1]),
            "list" => ("LRANGE", &[0, -1]),
            "hash" => ("HGETALL", &[]),
            other => panic!("{key} is a {other}, which this test does not read"),
        };
        let texts: Vec<Option<Vec<u8>>> =
            redis::cmd(command).arg(&key).arg(range).query_async(&mut redis).await.unwrap();
        texts.into_iter().flatten().for_each(|text| dump.push_str(&String::from_utf8_lossy(&text)));
    }
    dump
}

async fn vault(world: &World) -> String {
    let role = format!("vaulter_{}", world.database_url.rsplit('_').next().unwrap());
    let script = format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}';
         REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE TABLE public.vault (held text);
         INSERT INTO public.vault VALUES ('{PASSWORD}'); GRANT SELECT ON public.vault TO {role};"
    );
    world.superuser().await.execute(script.as_str()).await.unwrap();
    let escaped: String = url::form_urlencoded::byte_serialize(PASSWORD.as_bytes()).collect();
    format!("postgres://{role}:{escaped}@{}", world.database_url.rsplit_once('@').unwrap().1)
}

fn settings(world: &World, port: u16) -> std::path::PathBuf {
    let folder = world.workspace.parent().unwrap();
    std::fs::write(folder.join("token"), format!("{TOKEN}\n")).unwrap();
    let text = format!(
        "[secrets.token]\nfile = \"{0}/token\"\n[secrets.closed]\nenv = \"CLOSED\"\n\
         [http.\"http://127.0.0.1:{port}\"]\nheaders = {{ authorization = \"Bearer secret:token\" }}\n\
         [databases.vault]\nurl = \"secret:vault\"\n[databases.closed]\nurl = \"secret:closed\"\n",
        folder.display()
    );
    let file = folder.join("tools.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// A client that posts what it should not have seen.
async fn post_result_of_client(alice: &Api) {
    let tool = json!({"name": "theirs", "schema": {}, "executor": "client", "risk": "low"});
    alice.post("/v1/tools", &tool).await.expect(201);
    let run = alice.start_client_run().await;
    let call = alice.post(&format!("/v1/runs/{run}/tool-calls"), &json!({"tool": "theirs"})).await.expect(201);
    let path = format!("/v1/runs/{run}/tool-calls/{}/result", call["call"].as_str().unwrap());
    let posted = json!({"succeeded": true, "output": {"said": format!("it is {TOKEN}")}});
    alice.post(&path, &posted).await.expect(200);
    let events = json!(alice.events(&run).await).to_string();
    assert!(events.contains("it is [redacted: secret token]"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_are_found_nowhere() {
    let mut world = World::new().await;
    let (port, seen) = mirror().await;
    let (vault, file) = (vault(&world).await, settings(&world, port));
    let closed = vault.replace("vaulter_", "nobody_").replace("%2Fof", "%2Fnot-of");
    let log = world.workspace.with_file_name("server.log");
    world
        .restart_with(|command| {
            command.env("XAGENT_TOOLS_FILE", &file).env("XAGENT_SECRET_vault", &vault).env("CLOSED", &closed);
            command.env("XAGENT_LOG", "debug").stderr(std::fs::File::create(&log).unwrap());
        })
        .await;
    let alice = world.everything("alice");
    enact(&alice, |body| {
        let config = &mut body["data"]["config"];
        config["network"]["allowed_endpoints"] = json!([format!("127.0.0.1:{port}")]);
        config["free_write_prefixes"] = json!(["notes/"]);
    })
    .await;
    std::fs::write(world.workspace.join("leak.txt"), format!("{MARKER}\n{TOKEN}\n")).unwrap();
    let sql = |database: &str, sql: &str| json!({"database": database, "sql": sql});
    let steps = json!([
        {"id": "fetch", "tool": "http_fetch", "arguments": {"url": format!("http://127.0.0.1:{port}/{MARKER}")}},
        {"id": "elsewhere", "tool": "http_fetch", "arguments": {"url": format!("http://127.0.0.1:{port}/{{{{fetch.output.status}}}}")}},
        {"id": "rows", "tool": "sql_query", "arguments": sql("vault", "SELECT held, encode(held::bytea, 'base64') AS coded FROM vault")},
        {"id": "closed", "tool": "sql_query", "arguments": sql("closed", "SELECT 1 AS one")},
        {"id": "read", "tool": "read_file", "arguments": {"path": "leak.txt"}},
        {"id": "search", "tool": "search_text", "arguments": {"pattern": "secretive"}},
        {"id": "write", "tool": "write_file", "arguments": {"path": "notes/a.md", "content": "{{fetch.output.body}} {{read.output.text}}"}},
    ]);
    let run = alice.start_plan(steps, &world.workspace).await;
    let ended = alice.run_ended(&run).await;
    assert_eq!(seen.lock().unwrap().as_slice(), [TOKEN, TOKEN], "the secret is used");
    let body = output(&ended, "fetch")["body"].as_str().unwrap().to_owned();
    assert!(body.matches("[redacted: secret token]").count() >= forms(TOKEN).len(), "{body}");
    assert_eq!(output(&ended, "rows")["rows"][0]["held"], "[redacted: secret vault]");
    let refused = output(&ended, "closed")["error"].as_str().unwrap().to_owned();
    assert!(refused.starts_with("the database says: "), "{refused}");
    assert!(output(&ended, "search").to_string().contains("[redacted: secret token]"));
    assert_eq!(ended["state"]["results"]["write"]["status"], "succeeded", "{ended:#}");

    post_result_of_client(&alice).await;
    let head = world.head().await;
    until("the view has the end of the run", async || {
        let view = world.views().get(&"default".parse().unwrap(), &run).await.unwrap();
        view.filter(|view| Some(view.sequence) == ended["sequence"].as_u64()).map(drop)
    })
    .await;
    let evidence = world.workspace.join("run.xe");
    let path = evidence.display().to_string();
    assert!(world.xagent(&["evidence", "export", &path, "--run", &run]).await.status.success());
    let replay = world.xagent(&["--json", "replay", &run]).await;
    assert!(replay.status.success());
    let shown = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let events = json!(alice.events(&run).await).to_string();
    world.kill_server().await;
    let places = [
        ("database", database(&world).await, true),
        ("stream", stream(&world, head).await, true),
        ("view", view(&world).await, true),
        ("evidence", shown(&evidence), true),
        ("log", shown(&log), false),
        ("replay", String::from_utf8_lossy(&replay.stdout).into_owned(), false),
        ("events", events, true),
        ("what was written", shown(&world.workspace.join("notes/a.md")), true),
    ];
    for (place, text, marked) in &places {
        assert!(
            !text.is_empty() && (!marked || text.contains(MARKER)),
            "{place} was not searched: {} bytes",
            text.len()
        );
        for secret in [TOKEN, PASSWORD, vault.as_str()] {
            for form in forms(secret) {
                assert!(!text.contains(core(&form)), "{place} holds {form}");
            }
        }
    }
}
