//! Registrations of the built-in tools. A tenant may register them anew with other properties.

use serde_json::{Value, json};
use xagent_domain::CanonicalJson;
use xagent_domain::run::Executor;
use xagent_domain::tool::Registration;

use crate::InvalidInput;

/// All built-in tools as they are registered where a tenant has not registered its own.
pub fn builtin_registrations() -> Result<Vec<Registration>, InvalidInput> {
    [list_files(), read_file(), write_file(), search_text(), http_fetch(), run_code()].into_iter().collect()
}

/// Whether a worker of ours can run the tool.
pub(crate) fn is_builtin(name: &str) -> bool {
    matches!(name, "list_files" | "read_file" | "write_file" | "search_text" | "http_fetch" | "run_code")
}

fn tool(name: &str, description: &str, required: &[&str], properties: &Value) -> Result<Registration, InvalidInput> {
    let schema =
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    Ok(Registration {
        name: name.to_owned(),
        description: description.to_owned(),
        schema: CanonicalJson::of_value(&schema).map_err(|e| InvalidInput::new("/schema", e.to_string()))?,
        executor: Executor::Builtin,
        risk: "low".to_owned(),
        idempotent: true,
        consequential: false,
        reads_untrusted: false,
        paths: Vec::new(),
        urls: Vec::new(),
        code: Default::default(),
        trusted_source: false,
        roles: Default::default(),
        source: None,
    })
}

fn list_files() -> Result<Registration, InvalidInput> {
    let properties = json!({
        "path": {"type": "string", "maxLength": 1024},
        "limit": {"type": "integer", "minimum": 1, "maximum": 5000},
    });
    let description = "Lists files under a folder of the workspace, without hidden and build folders.";
    Ok(Registration { paths: vec!["path".into()], ..tool("list_files", description, &[], &properties)? })
}

fn read_file() -> Result<Registration, InvalidInput> {
    let properties = json!({"path": {"type": "string", "maxLength": 1024}});
    let base = tool("read_file", "Reads a text file of the workspace.", &["path"], &properties)?;
    Ok(Registration { paths: vec!["path".into()], reads_untrusted: true, ..base })
}

fn write_file() -> Result<Registration, InvalidInput> {
    let properties = json!({
        "path": {"type": "string", "maxLength": 1024},
        "content": {"type": "string", "maxLength": 1_000_000},
    });
    let base = tool("write_file", "Writes a text file of the workspace.", &["path", "content"], &properties)?;
    Ok(Registration { paths: vec!["path".into()], risk: "medium".into(), consequential: true, ..base })
}

fn search_text() -> Result<Registration, InvalidInput> {
    let properties = json!({
        "text": {"type": "string", "minLength": 1, "maxLength": 1000},
        "path": {"type": "string", "maxLength": 1024},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
    });
    let base = tool("search_text", "Finds lines with a text in files of the workspace.", &["text"], &properties)?;
    Ok(Registration { paths: vec!["path".into()], reads_untrusted: true, ..base })
}

fn http_fetch() -> Result<Registration, InvalidInput> {
    let properties = json!({"url": {"type": "string", "maxLength": 4096}});
    let base = tool("http_fetch", "Fetches a URL with GET; follows no redirect.", &["url"], &properties)?;
    Ok(Registration { urls: vec!["url".into()], risk: "medium".into(), reads_untrusted: true, ..base })
}

fn run_code() -> Result<Registration, InvalidInput> {
    let properties = json!({
        "language": {"type": "string", "enum": ["python"]},
        "code": {"type": "string", "maxLength": 100_000},
    });
    let base = tool("run_code", "Runs code in a sandbox.", &["language", "code"], &properties)?;
    let code = [("code".to_owned(), "python".to_owned())].into();
    Ok(Registration { code, risk: "high".into(), idempotent: false, consequential: true, ..base })
}
