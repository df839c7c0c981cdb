//! A sample run, watched as an operator watches it: a real Prometheus scrapes servers with roles of their own, and every
//! query of the dashboards and every alert is asked. Servers and Grafana log in as `deploy/` has them: owning nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::{Executor, PgPool};
use tokio::process::{Child, Command};
use xagent_tests::{LokiProcess, StackTools, folder, installed, root};

use super::panels::{SOME_TRACE, Server, queries};
use super::prometheus::{Prometheus, free};
use crate::sample::Sample;
use crate::tables::caught_up;
use crate::world::{Api, World, until};

/// Queries that are rightly empty after the sample, and why.
const EMPTY: [(&str, &str); 1] = [("audit/loki", "there is no Loki; `./dev loki` builds it")];
/// Metrics that are rightly missing after the sample, and why.
const MISSING: [(&str, &str); 1] = [("xagent_decisions_failed_total", "the law gave an answer each time")];

/// A secret of the test, in a file.
const PASSWORD: &str = "5f1f0e7a9a4bd8c3";

/// Makes the logins of `deploy/postgres/access.sql`, as compose does. Gives the database's URL with each of them.
fn logins(world: &World, folder: &std::path::Path) -> [String; 2] {
    for name in ["postgres-server", "postgres-grafana"] {
        std::fs::write(folder.join(name), format!("{PASSWORD}\n")).unwrap();
    }
    let text = std::fs::read_to_string(root().join("deploy/postgres/access.sql")).unwrap();
    let text = text.replace("/run/secrets/", &format!("{}/", folder.display()));
    std::fs::write(folder.join("access.sql"), text).unwrap();
    for _ in 0..2 {
        let mut psql = std::process::Command::new(installed("psql").unwrap());
        psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", &world.database_url, "--file"]);
        xagent_tests::succeeded(psql.arg(folder.join("access.sql")));
    }
    let (_, place) = world.database_url.rsplit_once('@').unwrap();
    ["xagent", "grafana"].map(|login| format!("postgres://{login}:{PASSWORD}@{place}"))
}

struct Watched {
    world: World,
    prometheus: Prometheus,
    grafana: PgPool,
    /// Where it is to be had.
    loki: Option<LokiProcess>,
    _projector: Child,
    _folder: tempfile::TempDir,
}

/// Two servers in the place of the usual one: one serves and works, the other relays, keeps the views and verifies.
async fn watched() -> Watched {
    let (mut world, folder) = (World::new().await, folder("watched-"));
    let [server, grafana] = logins(&world, folder.path());
    let addresses = [free(), free()].map(|port| format!("127.0.0.1:{port}"));
    let loki = LokiProcess::start("dashboards against a real Loki");
    let url = folder.path().join("database-url");
    std::fs::write(&url, &server).unwrap();
    let set = |command: &mut Command, roles: &str, metrics: &str| {
        command.env_remove("XAGENT_DATABASE_URL").env("XAGENT_DATABASE_URL_FILE", &url);
        command.env("XAGENT_ROLES", roles).env("XAGENT_METRICS_LISTEN", metrics);
        command.env("XAGENT_VERIFY_EVERY_S", "1").env("XAGENT_AUDIT_LINES", folder.path().join("trail.jsonl"));
        if let Some(loki) = &loki {
            command.env("XAGENT_AUDIT_LOKI_URL", loki.url());
        }
    };
    world.restart_with(|command| set(command, "api,worker", &addresses[0])).await;
    let (projector, url) = world.server_with(|command| set(command, "relay,projector", &addresses[1])).await;
    let answer = reqwest::get(format!("{url}/v1/runs")).await.unwrap();
    assert_eq!(answer.status(), 404, "a server that is no API serves health alone");
    let prometheus = Prometheus::start(folder.path(), &addresses).await;
    let grafana = PgPool::connect(&grafana).await.unwrap();
    Watched { world, prometheus, grafana, loki, _projector: projector, _folder: folder }
}

/// Runs of clients and of a plan, with denials, approvals, tools of the worker, and callers who are not let in.
async fn sampled(world: &World) {
    Sample::recorded(world).await;
    let alice = world.everything("alice");
    std::fs::write(world.workspace.join("README.md"), "# Sample\n").unwrap();
    let steps = json!([
        {"id": "list", "tool": "list_files", "arguments": {"path": "."}},
        {"id": "read", "tool": "read_file", "arguments": {"path": "README.md"}},
        {"id": "gone", "tool": "read_file", "arguments": {"path": "gone.md"}},
        {"id": "passwd", "tool": "read_file", "arguments": {"path": "/etc/passwd"}},
    ]);
    let run = alice.start_plan(steps, &world.workspace).await;
    alice.run_ended(&run).await;
    Api::with_token(&world.url, "no.token.at-all").get("/v1/runs").await.expect(401);
    world.api("eve", &["run:read"]).post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await.expect(403);
    alice.get("/v1/decisions").await.expect(200);
}

