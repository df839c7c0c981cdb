//! Signing in with a token or an api key, and out. The credential comes in the body of a form and stays in the cookie: it is
//! in no address, no page and no log.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::door::{COOKIE, bear};
use super::form::filled;
use super::layout::{self, Here};
use crate::problem::{Problem, ProblemType};
use crate::rest::Doors;
use crate::rest::extract::{Calling, Parameters, header as text, invalid};

/// Where.
pub const PATH: &str = "/console/sign-in";
/// The cookie, gone.
pub const NO_COOKIE: HeaderValue =
    HeaderValue::from_static("xagent_console=; Path=/console; Max-Age=0; HttpOnly; SameSite=Strict");

/// Where to go on.
#[derive(Clone, Debug, Default)]
pub struct Back(String);

#[derive(Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
    ended: Option<String>,
}

#[derive(Deserialize)]
struct Presented {
    token: String,
    #[serde(default)]
    next: String,
}

/// The form.
pub async fn page(Parameters(asked): Parameters<Asked>) -> Html<String> {
    let said = asked
        .ended
        .map(|_| html! { p.notice role="status" { "Your sign-in has ended. Sign in to go on from where you were." } });
    Html(form(&asked.next, said).into_string())
}

/// The form again, with why it was not enough.
pub fn refused(problem: &Problem, Back(next): &Back) -> Markup {
    let said = html! {
        div.notice.bad role="alert" { p { strong { (problem.title) ": " } (problem.detail) } }
    };
    form(next, Some(said))
}

fn form(next: &str, said: Option<Markup>) -> Markup {
    layout::page(
        "Sign in",
        Here::Nowhere,
        None,
        html! {
            div.narrow {
                h1 { "Sign in" }
                @if let Some(said) = said { (said) }
                form.card.stack method="post" action=(PATH) {
                    input type="hidden" name="next" value=(inside(next));
                    label for="token" { "Token or API key" }
                    input id="token" name="token" type="password" required autocomplete="current-password"
                        autocapitalize="none" spellcheck="false" autofocus aria-describedby="token-help";
                    p.soft #token-help {
                        "The one you use with the API. It decides what you see and may do here. It is kept in a cookie that no \
                         script can read, for as long as it is good."
                    }
                    button.primary type="submit" { "Sign in" }
                }
                details.card {
                    summary { "Where do I get one?" }
                    p { "On the machine that runs the server, for development:" }
                    pre { code { "xagent token --subject me --scope '*'" } }
                    p { "Elsewhere, from whoever issues your organisation's tokens, or as an API key from an operator." }
                }
            }
        },
    )
}

/// Takes the credential out of the form and puts it where the doors look for one.
pub async fn by_form(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let presented: Presented = match filled(body).await {
        Ok(presented) => presented,
        Err(problem) => return problem.into_response(),
    };
    let token = presented.token.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
    bear(&mut parts.headers, Some(token).filter(|token| !token.is_empty()));
    let back = Back(presented.next);
    parts.extensions.insert(back.clone());
    let mut response = next.run(Request::from_parts(parts, Body::empty())).await;
    response.extensions_mut().insert(back);
    response
}

/// Whoever comes this far is known: the cookie is theirs until the credential ends.
pub async fn enter(
    State(doors): State<Doors>,
    calling: Calling,
    back: axum::Extension<Back>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let bearer = text(&headers, header::AUTHORIZATION.as_str()).and_then(|value| value.split_once(' '));
    let credential = bearer.map(|(_, credential)| credential.trim()).unwrap_or_default();
    // What a cookie can hold (RFC 6265 section 4.1.1); a credential that was verified holds nothing else.
    if !credential.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\')) {
        return Err(calling.problem(Problem::new(ProblemType::InvalidInput, "no cookie can hold this").at("token")));
    }
    let left_s = calling.until_s.saturating_sub(doors.commands.executor().now_us() / 1_000_000).max(0);
    // The browser says whether it came by TLS, also where a proxy ends it.
    let secure = text(&headers, "origin").is_some_and(|origin| origin.starts_with("https://"));
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={credential}; Path=/console; Max-Age={left_s}; HttpOnly; SameSite=Strict{secure}");
    let mut cookie = HeaderValue::from_str(&cookie).map_err(|_| calling.problem(invalid("token", "it is no token")))?;
    cookie.set_sensitive(true);
    let mut response = Redirect::to(inside(&back.0.0)).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Forgets the credential.
pub async fn leave() -> Response {
    let mut response = Redirect::to(PATH).into_response();
    response.headers_mut().insert(header::SET_COOKIE, NO_COOKIE);
    response
}

/// A place of the console, whatever was asked for: nobody is sent elsewhere from here.
fn inside(next: &str) -> &str {
    let plain = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let here = next == "/console" || next.starts_with("/console/");
    if plain && here && !next.starts_with(PATH) && !next.contains("/../") { next } else { "/console/runs" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_out_of_the_console() {
        for good in ["/console/runs?status=running", "/console", "/console/runs/run_1?at=3"] {
            assert_eq!(inside(good), good);
        }
        for bad in [
            "",
            "//evil.example",
            "https://evil.example/console/",
            "/v1/runs",
            "/console/../v1/runs",
            "/consolex",
            "/console/\\evil",
            "/console/a\r\nset-cookie: x",
            PATH,
        ] {
            assert_eq!(inside(bad), "/console/runs", "{bad}");
        }
    }
}
