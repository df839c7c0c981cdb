//! The filters of a list as a form, and its pages as links: what the API's list knows, nothing else.

use maud::{Markup, html};
use url::form_urlencoded::{Serializer, parse};
use xagent_projections::{Filter, Listed, Test};

/// Names of a query that are not filters.
const PLACES: [&str; 3] = ["cursor", "min_position", "format"];

/// The query without what was left empty, and with moments as the API takes them; nothing where it is so already.
pub fn tidied(query: &str) -> Option<String> {
    let mut text = Serializer::new(String::new());
    let mut same = true;
    for (name, value) in parse(query.as_bytes()) {
        // As a browser sends a local moment (HTML, section 2.3.5.5); the form says that it is UTC.
        let is_moment = matches!(&*name, "since" | "until") && value.len() >= 16 && value.is_char_boundary(16);
        let moment = match value.len() {
            16 if is_moment => Some(format!("{value}:00Z")),
            19 if is_moment => Some(format!("{value}Z")),
            _ => None,
        };
        same &= moment.is_none() && !value.is_empty();
        if !value.is_empty() {
            text.append_pair(&name, moment.as_deref().unwrap_or(&value));
        }
    }
    (!same).then(|| text.finish())
}

/// What is given for a name.
pub fn given(query: &str, name: &str) -> String {
    parse(query.as_bytes()).find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The form of a list of `R`. The filters of `usual` are seen at once, the others fold out.
pub fn form<R: Listed>(action: &str, query: &str, usual: &[&str]) -> Markup {
    let (first, more): (Vec<&Filter>, Vec<&Filter>) =
        R::FILTERS.iter().partition(|filter| usual.contains(&filter.name));
    let set = more.iter().any(|filter| !given(query, filter.name).is_empty());
    let any = R::FILTERS.iter().any(|filter| !given(query, filter.name).is_empty());
    html! {
        form.filters role="search" method="get" action=(action) {
            div.fields {
                @for name in usual {
                    @if let Some(filter) = first.iter().find(|filter| filter.name == *name) { (field(filter, query)) }
                }
                div.buttons {
                    button.primary type="submit" { "Filter" }
                    @if any { a.button href=(action) { "Clear" } }
                }
            }
            @if !more.is_empty() {
                details open[set] {
                    summary { "More filters" }
                    div.fields { @for filter in more { (field(filter, query)) } }
                }
            }
        }
    }
}

fn field(filter: &Filter, query: &str) -> Markup {
    let (id, value) = (format!("filter-{}", filter.name), given(query, filter.name));
    let label = filter.name.replace('_', " ");
    html! {
        div.field {
            label for=(id) title=(filter.about) {
                @match filter.name { "text" => "contains", _ => (label) }
                @if is_moment(filter) { span.soft { " (UTC)" } }
            }
            @if !filter.values.is_empty() {
                select id=(id) name=(filter.name) {
                    option value="" { "any" }
                    @for one in filter.values { option value=(one) selected[*one == value] { (one.replace('_', " ")) } }
                }
            } @else if is_moment(filter) {
                input id=(id) name=(filter.name) type="datetime-local" step="1" value=(value.trim_end_matches('Z'));
            } @else if filter.name == "text" {
                input id=(id) name=(filter.name) type="search" value=(value) maxlength="1000" data-search;
            } @else {
                input id=(id) name=(filter.name) type="text" value=(value) maxlength="1000" spellcheck="false" autocapitalize="none";
            }
        }
    }
}

fn is_moment(filter: &Filter) -> bool {
    matches!(filter.test, Test::Since(_) | Test::Until(_))
}

/// The first and the next page, and all of it as a file.
pub fn pages(action: &str, query: &str, next: Option<&str>) -> Markup {
    let later = !given(query, "cursor").is_empty();
    html! {
        nav.pages #pages data-live aria-label="Pages" {
            @if later { a.button data-key="previous" href=(address(action, query, None)) { "First page" } }
            @if let Some(next) = next {
                a.button data-key="next" rel="next" href=(address(action, query, Some(("cursor", next)))) { "Next page" }
            }
            @if !later && next.is_none() { span.soft { "That is all." } }
            a.soft href=(address(action, query, Some(("format", "csv")))) download { "Download all as CSV" }
        }
    }
}

fn address(action: &str, query: &str, with: Option<(&str, &str)>) -> String {
    let mut text = Serializer::new(String::new());
    text.extend_pairs(parse(query.as_bytes()).filter(|(name, _)| !PLACES.contains(&&**name))).extend_pairs(with);
    let query = text.finish();
    if query.is_empty() { action.to_owned() } else { format!("{action}?{query}") }
}

/// Whether a list shows its newest rows, so that it can follow what happens.
pub fn follows(query: &str) -> bool {
    given(query, "cursor").is_empty() && given(query, "order") != "oldest"
}

/// What tells the script to follow the events of these types, and people that it does.
pub fn live(types: &str) -> Markup {
    let address = format!("/console/stream?type={types}");
    html! {
        p.live #live data-live data-stream=(address) { span data-live-state role="status" {} noscript { "Reload to see what is new." } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_left_empty_is_not_asked() {
        assert_eq!(tidied("agent=a&status=running"), None);
        assert_eq!(tidied("agent=&status=running&text=").unwrap(), "status=running");
        assert_eq!(tidied("since=2026-11-28T09%3A30").unwrap(), "since=2026-11-28T09%3A30%3A00Z");
        assert_eq!(tidied("since=2026-11-28T09%3A30%3A01").unwrap(), "since=2026-11-28T09%3A30%3A01Z");
        assert_eq!(tidied("since=2026-11-28T09%3A30%3A01Z"), None);
    }

    #[test]
    fn a_page_keeps_its_filters() {
        let query = "agent=a%26b&cursor=x&min_position=3";
        assert_eq!(address("/r", query, Some(("cursor", "y"))), "/r?agent=a%26b&cursor=y");
        assert_eq!(address("/r", "cursor=x", None), "/r");
    }
}
