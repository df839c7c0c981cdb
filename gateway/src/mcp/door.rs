//! What the MCP door answers, by method.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::request::Parts;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorCode, ErrorData, Implementation, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use tokio_util::sync::CancellationToken;
use xagent_commands::{Caller, CommandError, Commands};

use super::list::page;
use super::runs::Runs;
use crate::problem::Problem;

/// The protocol versions spoken: without `initialize`, and with it.
const VERSIONS: [ProtocolVersion; 4] = [
    ProtocolVersion::V_2025_03_26,
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_11_25,
    ProtocolVersion::V_2026_07_28,
];

const INSTRUCTIONS: &str = "Every tool call is decided by policy and recorded. A refused call says why and what to do \
    instead: the same call will be refused again. A call that needs an approval names it: once a person has granted it, \
    call again with exactly the same arguments to get the outcome.";

/// One request's server.
#[derive(Clone)]
pub(super) struct Door {
    pub commands: Commands,
    pub runs: Runs,
    pub patience: Duration,
    pub stop: CancellationToken,
    /// The tool that the request's headers name.
    pub called: Option<Tool>,
}

impl ServerHandler for Door {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let identity = Implementation::new("xagent", env!("CARGO_PKG_VERSION")).with_title("X-Agent");
        ServerConfig::new(capabilities)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
            .with_server_info(identity)
            .with_instructions(INSTRUCTIONS)
    }

    fn supported_protocol_versions(&self) -> std::borrow::Cow<'static, [ProtocolVersion]> {
        std::borrow::Cow::Borrowed(&VERSIONS)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.called.clone().filter(|called| called.name == name)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let asked = Asked::of(&context)?;
        let cursor = request.and_then(|request| request.cursor);
        page(&self.commands, &asked.caller, cursor.as_deref()).await
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let asked = Asked::of(&context)?;
        tokio::select! {
            // The client is gone. What was proposed goes on to its recorded end, which the tool's own timeout bounds.
            () = context.ct.cancelled() => Err(ErrorData::internal_error("the client went away", None)),
            answer = self.call(asked, request) => answer.map(CallToolResponse::Complete),
        }
    }
}

/// Who asks, and what of the request is not in its parameters.
pub(super) struct Asked {
    pub caller: Caller,
    pub client: String,
    headers: HeaderMap,
    meta: rmcp::model::RequestMetaObject,
}

impl Asked {
    fn of(context: &RequestContext<RoleServer>) -> Result<Self, ErrorData> {
        let missing = || ErrorData::internal_error("the request came past the door", None);
        let parts = context.extensions.get::<Parts>().ok_or_else(missing)?;
        let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(missing)?;
        let headers = parts.headers.clone();
        let named = context.client_info().map(|client| client.name).filter(|name| !name.is_empty());
        let client = plain(&named.unwrap_or_else(|| agent_of(&headers)));
        let mut asked = Self { caller, client, headers, meta: context.meta.clone() };
        if let Some(key) = asked.named("idempotency-key", "xagent/idempotency-key")? {
            let key = key.parse().map_err(|error: xagent_domain::IdError| {
                ErrorData::invalid_params(format!("xagent/idempotency-key: {error}"), None)
            })?;
            asked.caller.key = Some(key);
        }
        Ok(asked)
    }

    /// What the request names in its `_meta`, or else in a header.
    pub fn named(&self, header: &str, key: &'static str) -> Result<Option<String>, ErrorData> {
        match self.meta.get(key) {
            Some(serde_json::Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(ErrorData::invalid_params(format!("_meta `{key}` must be a text"), None)),
            None => Ok(crate::rest::extract::header(&self.headers, header).map(str::to_owned)),
        }
    }
}

/// The product a `User-Agent` names (RFC 9110 section 10.1.5), for clients of versions that say who they are only once.
fn agent_of(headers: &HeaderMap) -> String {
    let product = crate::rest::extract::header(headers, "user-agent").and_then(|text| text.split(['/', ' ']).next());
    product.filter(|name| !name.is_empty()).unwrap_or("client").to_owned()
}

/// A client's name as part of an agent's.
fn plain(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ') { c } else { '-' };
    name.chars().take(80).map(fits).collect()
}

/// An error that is not the tool's: the request cannot be carried out.
pub(super) fn protocol_error(error: CommandError) -> ErrorData {
    let code = match &error {
        CommandError::Denied(_) => ErrorCode(-32001),
        CommandError::Invalid(_) | CommandError::Refused(_) => ErrorCode::INVALID_PARAMS,
        _ => ErrorCode::INTERNAL_ERROR,
    };
    let problem = Problem::from(error);
    let detail = problem.detail.clone();
    ErrorData::new(code, detail, serde_json::to_value(problem).ok())
}
