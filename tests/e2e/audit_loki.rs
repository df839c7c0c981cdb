//! The audit trail in a real Loki, asked back in LogQL.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xagent_ledger::Clock;
use xagent_tests::{LokiProcess, Now, PATIENCE};

use crate::audit::{compare, recorded};
use crate::receivers::Kept;
use crate::sample::Sample;
use crate::world::{Api, World, until};

/// Entries asked for at once: Loki fails an answer of more than 4 MiB (`grpc_server_max_send_msg_size`), and an entry has two
/// or three KiB.
const MOST: usize = 1000;
/// Calls of a run under load, and how often there is one.
const OF_RUN: usize = 20;
const EVERY: Duration = Duration::from_millis(150);

struct Asked<'a> {
    loki: &'a LokiProcess,
    http: reqwest::Client,
    /// What tells this test's entries from others.
    job: String,
    since_ns: i64,
}

impl Asked<'_> {
    /// The answer to a query over all of the test's time; none while Loki is not ready.
    async fn ask(&self, query: &str) -> Option<Vec<Value>> {
        self.ask_from(query, self.since_ns).await
    }

    async fn ask_from(&self, query: &str, since_ns: i64) -> Option<Vec<Value>> {
        let (start, end) = (since_ns.to_string(), (Now.now_us() * 1000 + 1_000_000_000).to_string());
        let parameters = [
            ("query", query.replace("JOB", &self.job)),
            ("start", start),
            ("end", end),
            ("limit", MOST.to_string()),
            ("direction", "forward".to_owned()),
        ];
        let url = reqwest::Url::parse_with_params(&format!("{}/loki/api/v1/query_range", self.loki.url()), &parameters);
        let response = self.http.get(url.unwrap()).send().await.ok()?;
        let status = response.status();
        let text = response.text().await.ok()?;
        assert!(!status.is_client_error(), "{query}: {text}");
        let said: Value = serde_json::from_str(&text).ok()?;
        Some(said["data"]["result"].as_array()?.clone())
    }

    /// The entries that a query finds, in order of time: answer by answer, for no two have the same time.
    async fn entries(&self, query: &str) -> Option<Vec<Kept>> {
        let (mut found, mut since_ns) = (Vec::new(), self.since_ns);
        loop {
            let more = self.entries_from(query, since_ns).await?;
            let whole = more.len() < MOST;
            since_ns = more.last().map_or(since_ns, |entry| entry.at_ns + 1);
            found.extend(more);
            if whole {
                return Some(found);
            }
        }
    }

    /// The first of them. What Loki adds by itself is left out.
    async fn entries_from(&self, query: &str, since_ns: i64) -> Option<Vec<Kept>> {
        let mut found = Vec::new();
        for stream in self.ask_from(query, since_ns).await? {
            let mut labels: BTreeMap<String, String> = serde_json::from_value(stream["stream"].clone()).unwrap();
            let known = ["run_id", "decision_id", "trace_id", "span_id", "position"];
            let metadata = known.iter().filter_map(|name| labels.remove_entry(*name)).collect::<BTreeMap<_, _>>();
            labels.retain(|name, _| ["job", "tenant", "event_type", "level"].contains(&name.as_str()));
            for value in stream["values"].as_array().unwrap() {
                let (at_ns, line) =
                    (value[0].as_str().unwrap().parse().unwrap(), value[1].as_str().unwrap().to_owned());
                found.push(Kept { at_ns, labels: labels.clone(), metadata: metadata.clone(), line });
            }
        }
        found.sort_by_key(|entry| entry.at_ns);
        Some(found)
    }

    /// Waits until all events are there, and compares each.
    async fn complete(&self, world: &World) -> Vec<Kept> {
        let kept = until("Loki gives back every event", async || {
            let (kept, head) = (self.entries("{job=\"JOB\"}").await?, world.head().await);
            (kept.len() as u64 >= head).then_some(kept)
        });
        let kept = kept.await;
        compare(&recorded(world).await, &kept);
        kept
    }
}

