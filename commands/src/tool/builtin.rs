//! Registrations of the built-in tools. A tenant may register them anew with other properties.

use serde_json::{Value, json};
use xagent_domain::CanonicalJson;
use xagent_domain::run::Executor;
use xagent_domain::tool::Registration;

use super::settings::LONGEST_S;
use crate::InvalidInput;

const NAMES: [&str; 7] =
    ["list_files", "read_file", "write_file", "search_text", "http_fetch", "run_code", "sql_query"];

/// All built-in tools as they are registered where a tenant has not registered its own.
pub fn builtin_registrations() -> Result<Vec<Registration>, InvalidInput> {
    [list_files(), read_file(), write_file(), search_text(), http_fetch(), run_code(), sql_query()]
        .into_iter()
        .collect()
}

/// Whether a worker of ours can run the tool.
pub(crate) fn is_builtin(name: &str) -> bool {
    NAMES.contains(&name)
}

/// An object with these properties and no others.
fn object(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// An object with all of these properties.
fn whole(properties: &Value) -> Value {
    let names: Vec<&str> =
        properties.as_object().map(|all| all.keys().map(String::as_str).collect()).unwrap_or_default();
    object(&names, properties)
}

fn tool(name: &str, description: &str, arguments: &Value, output: &Value) -> Result<Registration, InvalidInput> {
    let canonical = |field: &str, schema: &Value| {
        CanonicalJson::of_value(schema).map_err(|error| InvalidInput::new(field, error.to_string()))
    };
    Ok(Registration {
        name: name.to_owned(),
        description: description.to_owned(),
        schema: canonical("/schema", arguments)?,
        output_schema: Some(canonical("/output_schema", output)?),
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

fn path() -> Value {
    json!({"type": "string", "maxLength": 1024})
}

fn paths() -> Value {
    json!({"type": "array", "maxItems": 50, "items": path()})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn list_files() -> Result<Registration, InvalidInput> {
    let arguments = object(&[], &json!({"path": path(), "limit": {"type": "integer", "minimum": 1, "maximum": 5000}}));
    let files = json!({"type": "array", "items": {"type": "string"}});
    let output = whole(&json!({"count": count(), "files": files, "truncated": {"type": "boolean"}}));
    let description = "Lists files under a folder of the workspace, without hidden and build folders.";
    Ok(Registration { paths: vec!["path".into()], ..tool("list_files", description, &arguments, &output)? })
}

fn read_file() -> Result<Registration, InvalidInput> {
    let arguments = object(&["path"], &json!({"path": path()}));
    let output = whole(&json!({
        "bytes": count(), "lines": count(), "path": {"type": "string"}, "text": {"type": "string"},
        "truncated": {"type": "boolean"},
    }));
    let description = "Reads a text file of the workspace; of a file over 1 MiB the beginning.";
    let base = tool("read_file", description, &arguments, &output)?;
    Ok(Registration { paths: vec!["path".into()], reads_untrusted: true, ..base })
}

fn write_file() -> Result<Registration, InvalidInput> {
    let arguments =
        object(&["path", "content"], &json!({"path": path(), "content": {"type": "string", "maxLength": 1_000_000}}));
    let output = whole(&json!({"bytes": count(), "path": {"type": "string"}}));
    let base = tool("write_file", "Writes a text file of the workspace.", &arguments, &output)?;
    Ok(Registration { paths: vec!["path".into()], risk: "medium".into(), consequential: true, ..base })
}

fn search_text() -> Result<Registration, InvalidInput> {
    let sought = json!({"type": "string", "minLength": 1, "maxLength": 1000});
    let mut arguments = object(
        &[],
        &json!({
            "text": sought, "pattern": sought, "path": path(),
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
        }),
    );
    arguments["oneOf"] = json!([{"required": ["text"]}, {"required": ["pattern"]}]);
    let found = whole(&json!({"line": count(), "path": {"type": "string"}, "text": {"type": "string"}}));
    let output = whole(&json!({
        "count": count(), "files_searched": count(), "matches": {"type": "array", "items": found},
        "truncated": {"type": "boolean"},
    }));
    let description = "Finds lines with a text, or that match a regular expression, in text files of the workspace.";
    let base = tool("search_text", description, &arguments, &output)?;
    Ok(Registration { paths: vec!["path".into()], reads_untrusted: true, ..base })
}

fn http_fetch() -> Result<Registration, InvalidInput> {
    let arguments = object(&["url"], &json!({"url": {"type": "string", "maxLength": 4096}}));
    let text = json!({"type": ["string", "null"]});
    let output = whole(&json!({
        "body": {"type": "string"}, "content_type": text, "location": text, "status": count(),
        "truncated": {"type": "boolean"},
    }));
    let description = "Fetches a URL with GET; follows no redirect, but says where it leads. Of a body over 512 KiB the \
                       beginning.";
    let base = tool("http_fetch", description, &arguments, &output)?;
    Ok(Registration { urls: vec!["url".into()], risk: "medium".into(), reads_untrusted: true, ..base })
}

fn run_code() -> Result<Registration, InvalidInput> {
    let arguments = object(
        &["language", "code"],
        &json!({
            "language": {"type": "string", "enum": ["python", "shell"]},
            "code": {"type": "string", "maxLength": 100_000},
            "stdin": {"type": "string", "maxLength": 100_000},
            "files": paths(),
            "keep": paths(),
            "timeout_s": {"type": "integer", "minimum": 1, "maximum": LONGEST_S},
        }),
    );
    let number = json!({"type": ["integer", "null"]});
    let text = json!({"type": "string"});
    let output = whole(&json!({
        "exit_code": number, "signal": number,
        "stopped": {"type": ["string", "null"], "enum": ["wall_time", "cpu_time", "memory", "files", null]},
        "stdout": text, "stdout_bytes": count(), "stdout_truncated": {"type": "boolean"},
        "stderr": text, "stderr_bytes": count(), "stderr_truncated": {"type": "boolean"},
        "wall_ms": count(), "cpu_ms": count(), "leftover_processes": count(),
        "kept": {"type": "array", "items": whole(&json!({"path": text, "bytes": count()}))},
        "not_kept": {"type": "array", "items": whole(&json!({"path": text, "reason": text}))},
    }));
    let description = "Runs Python or shell code in a sandbox without a network, on copies of `files` of the workspace. \
                       Files at and under `keep` are taken back into the workspace; everything else is gone afterwards.";
    let base = tool("run_code", description, &arguments, &output)?;
    let code = [("code".to_owned(), "$language".to_owned())].into();
    let paths = vec!["files".into(), "keep".into()];
    Ok(Registration {
        code,
        paths,
        risk: "high".into(),
        idempotent: false,
        consequential: true,
        reads_untrusted: true,
        ..base
    })
}

fn sql_query() -> Result<Registration, InvalidInput> {
    let arguments = object(
        &["database", "sql"],
        &json!({
            "database": {"type": "string", "maxLength": 64},
            "sql": {"type": "string", "minLength": 1, "maxLength": 20_000},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
        }),
    );
    let column = whole(&json!({"name": {"type": "string"}, "type": {"type": "string"}}));
    let output = whole(&json!({
        "columns": {"type": "array", "items": column}, "count": count(),
        "rows": {"type": "array", "items": {"type": "object"}}, "truncated": {"type": "boolean"},
    }));
    let description = "Reads a configured database with one SELECT statement. Numbers that are no integers, and integers \
                       beyond 2^53, come as texts.";
    let base = tool("sql_query", description, &arguments, &output)?;
    let code = [("sql".to_owned(), "sql".to_owned())].into();
    Ok(Registration { code, risk: "medium".into(), reads_untrusted: true, ..base })
}
