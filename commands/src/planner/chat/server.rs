//! The server of models this process may ask, and the key to it.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use url::Url;

/// The key to a model's server. It is shown nowhere.
#[derive(Clone)]
pub struct ModelKey(String);

/// Where models are, and bounds of asking them.
#[derive(Clone, Debug)]
pub struct ModelServerOptions {
    /// The base of the API, for example `https://models.example/v1`.
    pub url: String,
    /// The key, sent as a bearer token.
    pub key: Option<ModelKey>,
    /// The model of runs that name none.
    pub model: Option<String>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long a server may be silent in the middle of a reply.
    pub silence: Duration,
    /// Requests sent for one consultation at most.
    pub attempts: u32,
}

/// What is wrong with the server of models.
#[derive(Debug, thiserror::Error)]
pub enum ModelServerError {
    /// Its URL.
    #[error(
        "`{0}` is not the base URL of a model's API: use http or https without user, query and fragment, for example https://models.example/v1"
    )]
    Url(String),
    /// Its key.
    #[error("the key to the model's server cannot stand in a header: it must be one line of visible ASCII")]
    Key,
    /// The client.
    #[error("the client of the model's server cannot be made: {0}")]
    Client(String),
}

/// A client of one server of models. Cheap to clone.
#[derive(Clone)]
pub struct ModelServer {
    pub(super) client: reqwest::Client,
    pub(super) completions: Url,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) options: ModelServerOptions,
}

impl ModelKey {
    /// A key; space around it is none of it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// A text without the key in it.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "[key]") }
    }
}

impl fmt::Debug for ModelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelKey")
    }
}

impl ModelServer {
    /// Follows no redirect and uses no proxy: what is sent goes where the configuration says.
    pub fn new(mut options: ModelServerOptions) -> Result<Self, ModelServerError> {
        let bad = || ModelServerError::Url(options.url.split('@').next_back().unwrap_or_default().to_owned());
        let base = Url::parse(options.url.trim_end_matches('/')).map_err(|_| bad())?;
        let plain = matches!(base.scheme(), "http" | "https")
            && base.host_str().is_some()
            && base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none();
        if !plain {
            return Err(bad());
        }
        let completions = format!("{}/chat/completions", base.as_str().trim_end_matches('/'));
        let completions = Url::parse(&completions).map_err(|_| bad())?;
        options.url = base.as_str().trim_end_matches('/').to_owned();
        let authorization = options.key.as_ref().map(bearer).transpose()?;
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(options.timeout.min(Duration::from_secs(10)))
            .timeout(options.timeout)
            .read_timeout(options.silence.min(options.timeout))
            .build()
            .map_err(|error| ModelServerError::Client(error.to_string()))?;
        Ok(Self { client, completions, authorization, options })
    }

    /// The base of its API.
    pub fn url(&self) -> &str {
        &self.options.url
    }

    /// The model of runs that name none.
    pub fn model(&self) -> Option<&str> {
        self.options.model.as_deref()
    }

    /// A text of the server's, fit for the record: without the key, cut.
    pub(super) fn fit(&self, text: &str) -> String {
        let text = self.options.key.as_ref().map_or_else(|| text.to_owned(), |key| key.hidden_in(text));
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
    }
}

fn bearer(key: &ModelKey) -> Result<HeaderValue, ModelServerError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.0)).map_err(|_| ModelServerError::Key)?;
    value.set_sensitive(true);
    if key.0.is_empty() { Err(ModelServerError::Key) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<ModelServer, ModelServerError> {
        let second = Duration::from_secs(1);
        let key = Some(ModelKey::new(" secret\n"));
        let options =
            ModelServerOptions { url: url.to_owned(), key, model: None, timeout: second, silence: second, attempts: 1 };
        ModelServer::new(options)
    }

    #[test]
    fn the_url_is_a_plain_base_and_is_shown_without_what_may_be_secret() {
        assert_eq!(
            server("http://127.0.0.1:1/v1/").unwrap().completions.as_str(),
            "http://127.0.0.1:1/v1/chat/completions"
        );
        for bad in ["ftp://x/v1", "x/v1", "http://u:p@x/v1", "http://x/v1?k=1", "http://x/v1#f"] {
            let error = server(bad).err().unwrap().to_string();
            assert!(!error.contains("u:p"), "{error}");
        }
    }

    #[test]
    fn the_key_is_shown_nowhere() {
        let server = server("http://x/v1").unwrap();
        assert!(!format!("{:?}", server.options).contains("secret"));
        assert!(!format!("{:?}", server.authorization).contains("secret"));
        assert_eq!(server.fit("bad key: secret\r\n"), "bad key: [key]  ");
    }
}
