//! Schemas, for people.

use serde_json::Value;

use super::html::{escaped, inline, prose};
use super::text;

/// All named ones.
pub fn all(document: &Value) -> String {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let one = |(name, schema): (&String, &Value)| {
        let told = if schema["properties"].is_object() { String::new() } else { format!("<p>{}</p>", kind(schema)) };
        format!(
            "<details id=\"schema-{name}\"><summary><code>{name}</code></summary>{}{told}{}</details>",
            prose(text(&schema["description"])),
            fields(document, schema),
        )
    };
    format!("<section id=\"schemas\"><h2>Schemas</h2>{}</section>", schemas.map(one).collect::<String>())
}

/// The fields of an object.
pub fn fields(document: &Value, schema: &Value) -> String {
    let schema = match reference(schema) {
        Some(name) => &document["components"]["schemas"][name],
        None => schema,
    };
    let Some(properties) = schema["properties"].as_object().filter(|all| !all.is_empty()) else { return String::new() };
    let needed = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let row = |(name, field): (&String, &Value)| {
        let needed = if needed(name) { "required" } else { "" };
        let said = inline(text(&field["description"]));
        let name = escaped(name);
        format!(
            "<tr><th scope=\"row\"><code>{name}</code> <small>{needed}</small></th><td>{}</td><td>{said}</td></tr>",
            kind(field)
        )
    };
    format!("<div class=\"wide\"><table>{}</table></div>", properties.iter().map(row).collect::<String>())
}

/// What a value is, in a few words.
pub fn kind(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for (many, between) in [("anyOf", " or "), ("oneOf", " or "), ("allOf", " with ")] {
        if let Some(all) = schema[many].as_array() {
            let kinds: Vec<_> = all.iter().map(kind).filter(|kind| !kind.is_empty()).collect();
            return kinds.join(between);
        }
    }
    if let Some(one) = schema.get("const") {
        return format!("<code>{}</code>", escaped(&plain(one)));
    }
    if let Some(all) = schema["enum"].as_array() {
        return all.iter().map(|one| format!("<code>{}</code>", escaped(&plain(one)))).collect::<Vec<_>>().join(", ");
    }
    let named = match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    };
    let named = match schema.get("items") {
        Some(items) => format!("{named} of {}", kind(items)),
        None => named,
    };
    format!("{named}{}", bounds(schema))
}

fn bounds(schema: &Value) -> String {
    let told =
        [("minimum", "≥"), ("maximum", "≤"), ("minLength", "length ≥"), ("maxLength", "length ≤"), ("pattern", "")];
    let bound = |(name, sign): (&str, &str)| {
        schema.get(name).map(|value| format!(" <small>{sign} {}</small>", escaped(&plain(value))))
    };
    let default = schema.get("default").map(|value| format!(" <small>default {}</small>", escaped(&value.to_string())));
    told.into_iter().filter_map(bound).chain(default).collect()
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str().and_then(|path| path.rsplit('/').next())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
