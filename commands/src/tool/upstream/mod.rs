//! Upstream MCP servers: reached lazily, each on its own, so that one that is dead or hangs keeps nobody else waiting.

mod child;
mod http;
mod offered;
mod result;
mod secrets;
mod slot;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, ClientRequest, JsonObject, ListToolsRequest, PaginatedRequestParams, ServerResult, Tool,
};
use rmcp::service::{Peer, RoleClient, ServiceError};
use xagent_domain::run::UrlUse;
use xagent_domain::tool::ToolSource;
use xagent_domain::upstream::{Declaration, Reach};
use xagent_domain::{Digest, Tenant};

pub(crate) use offered::{Offered, offered};
pub(crate) use secrets::check_settings;
use slot::Slot;

/// Upstreams kept at once; beyond it those nobody uses are let go.
const KEPT: usize = 256;
/// How long an upstream may take to start and introduce itself.
const INTRODUCTION: Duration = Duration::from_secs(20);
/// How long an upstream may take to list its tools.
const LISTING: Duration = Duration::from_secs(10);
/// Tools of one upstream looked at.
const MOST_TOOLS: usize = 500;

/// What keeps an upstream's tool from giving a result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// It did not do its work: nothing was asked of it, or it said no.
    #[error("{0}")]
    Failed(String),
    /// It may have done its work, and will not say.
    #[error("{0}")]
    Unknown(String),
}

/// Upstreams by whose they are and how they are declared.
type Slots = HashMap<(Tenant, Digest), Arc<Slot>>;

/// The connections to upstreams. Cheap to clone.
#[derive(Clone, Default)]
pub struct Upstreams {
    programs: Arc<Vec<PathBuf>>,
    slots: Arc<Mutex<Slots>>,
}

impl Upstreams {
    /// Of which these programs may be started as children.
    pub fn new(programs: Vec<PathBuf>) -> Self {
        Self { programs: Arc::new(programs), slots: Arc::default() }
    }

    /// Whether a program may be started as a child.
    pub(crate) fn may_start(&self, program: &str) -> bool {
        self.programs.iter().any(|allowed| allowed == Path::new(program))
    }

    /// What an upstream offers now.
    pub(crate) async fn list(
        &self,
        tenant: &Tenant,
        declaration: &Declaration,
        url: Option<&UrlUse>,
    ) -> Result<Vec<Tool>, UpstreamError> {
        let slot = self.slot(tenant, declaration)?;
        let _turn = slot.turn(LISTING).await?;
        let connection = slot.connection(self, url).await?;
        let listed = listing(connection.service.peer()).await;
        if listed.is_err() {
            slot.lost(&connection).await;
        }
        listed
    }

    /// Calls a tool, if the upstream still describes it as it was registered.
    pub(crate) async fn call(
        &self,
        tenant: &Tenant,
        (declaration, source): (&Declaration, &ToolSource),
        arguments: JsonObject,
        url: Option<&UrlUse>,
    ) -> Result<(bool, serde_json::Value), UpstreamError> {
        let slot = self.slot(tenant, declaration)?;
        let limit = Duration::from_millis(declaration.timeout_ms);
        let _turn = slot.turn(limit).await?;
        let connection = slot.connection(self, url).await?;
        let peer = connection.service.peer();
        let tools = match listing(peer).await {
            Ok(tools) => tools,
            Err(error) => {
                slot.lost(&connection).await;
                return Err(error);
            }
        };
        offered::check_pin(&tools, declaration, source)?;
        let params = CallToolRequestParams::new(source.tool.clone()).with_arguments(arguments);
        match tokio::time::timeout(limit, peer.call_tool(params)).await {
            Ok(Ok(result)) => Ok(result::bounded(result)),
            Ok(Err(ServiceError::McpError(error))) => {
                Err(UpstreamError::Failed(format!("the upstream refused: {} ({})", error.message, error.code.0)))
            }
            Ok(Err(error)) => {
                slot.lost(&connection).await;
                Err(UpstreamError::Unknown(format!("the upstream was lost in the middle of the call: {error}")))
            }
            // Dropping the request tells the upstream that it is cancelled.
            Err(_) => {
                let waited = limit.as_millis();
                Err(UpstreamError::Unknown(format!("the upstream gave no result in {waited} ms; it was told to stop")))
            }
        }
    }

    fn slot(&self, tenant: &Tenant, declaration: &Declaration) -> Result<Arc<Slot>, UpstreamError> {
        let digest = declaration.digest().map_err(|error| UpstreamError::Failed(error.to_string()))?;
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= KEPT {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        // A changed declaration is another upstream: what was started for the old one ends with its last call.
        slots.retain(|(whose, known), slot| whose != tenant || *known == digest || slot.name() != declaration.name);
        let slot = slots.entry((tenant.clone(), digest)).or_insert_with(|| Arc::new(Slot::new(declaration.clone())));
        Ok(Arc::clone(slot))
    }

    /// Ends what was started for an upstream that was withdrawn.
    pub(crate) fn forget(&self, tenant: &Tenant, name: &str) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|(whose, _), slot| whose != tenant || slot.name() != name);
    }
}

/// The upstream's URL as a resource of each of its calls: its network is decided on like that of any tool.
pub(crate) fn url_of(declaration: &Declaration) -> Option<&str> {
    match &declaration.reach {
        Reach::Http { url, .. } => Some(url),
        Reach::Stdio { .. } => None,
    }
}

/// All that is offered now, past any cache, in pages.
async fn listing(peer: &Peer<RoleClient>) -> Result<Vec<Tool>, UpstreamError> {
    let failed = |what: String| UpstreamError::Failed(format!("the upstream does not list its tools: {what}"));
    let pages = async {
        let (mut tools, mut cursor) = (Vec::new(), None);
        loop {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let request =
                ListToolsRequest { method: Default::default(), params: Some(params), extensions: Default::default() };
            let page = match peer.send_request(ClientRequest::ListToolsRequest(request)).await {
                Ok(ServerResult::ListToolsResult(page)) => page,
                Ok(_) => return Err(failed("it answers with something else".to_owned())),
                Err(error) => return Err(failed(error.to_string())),
            };
            tools.extend(page.tools);
            if tools.len() > MOST_TOOLS {
                return Err(failed(format!("there are more than {MOST_TOOLS}")));
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(tools);
            }
        }
    };
    let late = || failed(format!("it gave no answer in {} s", LISTING.as_secs()));
    tokio::time::timeout(LISTING, pages).await.map_err(|_| late())?
}
