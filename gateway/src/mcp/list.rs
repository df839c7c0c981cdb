//! `tools/list`: what policy would let the caller call, by name, in pages.

use std::sync::Arc;

use rmcp::model::{ErrorData, JsonObject, ListToolsResult, MetaObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use xagent_commands::{Caller, Commands};
use xagent_domain::tool::Registration;

use super::door::protocol_error;

/// Tools on a page.
const PAGE: usize = 100;

/// The page after `cursor`.
pub(super) async fn page(
    commands: &Commands,
    caller: &Caller,
    cursor: Option<&str>,
) -> Result<ListToolsResult, ErrorData> {
    let after = cursor.map(name_in).transpose()?.unwrap_or_default();
    let callable = commands.callable(caller, &after, PAGE).await.map_err(protocol_error)?;
    let next = callable.tools.last().filter(|_| callable.more).map(|last| hex::encode(&last.name));
    let mut page = ListToolsResult::with_all_items(callable.tools.iter().map(shown).collect());
    page.next_cursor = next;
    Ok(page)
}

fn name_in(cursor: &str) -> Result<String, ErrorData> {
    let bytes = hex::decode(cursor).ok();
    let name = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|name| (1..=128).contains(&name.len()));
    name.ok_or_else(|| ErrorData::invalid_params("the cursor is not one that this server gave", None))
}

/// A tool as MCP describes it. Its schema is the registered one; MCP asks that it says it is an object.
pub(super) fn shown(tool: &Registration) -> Tool {
    let mut schema = match tool.schema.value() {
        Ok(Value::Object(schema)) => schema,
        _ => JsonObject::new(),
    };
    schema.entry("type").or_insert_with(|| json!("object"));
    let description = if tool.description.is_empty() { tool.name.clone() } else { tool.description.clone() };
    let hints = ToolAnnotations::new()
        .read_only(!tool.consequential)
        .idempotent(tool.idempotent)
        .open_world(tool.reads_untrusted || !tool.urls.is_empty());
    let meta = match json!({"xagent/risk": tool.risk}) {
        Value::Object(meta) => meta,
        _ => JsonObject::new(),
    };
    let mut shown = Tool::new(tool.name.clone(), description, Arc::new(schema)).with_annotations(hints);
    shown.meta = Some(MetaObject(meta));
    shown
}
