//! Where an issuer's keys come from: a URL or a file, read within bounds.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::redirect::Policy;
use url::{Host, Url};

use super::jwks::{TrustedKey, parse};

/// A larger key set is not read, in bytes.
const LARGEST: usize = 256 * 1024;
/// How long one attempt to get a key set may take, and to connect.
const FETCH: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);

/// The place of a key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Got by HTTPS, or by HTTP from this very machine.
    Url(Url),
    /// Read from a file.
    File(PathBuf),
}

/// Why a key set cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The place makes no sense.
    #[error("`{0}` is neither an https URL nor a file: keys that anybody on the way can change are worth nothing")]
    Place(String),
    /// It gives no answer, or not a good one.
    #[error("{place}: {detail}")]
    Away {
        /// Where.
        place: String,
        /// What happened.
        detail: String,
    },
}

/// Gets key sets. One per process.
#[derive(Clone)]
pub struct Getter(reqwest::Client);

impl FromStr for Place {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let Some((scheme, _)) = text.split_once("://") else { return Ok(Self::File(PathBuf::from(text))) };
        let unfit = || SourceError::Place(text.to_owned());
        let url = Url::parse(text).map_err(|_| unfit())?;
        let is_here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
            None => false,
        };
        match scheme {
            "https" => Ok(Self::Url(url)),
            "http" if is_here => Ok(Self::Url(url)),
            _ => Err(unfit()),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // A URL may hold a password.
            Self::Url(url) => write!(f, "{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Getter {
    pub fn new() -> Result<Self, SourceError> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(FETCH)
            .connect_timeout(CONNECT)
            .no_proxy()
            .build();
        client.map(Self).map_err(|error| SourceError::Place(error.to_string()))
    }

    /// The keys of a place, now.
    pub async fn get(&self, place: &Place) -> Result<Vec<TrustedKey>, SourceError> {
        let away = |detail: String| SourceError::Away { place: place.to_string(), detail };
        let bytes = match place {
            Place::Url(url) => self.fetch(url).await.map_err(away)?,
            Place::File(path) => read(path).await.map_err(away)?,
        };
        parse(&bytes).map_err(away)
    }

    async fn fetch(&self, url: &Url) -> Result<Vec<u8>, String> {
        let request = self.0.get(url.clone()).header("accept", "application/jwk-set+json, application/json");
        let mut response = request.send().await.map_err(|error| error.without_url().to_string())?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("it answers {}", response.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| error.without_url().to_string())? {
            if bytes.len() + chunk.len() > LARGEST {
                return Err(format!("it is larger than {LARGEST} bytes"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

async fn read(path: &std::path::Path) -> Result<Vec<u8>, String> {
    use tokio::io::AsyncReadExt;
    let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let bound = LARGEST as u64 + 1;
    file.take(bound).read_to_end(&mut bytes).await.map_err(|error| error.to_string())?;
    if bytes.len() > LARGEST { Err(format!("it is larger than {LARGEST} bytes")) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_a_file_or_over_a_way_that_nobody_can_change_them_on() {
        for good in ["https://issuer.example/jwks", "http://127.0.0.1:1/jwks", "http://[::1]:1/k", "http://localhost/k"]
        {
            assert!(matches!(good.parse(), Ok(Place::Url(_))), "{good}");
        }
        assert!(matches!("/etc/xagent/jwks.json".parse(), Ok(Place::File(_))));
        for bad in ["http://issuer.example/jwks", "http://10.0.0.1/k", "file:///etc/k", "ftp://127.0.0.1/k", "https://"]
        {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
