//! Lists over the API: filtered, in order, page by page, as files; each true up to a position, and each on the record.

use std::collections::BTreeSet;
use std::io::Read;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use reqwest::Method;
use serde_json::{Value, json};

use crate::sample::Sample;
use crate::world::{Api, World};

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().unwrap()
}

/// A list that holds everything recorded so far.
async fn fresh(world: &World, api: &Api, path: &str) -> Value {
    let joint = if path.contains('?') { '&' } else { '?' };
    api.get(&format!("{path}{joint}min_position={}", world.head().await)).await.expect(200)
}

async fn fetched(api: &Api, path: &str, accept: &str, encoding: &str) -> (reqwest::header::HeaderMap, Vec<u8>) {
    let request = api.request(Method::GET, path).header("accept", accept).header("accept-encoding", encoding);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    (response.headers().clone(), response.bytes().await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_finds_what_it_is_for_and_nothing_else() {
    let world = World::new().await;
    let sample = Sample::recorded(&world).await;
    let alice = world.everything("alice");
    let runs = fresh(&world, &alice, "/v1/runs").await;
    let found: Vec<_> = items(&runs).iter().map(|run| run["run"].as_str().unwrap()).collect();
    assert_eq!(found, [&sample.refused, &sample.payer, &sample.reviewer], "the youngest first");
    let reviewer = &items(&runs)[2];
    for (field, value) in [
        ("agent", json!("reviewer")),
        ("principal", json!("alice")),
        ("goal", json!("review the plan")),
        ("status", json!("completed")),
        ("tool_calls", json!(2)),
        ("denied_calls", json!(1)),
        ("summary", json!("=done, as asked")),
    ] {
        assert_eq!(reviewer[field], value, "{field}");
    }
    let (reviewer, payer) = (&sample.reviewer, &sample.payer);
    let later = "2100-01-01T00:00:00Z";
    for (path, count) in [
        ("/v1/runs?agent=payer".to_owned(), 2),
        ("/v1/runs?agent=payer&agent=reviewer&status=completed".to_owned(), 2),
        ("/v1/runs?text=AGAIN".to_owned(), 1),
        ("/v1/runs?text=100%25".to_owned(), 0),
        (format!("/v1/runs?since={later}"), 0),
        (format!("/v1/runs?until={later}"), 3),
        (format!("/v1/runs?id={payer}"), 1),
        ("/v1/goals?status=achieved".to_owned(), 2),
        ("/v1/decisions?decision=deny&tool=note".to_owned(), 1),
        ("/v1/decisions?code=path_outside_workspace".to_owned(), 1),
        ("/v1/decisions?decision=approval".to_owned(), 2),
        ("/v1/decisions?command=run.start&principal=alice".to_owned(), 3),
        ("/v1/decisions?command=approval.grant&principal=bob".to_owned(), 1),
        (format!("/v1/decisions?run={reviewer}&entrypoint=xagent/tools/decision"), 2),
        ("/v1/decisions?bundle=none".to_owned(), 0),
        ("/v1/tool-calls?path=docs/plan.md".to_owned(), 1),
        ("/v1/tool-calls?status=succeeded".to_owned(), 2),
        ("/v1/tool-calls?status=refused&code=approval_refused".to_owned(), 1),
        ("/v1/tool-calls?risk=high&agent=payer".to_owned(), 2),
        ("/v1/approvals?answered_by=bob&status=used".to_owned(), 1),
        ("/v1/approvals?text=already".to_owned(), 1),
        ("/v1/usage?agent=payer&principal=alice".to_owned(), 1),
        (format!("/v1/events?run={payer}&type=ApprovalGranted"), 1),
        ("/v1/events?tool=note&decision=deny".to_owned(), 1),
        (format!("/v1/events?since={later}"), 0),
    ] {
        let page = alice.get(&path).await.expect(200);
        assert_eq!(items(&page).len(), count, "{path}: {page:#}");
    }
    let usage = alice.get("/v1/usage?agent=payer&principal=alice").await.expect(200);
    assert_eq!((&items(&usage)[0]["money_micros"], &items(&usage)[0]["runs"]), (&json!(12_500_000), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_meet_without_gap_and_a_cursor_goes_on_with_its_own_query_only() {
    let world = World::new().await;
    Sample::recorded(&world).await;
    let alice = world.everything("alice");
    for list in ["/v1/decisions?order=oldest&decision=allow", "/v1/decisions?decision=allow", "/v1/events?from=3"] {
        let whole = fresh_or(&world, &alice, list).await;
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = alice.get(&format!("{list}&limit=4{cursor}")).await.expect(200);
            found.extend_from_slice(items(&page));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let positions = |rows: &[Value]| rows.iter().map(|row| row["position"].as_u64().unwrap()).collect::<Vec<_>>();
        // The reads of the record were recorded meanwhile, and come at the young end.
        let (whole, found) = (positions(&whole), positions(&found));
        let paged: BTreeSet<_> = found.iter().collect();
        assert_eq!(paged.len(), found.len(), "{list}: none twice");
        assert!(whole.iter().all(|position| paged.contains(position)), "{list}: none left out");
    }
    let page = alice.get("/v1/decisions?limit=1&agent=payer").await.expect(200);
    let cursor = page["next"].as_str().unwrap();
    for (path, said) in [
        (format!("/v1/runs?cursor={cursor}"), "belongs to a list of decisions"),
        (format!("/v1/decisions?agent=reviewer&cursor={cursor}"), "other filters"),
        (format!("/v1/events?cursor={cursor}"), "belongs to a list of decisions"),
        ("/v1/decisions?cursor=7".to_owned(), "no cursor"),
    ] {
        let problem = alice.get(&path).await.problem(400, "invalid-input");
        assert_eq!(problem["field"], "cursor");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem:#}");
    }
    for path in ["/v1/runs?color=red", "/v1/decisions?color=red", "/v1/events?color=red"] {
        let problem = alice.get(path).await.problem(400, "invalid-input");
        assert_eq!(problem["field"], "color");
        assert!(problem["detail"].as_str().unwrap().contains("agent"), "the known ones are listed: {problem:#}");
    }
}

async fn fresh_or(world: &World, api: &Api, list: &str) -> Vec<Value> {
    let page = match list.starts_with("/v1/events") {
        true => api.get(&format!("{list}&limit=1000")).await.expect(200),
        false => fresh(world, api, &format!("{list}&limit=1000")).await,
    };
    items(&page).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_as_a_file_is_whole_and_harmless_in_each_format() {
    let world = World::new().await;
    let sample = Sample::recorded(&world).await;
    let alice = world.everything("alice");
    let expected = fresh(&world, &alice, "/v1/runs").await;
    let (headers, csv) = fetched(&alice, "/v1/runs", "text/csv", "identity").await;
    assert_eq!(headers["content-disposition"], "attachment; filename=\"runs.csv\"");
    assert!(headers["x-position"].to_str().unwrap().parse::<u64>().unwrap() >= expected["position"].as_u64().unwrap());
    let mut reader = csv::Reader::from_reader(csv.as_slice());
    let header: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(&rows[2][column("run")], sample.reviewer.as_str());
    assert_eq!(&rows[2][column("summary")], "'=done, as asked", "no formula");
    assert!(csv.windows(2).filter(|two| two == b"\r\n").count() == 4);

    let (_, lines) = fetched(&alice, "/v1/runs?format=ndjson", "*/*", "identity").await;
    let lines: Vec<Value> =
        lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect();
    assert_eq!(lines.as_slice(), items(&expected));

    let (headers, file) =
        fetched(&alice, "/v1/decisions?format=parquet&code=path_outside_workspace", "*/*", "identity").await;
    assert_eq!(headers["content-type"], "application/vnd.apache.parquet");
    let reader = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    let column = |name: &str| row.get_column_iter().position(|(column, _)| column == name).unwrap();
    assert_eq!(row.get_string(column("verdict")).unwrap(), "deny");
    assert_eq!(format!("{}", row.get_list(column("codes")).unwrap().elements()[0]), "\"path_outside_workspace\"");

    for (encoding, path) in [("gzip", "/v1/decisions?format=csv"), ("zstd", "/v1/events?format=ndjson")] {
        let (headers, packed) = fetched(&alice, path, "*/*", encoding).await;
        assert_eq!(headers["content-encoding"], encoding);
        let mut text = String::new();
        match encoding {
            "gzip" => drop(flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap()),
            _ => text = String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap(),
        }
        assert!(text.lines().count() > 20 && text.len() > packed.len(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_true_up_to_the_position_it_was_asked_to_reach() {
    let world = World::new().await;
    let alice = world.everything("alice");
    for _ in 0..5 {
        let started = alice.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await.expect(201);
        let position = started["receipt"]["last_position"].as_u64().unwrap();
        let page = alice.get(&format!("/v1/runs?limit=1&min_position={position}")).await.expect(200);
        assert_eq!(items(&page)[0]["run"], started["run"]);
        assert!(page["position"].as_u64().unwrap() >= position);
    }
    let problem = alice.get("/v1/runs?min_position=99999999").await.problem(400, "invalid-input");
    assert_eq!(problem["field"], "min_position");
    // Without a projector the wait has an end, and says how far the tables are.
    let superuser = world.superuser().await;
    let stopped = "ALTER TABLE views.position ADD CHECK (position <= 0) NOT VALID";
    sqlx::Executor::execute(&superuser, stopped).await.unwrap();
    let started = alice.post("/v1/runs", &json!({"agent": "a", "goal": "g"})).await.expect(201);
    let path = format!("/v1/runs?min_position={}", started["receipt"]["last_position"]);
    let response = alice.request(Method::GET, &path).header("prefer", "wait=1").send().await.unwrap();
    assert_eq!(response.status(), 503);
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["field"], "min_position");
    let lag = alice.get("/v1/views").await.expect(200);
    assert!(lag["tables"]["lag"].as_u64().unwrap() > 0, "{lag:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_decided_recorded_and_end_at_the_tenant() {
    let world = World::new().await;
    Sample::recorded(&world).await;
    let lists = ["runs", "goals", "decisions", "tool-calls", "approvals", "usage", "events"];
    let (mallory, nobody) = (world.api_of("other", "mallory", &["*"], &[]), world.api("nobody", &[]));
    let position = world.head().await;
    for list in lists {
        let page = mallory.get(&format!("/v1/{list}?limit=1000")).await.expect(200);
        assert!(items(&page).iter().all(|row| row["tenant"] == "other"), "{list}: {page:#}");
        nobody.get(&format!("/v1/{list}")).await.problem(403, "denied");
        Api::with_token(&world.url, "x").get(&format!("/v1/{list}")).await.problem(401, "unauthenticated");
    }
    let eve = world.api("eve", &["audit:read"]);
    eve.get("/v1/decisions?agent=payer&limit=7").await.expect(200);
    let recorded = fresh(&world, &eve, "/v1/decisions?principal=eve&command=read.decisions&order=oldest").await;
    let event = world.ledger().range(items(&recorded)[0]["position"].as_u64().unwrap() - 1, 1).await.unwrap();
    assert!(event[0].position > position && event[0].payload.contains("agent=payer"), "{}", event[0].payload);
}
