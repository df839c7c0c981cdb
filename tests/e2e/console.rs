//! The console over HTTP: who is let in, what whom is shown, whose forms count, and that what others wrote is text.

use reqwest::header::{CONTENT_SECURITY_POLICY, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::sample::{Sample, propose};
use crate::world::{Api, SECRET, World, claims, signed, until};

/// Pages behind the law.
const PAGES: [&str; 9] = [
    "/console",
    "/console/runs",
    "/console/runs/run_00000000000000000000000000000000",
    "/console/decisions",
    "/console/decisions/dec_00000000000000000000000000000000",
    "/console/approvals",
    "/console/what-if",
    "/console/what-if/1",
    "/console/ledger",
];
const HOSTILE: &str = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

/// A browser, as far as it is one: a cookie, and no step of its own.
struct Visitor {
    http: Client,
    url: String,
    cookie: Option<String>,
}

struct Shown {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Visitor {
    fn nobody(world: &World) -> Self {
        let http = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { http, url: world.url.clone(), cookie: None }
    }

    /// Signed in with what an API client would send.
    fn with(world: &World, api: &Api) -> Self {
        Self { cookie: Some(format!("xagent_console={}", api.bearer())), ..Self::nobody(world) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        self.cookie.iter().fold(request, |request, cookie| request.header("cookie", cookie))
    }

    async fn get(&self, path: &str) -> Shown {
        shown(self.request(Method::GET, path)).await
    }

    /// Sends a form as a page of the console does.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Shown {
        shown(self.form(path, form).header("sec-fetch-site", "same-origin")).await
    }

    fn form(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        let body = text.extend_pairs(form).finish();
        self.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded").body(body)
    }
}

async fn shown(request: RequestBuilder) -> Shown {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Shown { status, headers, text: response.text().await.unwrap() }
}

impl Shown {
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    fn header(&self, name: impl reqwest::header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Why requests were refused since a position, with their routes.
async fn reasons(world: &World, since: u64) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    world.refused_since(since).await.iter().map(|entry| (text(&entry["reason"]), text(&entry["route"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_known_is_sent_to_sign_in_recorded_and_brought_back() {
    let world = World::new().await;
    let nobody = Visitor::nobody(&world);
    for path in PAGES {
        let before = world.head().await;
        let sent = nobody.get(&format!("{path}?at=3")).await.expect(303);
        let next: String = url::form_urlencoded::byte_serialize(format!("{path}?at=3").as_bytes()).collect();
        assert_eq!(sent.header(LOCATION), format!("/console/sign-in?next={next}"));
        let refused = reasons(&world, before).await;
        assert!(refused.len() == 1 && refused[0].0 == "missing" && refused[0].1.starts_with("/console"), "{refused:?}");
    }
    let page = nobody.get("/console/sign-in?next=/console/ledger").await.expect(200);
    assert!(page.header(CONTENT_SECURITY_POLICY).starts_with("default-src 'none'; script-src 'self';"));
    assert_eq!((page.header("x-content-type-options"), page.header("cache-control")), ("nosniff", "no-store"));
    assert!(page.text.contains("value=\"/console/ledger\""), "{}", page.text);

    let before = world.head().await;
    let wrong = nobody
        .post("/console/sign-in", &[("token", "not-a-token-at-all"), ("next", "/console/ledger")])
        .await
        .expect(401);
    assert!(wrong.text.contains("does not have three parts") && wrong.text.contains("value=\"/console/ledger\""));
    assert!(!wrong.text.contains("not-a-token-at-all") && wrong.headers.get(SET_COOKIE).is_none());
    assert_eq!(reasons(&world, before).await, [("malformed".to_owned(), "/console/sign-in".to_owned())]);

    let alice = world.everything("alice");
    let good = [("token", alice.bearer()), ("next", "/console/ledger")];
    let entered = nobody.post("/console/sign-in", &good).await.expect(303);
    assert_eq!(entered.header(LOCATION), "/console/ledger");
    let cookie = entered.header(SET_COOKIE);
    let attributes: Vec<_> = cookie.split("; ").skip(1).filter(|one| !one.starts_with("Max-Age=3")).collect();
    assert_eq!(attributes, ["Path=/console", "HttpOnly", "SameSite=Strict"]);
    let tls =
        nobody.form("/console/sign-in", &good).header("origin", "https://x").header("sec-fetch-site", "same-origin");
    assert!(shown(tls).await.header(SET_COOKIE).ends_with("; Secure"));
    let away = [("token", alice.bearer()), ("next", "//elsewhere.example/console/")];
    assert_eq!(nobody.post("/console/sign-in", &away).await.expect(303).header(LOCATION), "/console/runs");

    let known = Visitor { cookie: cookie.split(';').next().map(str::to_owned), ..nobody };
    let page = known.get("/console/ledger?position=1").await.expect(200);
    assert!(page.text.contains("it is in the tree") && !page.text.contains(alice.bearer()), "{}", page.text);
    let left = known.post("/console/sign-out", &[]).await.expect(303);
    assert!(left.header(SET_COOKIE).contains("Max-Age=0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_ends_with_its_token_and_a_key_is_as_good_as_one() {
    let world = World::new().await;
    let mut over = claims("default", "alice", &["*"], &[]);
    over["exp"] = json!(over["iat"].as_i64().unwrap() - 60);
    let expired = Api::with_token(&world.url, &signed(&over, jsonwebtoken::Algorithm::HS256, SECRET));
    let sent = Visitor::with(&world, &expired).get("/console/runs?status=running").await.expect(303);
    assert_eq!(sent.header(LOCATION), "/console/sign-in?next=%2Fconsole%2Fruns%3Fstatus%3Drunning&ended=1");
    assert!(sent.header(SET_COOKIE).contains("Max-Age=0"));
    let stream = Visitor::with(&world, &expired);
    let stream = stream.request(Method::GET, "/console/stream").header("accept", "text/event-stream");
    shown(stream).await.expect(401);

    let key = json!({"name": "console", "scopes": ["run:read"], "lifetime_s": 3600});
    let key = world.everything("alice").post("/v1/api-keys", &key).await.expect(201);
    let secret = key["api_key"].as_str().unwrap_or_else(|| panic!("{key:#}")).to_owned();
    let holder = Visitor::with(&world, &Api::with_token(&world.url, &secret));
    holder.get("/console/runs").await.expect(200);
    holder.get("/console/decisions").await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_shows_what_its_tenant_has_and_nothing_to_another() {
    let world = World::new().await;
    let sample = Sample::recorded(&world).await;
    let alice = Visitor::with(&world, &world.everything("alice"));
    let head = world.head().await;
    let runs = alice.get(&format!("/console/runs?min_position={head}&status=&agent=")).await.expect(200);
    for run in [&sample.reviewer, &sample.payer, &sample.refused] {
        assert!(runs.text.contains(&format!("href=\"/console/runs/{run}\"")));
    }
    let run = alice.get(&format!("/console/runs/{}", sample.reviewer)).await.expect(200);
    assert!(run.text.contains("path_outside_workspace") && run.text.contains("review the plan"));
    let then = alice.get(&format!("/console/runs/{}?at=2", sample.reviewer)).await.expect(200);
    assert!(then.text.contains("Event 2 of") && then.text.contains("What it changed"));
    let denied = alice.get("/console/decisions?decision=deny").await.expect(200);
    let decision = denied.text.split("/console/decisions/dec_").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let decision = format!("/console/decisions/dec_{decision}");
    assert!(alice.get(&decision).await.expect(200).text.contains("The exact input"));
    let all = alice.get("/console/approvals?order=newest").await.expect(200);
    assert!(all.text.contains("paid already") && all.text.contains("bob"));
    let first = alice.get("/console/runs?limit=1").await.expect(200);
    assert!(first.text.contains("Next page") && first.text.contains("cursor="));
    let file = alice.get("/console/runs?format=csv").await.expect(200);
    assert!(file.header("content-type").starts_with("text/csv") && file.text.contains(&sample.payer));
    let wrong = alice.get("/console/runs?color=red").await.expect(400);
    assert!(wrong.header("content-type").starts_with("text/html") && wrong.text.contains("is no parameter"));
    alice.get("/console/decisions?since=2026-01-01T00%3A00").await.expect(200);

    let eve = Visitor::with(&world, &world.api_of("other", "eve", &["*", "tool:*"], &["operator"]));
    for list in ["/console/runs", "/console/decisions", "/console/approvals?order=newest"] {
        let page = eve.get(list).await.expect(200).text;
        assert!(
            ![&sample.reviewer, &sample.payer, &sample.refused].iter().any(|run| page.contains(run.as_str())),
            "{list}"
        );
    }
    let before = world.head().await;
    for theirs in [format!("/console/runs/{}", sample.payer), decision] {
        eve.get(&theirs).await.expect(404);
    }
    assert!(reasons(&world, before).await.iter().all(|(reason, _)| reason == "not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_law_decides_on_every_page_and_a_refusal_shows_its_decision() {
    let world = World::new().await;
    world.everything("alice").start_client_run().await;
    let poor = Visitor::with(&world, &world.api("poor", &["tool:note"]));
    for (path, scope) in [
        ("/console/runs", "run:read"),
        ("/console/decisions", "audit:read"),
        ("/console/approvals", "run:read"),
        ("/console/ledger", "audit:read"),
        ("/console/stream", "audit:read"),
    ] {
        let before = world.head().await;
        let page = poor.get(path).await.expect(403).text;
        assert!(page.contains("missing_scope") && page.contains(scope), "{path}: {page}");
        let events = world.ledger().range(before, 10).await.unwrap();
        let made = events.iter().find(|event| event.event_type == "DecisionMade").unwrap();
        let made: Value = serde_json::from_str(&made.payload).unwrap();
        assert!(page.contains(made["DecisionMade"]["decision"].as_str().unwrap()), "{path}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_does_nothing_and_is_recorded() {
    let world = World::new().await;
    Sample::recorded(&world).await;
    let alice = world.everything("alice");
    let run = alice.start_client_run().await;
    let call = propose(&alice, &run, "pay", json!({"amount": "1"})).await;
    let grant = format!("/console/approvals/{}/grant", call["approval"].as_str().unwrap());
    let bob = Visitor::with(&world, &world.api("bob", &["*"]));
    let form = [("back", "inbox")];
    let forged: [&[(&str, &str)]; 4] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://elsewhere.example")],
        &[],
    ];
    for headers in forged {
        let before = world.head().await;
        let request =
            headers.iter().fold(bob.form(&grant, &form), |request, (name, value)| request.header(*name, *value));
        assert!(shown(request).await.expect(403).text.contains("another site"));
        assert_eq!(reasons(&world, before).await[0].0, "cross_site");
        for path in ["/console/sign-in", "/console/sign-out"] {
            let request = headers
                .iter()
                .fold(bob.form(path, &[("token", "x")]), |request, (name, value)| request.header(*name, *value));
            assert!(shown(request).await.expect(403).headers.get(SET_COOKIE).is_none());
        }
    }
    assert_eq!(alice.count(&run, "ApprovalGranted").await, 0);
    let own = Visitor::with(&world, &alice).post(&grant, &form).await.expect(403);
    assert!(own.text.contains("self_approval") && own.text.contains("/console/decisions/dec_"), "{}", own.text);
    let granted = bob.form(&grant, &form).header("origin", &world.url);
    let granted = shown(granted).await.expect(303);
    assert!(granted.header(LOCATION).contains(&format!("done=granted.{run}")), "{}", granted.header(LOCATION));
    assert!(bob.get(granted.header(LOCATION)).await.expect(200).text.contains("The call was granted"));
    bob.post(&grant, &form).await.expect(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_is_text() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let run = alice.start(&json!({"agent": HOSTILE, "goal": HOSTILE})).await;
    let tool = json!({"name": "pay", "schema": {}, "executor": "client", "risk": "high", "consequential": true});
    alice.post("/v1/tools", &tool).await.expect(201);
    let call = propose(&alice, &run, "pay", json!({"to": HOSTILE})).await;
    let bob = Visitor::with(&world, &world.api("bob", &["*"]));
    let waits = until("the approval is in the inbox", async || {
        let page = bob.get("/console/approvals").await.expect(200).text;
        page.contains(&run).then_some(page)
    })
    .await;
    let refuse = format!("/console/approvals/{}/refuse", call["approval"].as_str().unwrap());
    let refused = bob.post(&refuse, &[("back", "run"), ("reason", HOSTILE)]).await.expect(303);
    assert_eq!(refused.header(LOCATION), format!("/console/runs/{run}"));
    alice.post(&format!("/v1/runs/{run}/pause"), &json!({"reason": HOSTILE})).await.expect(200);
    let head = world.head().await;
    let paths = [
        format!("/console/runs/{run}"),
        format!("/console/runs/{run}?at=3"),
        format!("/console/runs?min_position={head}"),
        format!("/console/approvals?min_position={head}&order=newest"),
        format!("/console/decisions?run={run}"),
        format!("/console/runs?text={}", url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>()),
        format!(
            "/console/sign-in?next={}",
            url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>()
        ),
        format!(
            "/console/runs?status={}",
            url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>()
        ),
    ];
    let mut pages = vec![waits];
    for path in &paths {
        pages.push(bob.get(path).await.text);
    }
    for page in &pages {
        assert!(page.starts_with("<!DOCTYPE html>") && !page.contains("<script>") && !page.contains("<img"), "{page}");
    }
    assert!(pages[1].contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}
