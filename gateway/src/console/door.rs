//! Who is at the console, and how it is answered: its cookie is the credential that the doors know, and a problem is a page.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::{filters, problem, sign_in};
use crate::access::Known;
use crate::problem::Problem;
use crate::rest::extract::header as text;

/// The cookie with the credential. No script can read it, and it goes nowhere but here.
pub const COOKIE: &str = "xagent_console";
/// What a page may load and do: its own files, its own forms, nothing inline and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Of every answer. The referrer stays on this site: `no-referrer` would hide the origin of our own forms as well.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Puts the credential of the cookie where the doors look for one. No other counts here.
pub async fn by_cookie(mut request: Request, next: Next) -> Response {
    let credential = cookie(request.headers()).map(str::to_owned);
    bear(request.headers_mut(), credential.as_deref());
    if let Some(query) = request.uri().query().and_then(filters::tidied) {
        let target = format!("{}?{query}", request.uri().path());
        if let Ok(target) = target.parse::<Uri>() {
            *request.uri_mut() = target;
        }
    }
    next.run(request).await
}

/// The request with this credential, or with none.
pub fn bear(headers: &mut HeaderMap, credential: Option<&str>) {
    headers.remove(header::AUTHORIZATION);
    let Some(credential) = credential else { return };
    if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {credential}")) {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == COOKIE && !value.is_empty()).map(|(_, value)| value)
}

/// Keeps who looks beside the answer, so that a problem can be shown under their name.
pub async fn knowing(request: Request, next: Next) -> Response {
    let known = request.extensions().get::<Known>().cloned();
    let mut response = next.run(request).await;
    if let Some(known) = known {
        response.extensions_mut().insert(known);
    }
    response
}

/// What is known of a request when it has been answered.
struct Visit {
    method: Method,
    target: String,
    /// The page it came from.
    from: Option<String>,
    /// Whether a program reads the answer.
    follows: bool,
    had_cookie: bool,
}

/// Problems as pages, and on every answer what browsers must keep to.
pub async fn paged(request: Request, next: Next) -> Response {
    let visit = Visit::of(&request);
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>()
        && !visit.follows
    {
        response = visit.told(&problem, response);
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert_with(|| HeaderValue::from_static("no-store"));
    response
}

impl Visit {
    fn of(request: &Request) -> Self {
        let headers = request.headers();
        let follows = text(headers, "accept").is_some_and(|accept| accept.starts_with("text/event-stream"));
        let target = request.uri().path_and_query().map_or("", |target| target.as_str()).to_owned();
        let from = text(headers, "referer").and_then(|referer| referer.parse::<Uri>().ok());
        let from = from.and_then(|from| from.path_and_query().map(|target| target.as_str().to_owned()));
        Self { method: request.method().clone(), target, from, follows, had_cookie: cookie(headers).is_some() }
    }

    fn told(&self, problem: &Problem, mut response: Response) -> Response {
        let unknown = response.status() == StatusCode::UNAUTHORIZED;
        let signs_in = self.method == Method::POST && self.target == sign_in::PATH;
        if unknown && !signs_in {
            return self.to_sign_in();
        }
        let who = response.extensions_mut().remove::<Known>().map(|known| known.principal);
        let back = response.extensions_mut().remove::<sign_in::Back>().unwrap_or_default();
        let page = if signs_in { sign_in::refused(problem, &back) } else { problem::page(problem, who.as_ref()) };
        let (mut parts, _) = response.into_parts();
        for stale in [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::WWW_AUTHENTICATE] {
            parts.headers.remove(stale);
        }
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        Response::from_parts(parts, Body::from(page.into_string()))
    }

    /// Where to sign in, and then go on from where this was.
    fn to_sign_in(&self) -> Response {
        let here = if self.method == Method::GET { Some(&self.target) } else { self.from.as_ref() };
        let ended = if self.had_cookie { Some(("ended", "1")) } else { None };
        let next = here.map(|here| ("next", here.as_str()));
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(next.into_iter().chain(ended)).finish();
        let mut response = Redirect::to(&format!("{}?{query}", sign_in::PATH)).into_response();
        if self.had_cookie {
            response.headers_mut().insert(header::SET_COOKIE, sign_in::NO_COOKIE);
        }
        response
    }
}
