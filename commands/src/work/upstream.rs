//! Calling a tool of an upstream: only as it was decided on, only while it is registered and declared.

use serde_json::Value;
use xagent_domain::run::Call;

use super::{RunKey, Worker};
use crate::ToolCall;
use crate::governed::Allowed;
use crate::tool::{ToolResult, UpstreamError, url_of};

impl Worker {
    /// Runs the call the permit is for.
    pub(super) async fn call_upstream(
        &self,
        key: &RunKey,
        call: &Call,
        permit: Allowed<ToolCall>,
    ) -> Result<ToolResult, UpstreamError> {
        let failed = |message: String| UpstreamError::Failed(message);
        let wanted = permit.into_inner();
        let catalog = self.commands.catalog();
        let registration = catalog.registration(&key.tenant, &wanted.tool).await.map_err(|e| failed(e.to_string()))?;
        let digest = registration.as_ref().map(xagent_domain::tool::Registration::digest).transpose();
        let source = match (digest, registration.and_then(|registration| registration.source)) {
            (Ok(Some(digest)), Some(source)) if digest == call.tool.digest => source,
            _ => {
                return Err(failed(format!("`{}` is not registered as it was when the call was decided", wanted.tool)));
            }
        };
        let declared = catalog.upstream(&key.tenant, &source.upstream).await.map_err(|e| failed(e.to_string()))?;
        let declared = declared.ok_or_else(|| failed(format!("the upstream `{}` was withdrawn", source.upstream)))?;
        let Ok(Value::Object(arguments)) = wanted.arguments.value() else {
            return Err(failed("the arguments are not an object".to_owned()));
        };
        // It is decided on last among the call's URLs.
        let url = wanted.resources.urls.last().filter(|_| url_of(&declared).is_some());
        let upstreams = self.commands.upstreams();
        let (succeeded, output) = upstreams.call(&key.tenant, (&declared, &source), arguments, url).await?;
        Ok(ToolResult { succeeded, output })
    }
}
