//! What an upstream offers: checked before it is registered, and held to it at each call.

use rmcp::model::Tool;
use serde_json::json;
use xagent_domain::tool::ToolSource;
use xagent_domain::upstream::{Declaration, SEPARATOR};
use xagent_domain::{CanonicalJson, Digest};

use super::UpstreamError;

/// A longer name does not fit behind its upstream's.
const LONGEST_NAME: usize = 90;
/// A longer description or a larger schema is not taken, in bytes.
const LARGEST: usize = 64 * 1024;

/// A tool that an upstream offers.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    /// The name it is registered under.
    pub name: String,
    /// For planners.
    pub description: String,
    /// JSON Schema of its arguments.
    pub schema: CanonicalJson,
    /// Where it comes from.
    pub source: ToolSource,
}

/// The tool as it would be registered, or what keeps it from that.
pub(crate) fn offered(declaration: &Declaration, tool: &Tool) -> Result<Offered, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if tool.name.is_empty() || tool.name.len() > LONGEST_NAME || !tool.name.bytes().all(plain) {
        return Err(format!("its name is not 1 to {LONGEST_NAME} letters, digits, `_`, `-`, `.`"));
    }
    let schema = CanonicalJson::of(&tool.input_schema).map_err(|error| format!("its schema: {error}"))?;
    let description = tool.description.as_deref().unwrap_or_default().to_owned();
    if schema.as_str().len() > LARGEST || description.len() > LARGEST {
        return Err(format!("its description or schema is larger than {LARGEST} bytes"));
    }
    let pin = pin(tool)?;
    let source = ToolSource { upstream: declaration.name.clone(), tool: tool.name.to_string(), pin };
    let name = format!("{}{SEPARATOR}{}", declaration.name, tool.name);
    Ok(Offered { name, description, schema, source })
}

/// Digest of all that a tool says of itself that a model or a policy goes by.
fn pin(tool: &Tool) -> Result<Digest, String> {
    let said = json!({
        "description": tool.description, "input_schema": tool.input_schema, "name": tool.name,
        "output_schema": tool.output_schema,
    });
    CanonicalJson::of_value(&said).map(|text| text.digest()).map_err(|error| error.to_string())
}

/// A tool that is not what was registered is not called.
pub(super) fn check_pin(tools: &[Tool], declaration: &Declaration, source: &ToolSource) -> Result<(), UpstreamError> {
    let (upstream, name) = (&declaration.name, &source.tool);
    let Some(tool) = tools.iter().find(|tool| tool.name == *name) else {
        return Err(UpstreamError::Failed(format!("the upstream `{upstream}` no longer offers the tool `{name}`")));
    };
    match pin(tool) {
        Ok(pin) if pin == source.pin => Ok(()),
        _ => Err(UpstreamError::Failed(format!(
            "the upstream `{upstream}` describes its tool `{name}` otherwise than it was registered: read what it says \
             now and register it anew with `xagent tools discover {upstream} --accept {name}`; until then it is not called"
        ))),
    }
}
