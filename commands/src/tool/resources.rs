//! What a call would touch, read from its arguments as the registration says, normalised before the law sees it.

use serde_json::Value;
use xagent_domain::run::{CodeText, PathUse, Resources, UrlUse};
use xagent_domain::tool::Registration;
use xagent_policies::normalise::{Address, path_use, url_use};

use super::Resolver;

/// Reads paths, URLs and code; names are resolved once, here, and the connection goes where the decision was made on.
pub(crate) async fn resources(tool: &Registration, arguments: &Value, resolver: &dyn Resolver) -> Resources {
    let paths = tool.paths.iter().flat_map(|name| texts(arguments, name).into_iter().map(move |text| (name, text)));
    let paths = paths.map(|(name, text)| text.map_or_else(|| no_path(name), |text| path_use(name, text))).collect();
    let mut urls = Vec::new();
    for name in &tool.urls {
        for text in texts(arguments, name) {
            urls.push(match text {
                Some(text) => resolved(url_use(name, text), resolver).await,
                None => no_url(name),
            });
        }
    }
    let code = tool.code.iter().flat_map(|(name, language)| {
        let text = texts(arguments, name).into_iter().flatten();
        let language = language_of(language, arguments);
        text.map(move |text| CodeText { argument: name.clone(), language: language.clone(), text: text.to_owned() })
    });
    Resources { paths, urls, code: code.collect() }
}

/// The texts of an argument, or of each item of it; `None` for what is not a text.
fn texts<'a>(arguments: &'a Value, name: &str) -> Vec<Option<&'a str>> {
    match arguments.get(name) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(Value::as_str).collect(),
        Some(other) => vec![other.as_str()],
    }
}

/// Where an upstream is, as a resource of each call of its tools.
pub(crate) async fn upstream_url(url: &str, resolver: &dyn Resolver) -> UrlUse {
    resolved(url_use("upstream", url), resolver).await
}

fn no_path(argument: &str) -> PathUse {
    let problem = "the argument is not a text".to_owned();
    PathUse { argument: argument.to_owned(), raw: String::new(), normal: String::new(), problem }
}

fn no_url(argument: &str) -> UrlUse {
    UrlUse {
        argument: argument.to_owned(),
        raw: String::new(),
        scheme: String::new(),
        host: String::new(),
        port: 0,
        addresses: Vec::new(),
        problem: "the argument is not a text".to_owned(),
    }
}

/// A language, or the one another argument names: `$ARGUMENT`. The law knows no language without a name.
fn language_of(language: &str, arguments: &Value) -> String {
    let named = language.strip_prefix('$').map(|argument| arguments[argument].as_str().unwrap_or_default());
    named.unwrap_or(language).to_owned()
}

async fn resolved(mut url: UrlUse, resolver: &dyn Resolver) -> UrlUse {
    if url.problem.is_empty() && url.addresses.is_empty() {
        let found = resolver.resolve(&url.host).await;
        url.addresses = found.into_iter().map(|address| Address::of(address).to_string()).collect();
        url.addresses.sort();
        url.addresses.dedup();
    }
    url
}
