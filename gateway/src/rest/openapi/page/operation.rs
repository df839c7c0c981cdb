//! One operation: what it takes, how to call it, what it answers.

use serde_json::Value;

use super::html::{code, escaped, inline, prose};
use super::{curl, schema, text};

/// Its section.
pub fn section(document: &Value, method: &str, path: &str, operation: &Value) -> String {
    let (id, summary) = (text(&operation["operationId"]), escaped(text(&operation["summary"])));
    let breakable = escaped(path).replace('/', "/<wbr>");
    format!(
        "<article id=\"{id}\"><h3><a href=\"#{id}\">{summary}</a></h3>\
         <p class=\"route\"><span class=\"method {method}\">{method}</span> <code>{breakable}</code></p>{}{}{}\
         <h4>Example</h4>{}{}<h4>Answers</h4>{}</article>",
        prose(text(&operation["description"])),
        parameters(operation),
        body(document, operation),
        code(&curl::command(method, path, operation).into()),
        answered(operation),
        answers(document, operation),
    )
}

fn parameters(operation: &Value) -> String {
    let Some(all) = operation["parameters"].as_array().filter(|all| !all.is_empty()) else { return String::new() };
    let row = |parameter: &Value| {
        let needed = if parameter["required"] == true { "required" } else { "" };
        format!(
            "<tr><th scope=\"row\"><code>{}</code> <small>{} {needed}</small></th><td>{}</td><td>{}</td></tr>",
            escaped(text(&parameter["name"])),
            text(&parameter["in"]),
            schema::kind(&parameter["schema"]),
            inline(text(&parameter["description"])),
        )
    };
    format!("<h4>Parameters</h4><div class=\"wide\"><table>{}</table></div>", all.iter().map(row).collect::<String>())
}

fn body(document: &Value, operation: &Value) -> String {
    let contents = operation["requestBody"]["content"].as_object().into_iter().flatten();
    let told = contents.map(|(media_type, content)| {
        format!("<h4>Body <small>{}</small></h4>{}", escaped(media_type), schema::fields(document, &content["schema"]))
    });
    told.collect()
}

/// The example of what comes back when all goes well.
fn answered(operation: &Value) -> String {
    let responses = operation["responses"].as_object().into_iter().flatten();
    let good = responses.filter(|(status, _)| status.starts_with('2'));
    let contents = good.flat_map(|(_, response)| response["content"].as_object().into_iter().flatten());
    let examples = contents.flat_map(|(_, content)| content["examples"].as_object().into_iter().flatten().take(1));
    examples.take(1).map(|(_, example)| code(&example["value"])).collect()
}

fn answers(document: &Value, operation: &Value) -> String {
    let row = |(status, response): (&String, &Value)| {
        let shared = response["$ref"].as_str().and_then(|path| document.pointer(path.trim_start_matches('#')));
        let response = shared.unwrap_or(response);
        let contents = response["content"].as_object().into_iter().flatten();
        let told: String = contents.map(|(media_type, content)| answer(media_type, content)).collect();
        let said = inline(text(&response["description"]));
        format!("<tr><th scope=\"row\">{status}</th><td>{said} {told}</td></tr>")
    };
    let all = operation["responses"].as_object().into_iter().flatten();
    format!("<div class=\"wide\"><table>{}</table></div>", all.map(row).collect::<String>())
}

fn answer(media_type: &str, content: &Value) -> String {
    if media_type == "application/problem+json" {
        let kinds = content["examples"].as_object().into_iter().flatten();
        let link = |(name, _): (&String, &Value)| format!("<a href=\"#problem-{name}\"><code>{name}</code></a>");
        return kinds.map(link).collect::<Vec<_>>().join(" ");
    }
    format!("<small>{}</small> {}", escaped(media_type), schema::kind(&content["schema"]))
}
