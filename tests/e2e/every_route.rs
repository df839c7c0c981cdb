//! Every route there is, taken from the one table of routes: none lets in whom nobody knows, and none shows one tenant
//! anything of another, or lets it change anything there.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Api, World};

/// The one table of routes: a test of the gateway holds it to what is served, and that to be all that is routed.
const TABLE: &str = include_str!("../../docs/openapi.json");
/// Routes that anybody may call, as they were reviewed.
const PUBLIC: [&str; 5] = ["/livez", "/readyz", "/errors/{code}", "/openapi.json", "/docs"];
/// What only the tenant that owns it may ever see.
const MARK: &str = "a-mark-of-the-owner";

struct Route {
    method: Method,
    path: String,
    /// Whether anybody may call it.
    is_public: bool,
}

fn routes() -> Vec<Route> {
    let table: Value = serde_json::from_str(TABLE).unwrap();
    let mut routes = Vec::new();
    for (path, item) in table["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            routes.push(Route { method, path: path.clone(), is_public: operation["security"] == json!([]) });
        }
    }
    // Its protocol describes itself.
    routes.push(Route { method: Method::POST, path: "/mcp".to_owned(), is_public: false });
    assert!(routes.len() >= 40, "{}", routes.len());
    assert!(routes.iter().filter(|route| route.is_public).all(|route| PUBLIC.contains(&route.path.as_str())));
    routes
}

/// Things of the tenant `default`, by the name a path has for them.
async fn owned(world: &World) -> BTreeMap<&'static str, String> {
    let alice = world.everything("alice");
    let goal = json!({"agent": "a", "goal": MARK});
    let run = alice.post("/v1/runs", &goal).await.expect(201)["run"].as_str().unwrap().to_owned();
    let tool = json!({"name": MARK, "schema": {}, "executor": "client", "risk": "high"});
    alice.post("/v1/tools", &tool).await.expect(201);
    let call = alice.post(&format!("/v1/runs/{run}/tool-calls"), &json!({"tool": MARK, "arguments": {}})).await;
    let call = call.expect(201);
    assert_eq!(call["status"], "awaiting_approval", "{call:#}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let key = json!({"name": MARK, "scopes": [], "lifetime_s": 3600});
    let key = alice.post("/v1/api-keys", &key).await.expect(201);
    let upstream = json!({"name": "owned", "reach": {"http": {"url": "http://owned.example/mcp"}}});
    alice.post("/v1/upstreams", &upstream).await.expect(201);
    let bundle = alice.get("/v1/bundles").await.expect(200);
    BTreeMap::from([
        ("run", run),
        ("call", text(&call["call"])),
        ("approval", text(&call["approval"])),
        ("key", text(&key["key"])),
        ("upstream", "owned".to_owned()),
        ("digest", text(&bundle["active"])),
        ("tile", "0/000".to_owned()),
        ("bundle", "000".to_owned()),
    ])
}

fn filled(path: &str, owned: &BTreeMap<&str, String>) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
        Some(name) => owned.get(name).unwrap_or_else(|| panic!("`{name}` of {path} is new: give one here")).clone(),
        None => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Asks, and reads what comes within a moment: a stream does not end by itself.
async fn ask(api: &Api, method: &Method, path: &str, body: &Value) -> (u16, String) {
    let request = match *method == Method::POST {
        true => api.command(path).json(body),
        false => api.request(method.clone(), path),
    };
    let mut response = request.send().await.unwrap();
    let (status, mut text) = (response.status().as_u16(), String::new());
    let patience = std::time::Duration::from_millis(500);
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout(patience, response.chunk()).await {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    (status, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_lets_in_whom_nobody_knows_and_each_refusal_names_its_route() {
    let world = World::new().await;
    let owned = owned(&world).await;
    let nobody = Api::with_token(&world.url, "nothing");
    for Route { method, path, is_public } in routes() {
        let (before, concrete) = (world.head().await, filled(&path.replace("{code}", "denied"), &owned));
        let (status, text) = ask(&nobody, &method, &concrete, &json!({})).await;
        if is_public {
            assert_eq!(status, 200, "{method} {path}: {text}");
            continue;
        }
        assert_eq!(status, 401, "{method} {path}: {text}");
        let refused = world.refused_since(before).await;
        assert_eq!(refused.len(), 1, "{method} {path}");
        let route = refused[0]["route"].as_str().unwrap().replace("{*", "{");
        assert_eq!((&refused[0]["method"], &route), (&json!(method.as_str()), &path));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_shows_one_tenant_anything_of_another_or_lets_it_change_anything_there() {
    let world = World::new().await;
    let owned = owned(&world).await;
    let before = changes_of_the_owner(&world).await;
    let eve = world.api_of("other", "eve", &["*", "tool:*"], &["operator"]);
    for Route { method, path, .. } in routes().into_iter().filter(|route| !route.is_public) {
        let (head, concrete) = (world.head().await, filled(&path, &owned));
        let (status, text) = ask(&eve, &method, &concrete, &json!({"reason": "r"})).await;
        assert!(!text.contains(MARK), "{method} {path}: {text}");
        for (name, id) in owned.iter().filter(|(name, _)| !["digest", "tile", "bundle"].contains(name)) {
            // The problem may repeat what was asked for, and nothing else.
            assert!(status >= 400 || !text.contains(id.as_str()), "{method} {path} shows `{name}`: {text}");
        }
        let names_an_owned_thing =
            ["{run}", "{call}", "{approval}", "{key}", "{upstream}"].iter().any(|name| path.contains(name));
        if names_an_owned_thing {
            assert!([400, 403, 404, 409].contains(&status), "{method} {path}: {status} {text}");
        }
        if status == 404 {
            let refused = world.refused_since(head).await;
            assert!(
                refused.iter().any(|entry| entry["reason"] == "not_found" && entry["principal"] == "eve"),
                "{path}"
            );
        }
    }
    assert_eq!(changes_of_the_owner(&world).await, before);
}

/// How many events there are of the owner's things, and of the law.
async fn changes_of_the_owner(world: &World) -> i64 {
    let sql = "SELECT count(*) FROM events WHERE tenant = 'default' AND aggregate_type <> 'access'";
    sqlx::query_scalar(sql).fetch_one(&world.superuser().await).await.unwrap()
}
