//! Whose page sends a form: only those of this very site change anything here, whatever cookie comes along.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::access::refuse_cross_site;
use crate::rest::Doors;
use crate::rest::extract::header as text;

/// Lets reads pass, and forms of pages of ours.
pub async fn own(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads || is_own(request.headers()) {
        return next.run(request).await;
    }
    refuse_cross_site(&doors, request).await
}

/// What the browser says (Fetch Metadata) counts; where it says nothing, as to a host without TLS, the origin must be the
/// host that is asked. Who says neither is no browser, and has the API.
fn is_own(headers: &HeaderMap) -> bool {
    if let Some(site) = text(headers, "sec-fetch-site") {
        return site == "same-origin";
    }
    let (origin, host) = (text(headers, header::ORIGIN.as_str()), text(headers, header::HOST.as_str()));
    let named = origin.and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    named.is_some() && named == host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_ours_where_browser_or_origin_says_so() {
        let cases: [(&[(&str, &str)], bool); 8] = [
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://a:1"), ("host", "a:1")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "http://a:1"), ("host", "a:1")], true),
            (&[("origin", "http://a:2"), ("host", "a:1")], false),
            (&[("origin", "null"), ("host", "a:1")], false),
            (&[("host", "a:1")], false),
        ];
        for (headers, expected) in cases {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            assert_eq!(is_own(&HeaderMap::from_iter::<Vec<_>>(headers.collect())), expected);
        }
    }
}
