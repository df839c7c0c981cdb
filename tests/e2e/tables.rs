//! The query tables: filled once and in order whatever happens to their projector, rebuilt beside themselves, and of use to
//! nobody for anything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::process::Child;
use xagent_projections::Tables;

use crate::sample::Sample;
use crate::world::{Api, Bare, World, until};

/// Waits until the tables hold all that is recorded.
pub async fn caught_up(world: &World) -> u64 {
    let tables = Tables::connect(&world.database_url).unwrap();
    until("the query tables hold every event", async || {
        let (position, head) = (tables.position().await.ok()?, world.head().await);
        (position == head).then_some(position)
    })
    .await
}

/// `xagent rebuild tables`, which succeeds: what it says.
async fn rebuilt(world: &World, arguments: &[&str]) -> Value {
    let output = world.xagent(&[&["--json", "rebuild", "tables"], arguments].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs with denied and finished calls, for as long as `busy` says; the server may go away at any time.
async fn load(api: Api, busy: Arc<AtomicBool>) {
    while busy.load(Ordering::Relaxed) {
        let started = api.post("/v1/runs", &json!({"agent": "busy", "goal": "g"})).await;
        let Some(run) = started.body["run"].as_str() else { continue };
        let calls = format!("/v1/runs/{run}/tool-calls");
        for path in ["/etc/passwd", "a"] {
            api.post(&calls, &json!({"tool": "read_file", "arguments": {"path": path}})).await;
        }
        api.post(&format!("/v1/runs/{run}/complete"), &json!({"achieved": true, "summary": "s"})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_whose_projectors_were_killed_are_those_rebuilt_from_zero() {
    let world = World::new().await;
    let busy = Arc::new(AtomicBool::new(true));
    let mut servers: Vec<(Child, String)> = vec![world.another_server().await];
    for _ in 0..4 {
        servers.push(world.another_server().await);
        // The oldest leads, or has led: it is killed while it is at work.
        let (mut oldest, url) = servers.remove(0);
        let apis = [url, servers[0].1.clone(), world.url.clone()]
            .map(|url| Api::new(&url, "default", "alice", &["*", "tool:*"], &[]));
        let loads: Vec<_> = apis.into_iter().map(|api| tokio::spawn(load(api, busy.clone()))).collect();
        let head = world.head().await;
        until("there is more", async || (world.head().await > head + 60).then_some(())).await;
        oldest.kill().await.unwrap();
        until("there is more still", async || (world.head().await > head + 120).then_some(())).await;
        busy.store(false, Ordering::Relaxed);
        join_all(loads).await;
        busy.store(true, Ordering::Relaxed);
    }
    let position = caught_up(&world).await;
    let said = rebuilt(&world, &["--check"]).await;
    assert_eq!((&said["equal"], &said["build"]["live"]["position"]), (&json!(true), &json!(position)), "{said:#}");
    assert_eq!(said["build"]["live"]["unreadable"], 0);
    for table in ["runs", "goals", "decisions", "tool_calls", "usage"] {
        assert!(said["build"]["live"]["tables"][table]["rows"].as_u64().unwrap() > 0, "{table}: {said:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_is_found_and_mended_while_the_tables_serve() {
    let world = World::new().await;
    let sample = Sample::recorded(&world).await;
    caught_up(&world).await;
    let superuser = world.superuser().await;
    let changed = format!("UPDATE views.runs SET denied_calls = 9 WHERE run = '{}'", sample.reviewer);
    assert_eq!(superuser.execute(changed.as_str()).await.unwrap().rows_affected(), 1);
    let output = world.xagent(&["--json", "rebuild", "tables", "--check"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["different"], json!(["runs"]));

    // Whoever asks meanwhile gets an answer, and never one of an earlier state.
    let (busy, api) = (Arc::new(AtomicBool::new(true)), world.everything("alice"));
    let (going_on, reader) = (busy.clone(), api.clone());
    let asking = tokio::spawn(async move {
        let (mut asked, mut last) = (0, 0);
        while going_on.load(Ordering::Relaxed) {
            let page = reader.get("/v1/runs?limit=1000").await.expect(200);
            let position = page["position"].as_u64().unwrap();
            assert!(position >= last && page["items"].as_array().unwrap().len() >= 3, "{page:#}");
            (asked, last) = (asked + 1, position);
        }
        asked
    });
    let loading = tokio::spawn(load(api.clone(), busy.clone()));
    let said = rebuilt(&world, &[]).await;
    assert_eq!(said["build"]["schema"], "views");
    busy.store(false, Ordering::Relaxed);
    loading.await.unwrap();
    assert!(asking.await.unwrap() > 0);
    caught_up(&world).await;
    assert_eq!(rebuilt(&world, &["--check"]).await["equal"], true);
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'views\\_%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&superuser).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_as_of_a_position_show_what_was_known_then() {
    let world = World::new().await;
    let sample = Sample::recorded(&world).await;
    let superuser = world.superuser().await;
    let started = "SELECT position FROM events WHERE aggregate_id = $1 AND event_type = 'RunStarted'";
    let position: i64 = sqlx::query_scalar(started).bind(&sample.payer).fetch_one(&superuser).await.unwrap();
    let position = position.to_string();
    let said = rebuilt(&world, &["--to", &position]).await;
    assert_eq!(said["build"]["schema"], json!(format!("views_at_{position}")));
    let status = format!("SELECT status FROM views_at_{position}.runs WHERE run = $1");
    for (run, expected) in
        [(&sample.reviewer, Some("completed")), (&sample.payer, Some("running")), (&sample.refused, None)]
    {
        let found: Option<String> = sqlx::query_scalar(&status).bind(run).fetch_optional(&superuser).await.unwrap();
        assert_eq!(found.as_deref(), expected);
    }
    assert_eq!(rebuilt(&world, &["--to", &position]).await["build"]["built"], said["build"]["built"]);
    rebuilt(&world, &["--drop", &position]).await;
    assert!(sqlx::query(&status).bind(&sample.payer).fetch_optional(&superuser).await.is_err());
    let output = world.xagent(&["rebuild", "tables", "--to", "999999"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("position 999999 is past the end of the ledger"));
}

/// Whether a statement is refused for want of rights.
async fn refused(connection: &mut PgConnection, sql: &str) -> bool {
    let error = connection.execute(sql).await.err();
    error.is_some_and(|error| error.as_database_error().and_then(|e| e.code()).as_deref() == Some("42501"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fills_the_tables_cannot_touch_events_and_who_reads_them_cannot_write() {
    let bare = Bare::filled(3).await;
    let mut connection = PgConnection::connect(&bare.database_url).await.unwrap();
    let write = "INSERT INTO views.switches VALUES ('default', 'b', NULL, false, 'me', now(), 1)";
    let refusals =
        |more: &[&'static str]| [&["SELECT FROM events", "SELECT FROM blobs", "SELECT FROM analysts"], more].concat();
    for (role, refusals) in [
        ("xagent_projector", refusals(&["DELETE FROM events", "DELETE FROM views.runs", "DROP SCHEMA views CASCADE"])),
        (
            "xagent_reader",
            refusals(&[write, "UPDATE views.position SET position = 9", "SELECT drop_views('views_next')"]),
        ),
        ("xagent_analyst", refusals(&[write, "SELECT create_views('views_next')"])),
    ] {
        connection.execute(format!("SET ROLE {role}").as_str()).await.unwrap();
        for sql in refusals {
            assert!(refused(&mut connection, sql).await, "{role}: {sql}");
        }
        connection.execute("RESET ROLE").await.unwrap();
    }
    // What the projector may call keeps to schemas of views, and does not drop the live ones.
    connection.execute("SET ROLE xagent_projector").await.unwrap();
    for sql in [
        "SELECT drop_views('public')",
        "SELECT swap_views('public')",
        "SELECT drop_views('views')",
        "SELECT create_views('x')",
    ] {
        let error = connection.execute(sql).await.unwrap_err();
        assert_eq!(error.as_database_error().and_then(|e| e.code()).as_deref(), Some("3F000"), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analyst_sees_the_tenants_of_their_login_and_no_others() {
    let world = World::new().await;
    Sample::recorded(&world).await;
    world.api_of("other", "eve", &["*"], &[]).start_client_run().await;
    caught_up(&world).await;
    let superuser = world.superuser().await;
    let login = format!("analyst_{}", std::process::id());
    let made = format!(
        "CREATE ROLE {login} LOGIN PASSWORD 'secret'; GRANT xagent_analyst TO {login}; INSERT INTO analysts VALUES ('{login}', 'other')"
    );
    superuser.execute(made.as_str()).await.unwrap();
    let (scheme, rest) = world.database_url.split_once("://").unwrap();
    let (_, server) = rest.rsplit_once('@').unwrap();
    let analyst = PgPool::connect(&format!("{scheme}://{login}:secret@{server}")).await.unwrap();
    let tenants = "SELECT array_agg(DISTINCT tenant) FROM views.runs";
    let seen: Vec<String> = sqlx::query_scalar(tenants).fetch_one(&analyst).await.unwrap();
    assert_eq!(seen, ["other"]);
    // What doors tell the database of their tenant is nothing an analyst could say.
    let mut session = analyst.acquire().await.unwrap();
    session.execute("SET xagent.tenant = 'default'").await.unwrap();
    let seen: Vec<String> = sqlx::query_scalar(tenants).fetch_one(&mut *session).await.unwrap();
    assert_eq!(seen, ["other"]);
    for sql in ["SELECT FROM events", "DELETE FROM views.runs", "SET ROLE xagent_reader"] {
        assert!(refused(&mut session, sql).await, "{sql}");
    }
    drop(session);
    analyst.close().await;
    superuser.execute(format!("DROP OWNED BY {login}; DROP ROLE {login}").as_str()).await.unwrap();
}