/// Waits until every reader has dealt with everything, Prometheus has seen that often enough for a rate, and the ledger was
/// verified since.
async fn settled(watched: &Watched) {
    let head = watched.world.head().await as f64;
    caught_up(&watched.world).await;
    let seen = [
        r#"max(xagent_reader_position{reader="relay"})"#,
        r#"max(xagent_reader_position{reader="view/runs"})"#,
        r#"max(xagent_reader_position{reader="view/tables"})"#,
        "max(xagent_checkpoint_position)",
        "max(xagent_verified_events)",
        r#"max(xagent_reader_position{reader="audit/lines"})"#,
    ];
    let trail = watched.loki.iter().map(|_| r#"max(xagent_reader_position{reader="audit/loki"})"#);
    for query in seen.into_iter().chain(trail) {
        until(query, async || watched.prometheus.number(query).await.filter(|number| *number >= head)).await;
    }
    let scrapes = r#"min(count_over_time(up{job="xagent"}[30s]))"#;
    until("five scrapes", async || watched.prometheus.number(scrapes).await.filter(|count| *count >= 5.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboards_and_alerts_is_answered_after_a_sample_run() {
    let Some(_) = StackTools::find("dashboards against real servers") else { return };
    let watched = watched().await;
    sampled(&watched.world).await;
    settled(&watched).await;
    let mut unanswered = Vec::new();
    for query in queries() {
        let found = match query.server {
            Server::Prometheus => watched.prometheus.query(&query.text).await.map(|series| series.len()),
            Server::Tables => rows(&watched.grafana, &query.text).await,
            Server::Loki => lines(&watched, &query.text).await,
        };
        let rightly = || watched.loki.is_none() && EMPTY.iter().any(|(part, _)| query.text.contains(part));
        match found {
            Ok(0) if !rightly() => {
                unanswered.push(format!("{} / {}: no data: {}", query.dashboard, query.panel, query.text))
            }
            Ok(_) => {}
            Err(error) => unanswered.push(format!("{} / {}: {error}: {}", query.dashboard, query.panel, query.text)),
        }
    }
    assert!(unanswered.is_empty(), "{}", unanswered.join("\n"));
    alerts(&watched).await;
    panels_tell_the_truth(&watched).await;
}

async fn rows(grafana: &PgPool, sql: &str) -> Result<usize, String> {
    grafana.fetch_all(sql).await.map(|rows| rows.len()).map_err(|error| error.to_string())
}

/// Lines or series of Loki, where there is one. Without it queries are parsed elsewhere.
async fn lines(watched: &Watched, query: &str) -> Result<usize, String> {
    let Some(loki) = &watched.loki else { return Ok(1) };
    let trace = "SELECT trace_id FROM views.decisions WHERE trace_id IS NOT NULL ORDER BY position DESC LIMIT 1";
    let trace: String = sqlx::query_scalar(trace).fetch_one(&watched.grafana).await.unwrap();
    let query = query.replace(SOME_TRACE, &trace);
    let url = format!("{}/loki/api/v1/query_range", loki.url());
    let url = reqwest::Url::parse_with_params(&url, &[("query", query.as_str()), ("since", "10m")]).unwrap();
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).map_err(|_| text.clone())?;
    answer["data"]["result"].as_array().map(Vec::len).ok_or(text)
}

/// Every rule is evaluated, none fires after a sample where all went well, and each metric it asks for is there.
async fn alerts(watched: &Watched) {
    let prometheus = &watched.prometheus;
    let answer = prometheus.get("rules", &[]).await;
    let groups = answer["data"]["groups"].as_array().unwrap();
    let rules: Vec<_> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() >= 10);
    let mut metrics = BTreeSet::new();
    for rule in rules {
        assert_eq!((&rule["health"], &rule["state"]), (&json!("ok"), &json!("inactive")), "{rule:#}");
        let text = rule["query"].as_str().unwrap();
        let words = text.split(|part: char| part != '_' && !part.is_alphanumeric());
        metrics.extend(words.filter(|word| word.starts_with("xagent_")).map(str::to_owned));
    }
    for metric in metrics {
        let found = !prometheus.query(&metric).await.unwrap().is_empty();
        assert_eq!(found, !MISSING.iter().any(|(name, _)| *name == metric), "{metric}");
    }
}

/// What an operator reads off the Audit Trail is what was recorded.
async fn panels_tell_the_truth(watched: &Watched) {
    let prometheus = &watched.prometheus;
    assert_eq!(prometheus.number("sum(xagent_tool_calls_without_allow_total)").await, Some(0.0));
    assert_eq!(prometheus.number("max(xagent_verify_faults) + max(xagent_verify_missing_positions)").await, Some(0.0));
    let unallowed =
        queries().into_iter().find(|query| query.server == Server::Tables && query.panel.contains("without an allow"));
    let unallowed = unallowed.unwrap().text;
    let count = async || sqlx::query_scalar::<_, i64>(&unallowed).fetch_one(&watched.grafana).await.unwrap();
    assert_eq!(count().await, 0);
    let superuser = watched.world.superuser().await;
    superuser.execute("UPDATE views.decisions SET verdict = 'deny' WHERE call IS NOT NULL").await.unwrap();
    assert!(count().await >= 3, "a call that lost its allow is counted");
    let forbidden = watched.grafana.execute("SELECT count(*) FROM events").await.unwrap_err().to_string();
    assert!(forbidden.contains("permission denied"), "{forbidden}");
    let written = watched.grafana.execute("DELETE FROM views.runs").await.unwrap_err().to_string();
    assert!(written.contains("permission denied") || written.contains("read-only"), "{written}");
    tampering_is_seen(watched, &superuser).await;
}

/// A server that verifies says what was done behind its back.
async fn tampering_is_seen(watched: &Watched, superuser: &PgPool) {
    let mut connection = superuser.acquire().await.unwrap();
    connection.execute("SET session_replication_role = replica").await.unwrap();
    connection.execute("UPDATE events SET metadata = '{}' WHERE position = 3").await.unwrap();
    let faults = async || watched.prometheus.number("max(xagent_verify_faults)").await.filter(|faults| *faults >= 1.0);
    until("the fault is measured", faults).await;
    let fires = async || {
        let alerts = watched.prometheus.get("alerts", &[]).await;
        alerts["data"]["alerts"]
            .as_array()?
            .iter()
            .find(|it| it["labels"]["alertname"] == "LedgerBroken" && it["state"] == "firing")
            .map(drop)
    };
    until("the alert fires", fires).await;
}