async fn pushing(loki: &LokiProcess) -> (World, Asked<'_>) {
    let job = format!("xagent-test-{:016x}", rand::random::<u64>());
    let since_ns = (Now.now_us() - 60_000_000) * 1000;
    let mut world = World::new().await;
    let settings = [("XAGENT_AUDIT_LOKI_URL", loki.url()), ("XAGENT_AUDIT_JOB", &job)];
    world.restart_with(|server| _ = server.envs(settings)).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    (world, Asked { loki, http, job, since_ns })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_loki_gives_back_the_whole_trail_and_answers_the_examples() {
    let Some(loki) = LokiProcess::start("a_real_loki_gives_back_the_whole_trail_and_answers_the_examples") else {
        return;
    };
    let (world, asked) = pushing(&loki).await;
    let sample = Sample::recorded(&world).await;
    let kept = asked.complete(&world).await;
    let ask = async |query: &str| asked.entries(query).await.unwrap();

    let of_run = ask(&format!("{{job=\"JOB\"}} | run_id=\"{}\"", sample.reviewer)).await;
    assert_eq!(
        of_run,
        kept.iter().filter(|e| e.metadata.get("run_id") == Some(&sample.reviewer)).cloned().collect::<Vec<_>>()
    );
    let trace = &of_run[0].metadata["trace_id"];
    let of_trace = ask(&format!("{{job=\"JOB\"}} | json | trace_id=\"{trace}\"")).await;
    assert!(!of_trace.is_empty() && of_trace.iter().all(|entry| entry.metadata["trace_id"] == *trace));
    let denied = ask(
        "{job=\"JOB\", event_type=\"DecisionMade\"} | json | payload_DecisionMade_allow=\"false\" | level=\"warn\"",
    )
    .await;
    assert_eq!(denied.len(), 1);
    assert_eq!(ask("{job=\"JOB\"} |= \"path_outside_workspace\" | level=\"warn\"").await, denied);
    let decision = &denied[0].metadata["decision_id"];
    assert_eq!(ask(&format!("{{job=\"JOB\"}} | decision_id=\"{decision}\"")).await, denied);
    let codes = "sum by (code) (count_over_time({job=\"JOB\", event_type=\"DecisionMade\", level=\"warn\"} \
                 | json code=\"payload.DecisionMade.deny[0].code\" [1h]))";
    let codes = asked.ask(codes).await.unwrap();
    assert_eq!((codes.len(), &codes[0]["metric"]), (1, &json!({"code": "path_outside_workspace"})), "{codes:?}");
    let levels = asked.ask("sum by (level) (rate({job=\"JOB\"}[5m]))").await.unwrap();
    assert_eq!(levels.len(), 2, "{levels:?}");
    assert_eq!(ask("{job=\"JOB\"} | json | __error__ != \"\"").await, [], "each line is JSON");
}

/// Calls, each of which is taken, for so long, and those of one run at least. Says how long each took.
async fn load(api: &Api, lasts: Duration) -> Vec<Duration> {
    let (begun, mut took) = (Instant::now(), Vec::new());
    let call = json!({"tool": "read_file", "arguments": {"path": "/etc/passwd"}});
    while took.is_empty() || begun.elapsed() < lasts {
        let run = api.start_client_run().await;
        let mut next = tokio::time::interval(if lasts.is_zero() { Duration::from_millis(1) } else { EVERY });
        for _ in 0..OF_RUN {
            next.tick().await;
            let begun = Instant::now();
            api.post(&format!("/v1/runs/{run}/tool-calls"), &call).await.expect(201);
            took.push(begun.elapsed());
        }
    }
    took.sort_unstable();
    took
}

/// Up to where Loki has taken everything.
async fn position(world: &World) -> u64 {
    let sql = "SELECT position FROM audit_trails WHERE target = 'loki'";
    let position: i64 = sqlx::query_scalar(sql).fetch_one(&world.superuser().await).await.unwrap();
    u64::try_from(position).unwrap()
}

fn told(took: &[Duration]) -> String {
    let [half, most] = [took.len() / 2, took.len() * 99 / 100].map(|index| took[index].as_millis());
    format!("{} taken, p50 {half} ms, p99 {most} ms", took.len())
}

/// `XAGENT_CHAOS_LOKI_DOWN_S` says for how many seconds it is gone, under load.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_loki_that_was_killed_has_everything_afterwards() {
    let Some(mut loki) = LokiProcess::start("a_real_loki_that_was_killed_has_everything_afterwards") else { return };
    if !loki.is_ours() {
        eprintln!(
            "SKIPPED a_real_loki_that_was_killed_has_everything_afterwards: XAGENT_TEST_LOKI_URL is not ours to kill"
        );
        return;
    }
    let (world, before) = {
        let (world, asked) = pushing(&loki).await;
        Sample::recorded(&world).await;
        let before = asked.complete(&world).await.len();
        (world, (before, asked.job, asked.since_ns))
    };
    let alice = world.everything("alice");
    let down = std::env::var("XAGENT_CHAOS_LOKI_DOWN_S").map_or(0, |seconds| seconds.parse().unwrap());
    let up = load(&alice, Duration::from_secs(if down > 0 { 30 } else { 0 })).await;
    loki.kill();
    let away = load(&alice, Duration::from_secs(down)).await;
    loki.restart();
    println!("calls with Loki: {}; without, over {down} s: {}", told(&up), told(&away));
    let (before, job, since_ns) = before;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let begun = Instant::now();
    let patience = PATIENCE + Duration::from_secs(down);
    while position(&world).await < world.head().await {
        assert!(
            begun.elapsed() < patience,
            "at {} of {} after {patience:?}",
            position(&world).await,
            world.head().await
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("{} events were taken {} s after Loki came back", world.head().await, begun.elapsed().as_secs());
    let kept = Asked { loki: &loki, http, job, since_ns }.complete(&world).await;
    assert!(kept.len() > before + 2 * OF_RUN);
    println!("{} entries in Loki, {} events in the ledger, each the same", kept.len(), world.head().await);
}
