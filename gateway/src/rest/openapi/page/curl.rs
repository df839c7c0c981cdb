//! An operation as a `curl` command.

use serde_json::Value;

/// The command: `$URL` and `$TOKEN` are the reader's.
pub fn command(method: &str, path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let required = |place: &'static str| {
        parameters.iter().filter(move |parameter| parameter["in"] == place && parameter["required"] == true)
    };
    let mut path = path.to_owned();
    for parameter in required("path") {
        path = path.replace(&format!("{{{}}}", text(&parameter["name"])), &plain(&parameter["example"]));
    }
    let query: Vec<_> = required("query")
        .map(|parameter| format!("{}={}", text(&parameter["name"]), plain(&parameter["example"])))
        .collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut parts = vec![format!("curl \"$URL{path}{query}\"")];
    if method != "get" {
        parts.insert(0, format!("curl -X {}", method.to_uppercase()));
        parts[1] = parts[1].replacen("curl ", "", 1);
    }
    if operation["security"] != serde_json::json!([]) {
        parts.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
    }
    parts.extend(
        required("header").map(|header| format!("-H '{}: {}'", text(&header["name"]), plain(&header["example"]))),
    );
    parts.extend(body(operation));
    parts.join(" \\\n  ")
}

fn body(operation: &Value) -> Vec<String> {
    let Some((media_type, content)) = operation["requestBody"]["content"].as_object().and_then(|all| all.iter().next())
    else {
        return Vec::new();
    };
    let example = content["examples"].as_object().and_then(|all| all.values().next());
    let body = example.map(|example| example["value"].to_string()).unwrap_or_default().replace('\'', "'\\''");
    vec![format!("-H 'Content-Type: {media_type}'"), format!("-d '{body}'")]
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
