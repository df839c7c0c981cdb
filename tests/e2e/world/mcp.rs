//! The MCP door, message by message, in both kinds of its protocol.

use reqwest::Method;
use serde_json::{Value, json};

use super::Api;
use super::api::Answer;

/// The protocol without sessions.
pub const STATELESS: &str = "2026-07-28";
/// The protocol with `initialize`.
pub const LEGACY: &str = "2025-11-25";

impl Api {
    /// A request of the stateless protocol. `params` may hold a `_meta` of its own.
    pub async fn mcp(&self, method: &str, params: &Value) -> Answer {
        let mut params = params.clone();
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientInfo": {"name": "e2e", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        for (key, value) in meta.as_object().unwrap() {
            params["_meta"][key] = value.clone();
        }
        let mut request = self
            .mcp_post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
            .header("mcp-protocol-version", STATELESS)
            .header("mcp-method", method);
        if let Some(name) = params["name"].as_str() {
            request = request.header("mcp-name", name);
        }
        answer(request).await
    }

    /// A message of the protocol with `initialize`.
    pub async fn legacy_mcp(&self, message: &Value) -> Answer {
        answer(self.mcp_post(message).header("mcp-protocol-version", LEGACY)).await
    }

    /// A message with whatever headers are added to it.
    pub fn mcp_post(&self, message: &Value) -> reqwest::RequestBuilder {
        self.request(Method::POST, "/mcp").header("accept", "application/json, text/event-stream").json(message)
    }

    /// The result of a stateless request.
    pub async fn mcp_result(&self, method: &str, params: &Value) -> Value {
        let answer = self.mcp(method, params).await.expect(200);
        assert!(answer["result"].is_object(), "{answer:#}");
        answer["result"].clone()
    }

    /// The result of calling a tool in a run, or in the one that is open for this client.
    pub async fn mcp_call(&self, run: Option<&str>, tool: &str, arguments: &Value) -> Value {
        let mut params = json!({"name": tool, "arguments": arguments});
        if let Some(run) = run {
            params["_meta"]["xagent/run"] = json!(run);
        }
        self.mcp_result("tools/call", &params).await
    }
}

/// The words of a tool's result.
pub fn words(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {result:#}"))
}

/// The answer of the MCP door, whose protocol the description of the API does not tell of.
async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let (status, content_type) = (response.status().as_u16(), kind.unwrap_or_default().to_owned());
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, body, retry_after: None, content_type, headers }
}
