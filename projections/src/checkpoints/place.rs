//! A place outside: a folder, or a URL that takes PUT. It holds a few small texts by name.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use super::directory::Directory;
use super::web::Web;

/// A longer text is not a checkpoint, and not read to its end.
pub(super) const LONGEST: usize = 256 * 1024;

/// Where checkpoints are mirrored to.
#[derive(Clone)]
pub enum Place {
    /// A folder, best on another machine.
    Directory(Directory),
    /// A URL under which texts are put and read.
    Web(Web),
}

/// Why a place did not do what it was asked. Never shows a password of its URL.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Neither a folder nor a URL.
    #[error("`{0}` is no place for checkpoints: a folder, or a URL like https://example.org/checkpoints, is expected")]
    Unknown(String),
    /// The folder cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The server did not answer in time, or not as it should.
    #[error("{method} {url}: {detail}")]
    Web {
        /// What was asked.
        method: &'static str,
        /// Of what.
        url: String,
        /// What came of it.
        detail: String,
    },
    /// What is there is longer than any checkpoint.
    #[error("{0} is longer than 256 KiB")]
    TooLong(String),
}

impl Place {
    /// The text under a name, if there is one.
    pub(super) async fn read(&self, name: &str) -> Result<Option<String>, PlaceError> {
        match self {
            Self::Directory(directory) => directory.read(name).await,
            Self::Web(web) => web.read(name).await,
        }
    }

    /// Puts a text under a name, in place of what was there.
    pub(super) async fn write(&self, name: &str, text: &str) -> Result<(), PlaceError> {
        match self {
            Self::Directory(directory) => directory.write(name, text).await,
            Self::Web(web) => web.write(name, text).await,
        }
    }

    /// Puts a text under a name where there is none yet.
    pub(super) async fn keep(&self, name: &str, text: &str) -> Result<(), PlaceError> {
        match self {
            Self::Directory(directory) => directory.keep(name, text).await,
            Self::Web(web) => web.keep(name, text).await,
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let unknown = || PlaceError::Unknown(text.split('@').next_back().unwrap_or_default().to_owned());
        match text.split_once("://") {
            None if text.is_empty() => Err(unknown()),
            None => Ok(Self::Directory(Directory::new(PathBuf::from(text)))),
            Some(("http" | "https", _)) => {
                let url = Url::parse(text).ok().filter(Url::has_host).ok_or_else(unknown)?;
                Web::new(url).map(Self::Web)
            }
            Some(_) => Err(unknown()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.fmt(f),
            Self::Web(web) => web.fmt(f),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_or_a_url_and_shows_no_password() {
        let shown =
            |text: &str| text.parse::<Place>().map(|place| place.to_string()).map_err(|error| error.to_string());
        assert_eq!(shown("/var/mirror").unwrap(), "/var/mirror");
        assert_eq!(shown("https://user:secret@example.org/a").unwrap(), "https://example.org/a/");
        assert_eq!(shown("http://127.0.0.1:80/a/?x=1").unwrap(), "http://127.0.0.1/a/");
        for wrong in ["", "ftp://user:secret@example.org/", "https://", "https://user:secret@:x"] {
            let said = shown(wrong).unwrap_err();
            assert!(said.contains("is no place for checkpoints") && !said.contains("secret"), "{said}");
        }
    }
}
