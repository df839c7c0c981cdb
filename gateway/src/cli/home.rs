//! The folder of a private instance: its secret, and where its servers are.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rand::RngCore;
use serde::{Deserialize, Serialize};

use super::error::CliError;
use crate::access::Secret;

/// The secret that signs checkpoints, and its file where it was made just now.
pub struct LogKey {
    pub seed: [u8; 32],
    pub made: Option<PathBuf>,
}

/// A folder, `.xagent` unless told otherwise.
pub struct Home(PathBuf);

/// Where the servers of a private instance are. Readable by its owner only: the URLs hold passwords.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connection {
    pub url: String,
    pub database_url: String,
    pub nats_url: String,
    pub redis_url: String,
}

impl Home {
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Creates the folder where it is missing. Others may pass through it, for Postgres runs as another user under root.
    pub fn create(&self) -> Result<(), CliError> {
        let created = std::fs::DirBuilder::new().recursive(true).mode(0o711).create(&self.0);
        created.map_err(|error| self.failed("create", &self.0, &error))
    }

    /// Where the servers are, if `xagent up` said so.
    pub fn connection(&self) -> Option<Connection> {
        let text = std::fs::read_to_string(self.0.join("connection.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    pub fn remember(&self, connection: &Connection) -> Result<(), CliError> {
        let path = self.0.join("connection.json");
        let text = serde_json::to_string_pretty(connection).map_err(|e| CliError::new(e.to_string(), "report this"))?;
        self.write(&path, text.as_bytes())
    }

    /// The token secret: from the environment, from a file, or the one of this folder, made where there is none yet.
    pub fn secret(&self, file: Option<&Path>) -> Result<Secret, CliError> {
        let bytes = match (std::env::var("XAGENT_JWT_SECRET"), file) {
            (Ok(text), None) => text.into_bytes(),
            (_, Some(file)) => {
                std::fs::read(file).map_err(|error| self.failed("read", file, &error))?.trim_ascii().to_vec()
            }
            (Err(_), None) => self.own("jwt-secret")?,
        };
        Secret::new(bytes).map_err(|message| CliError::new(message, "make one with `openssl rand -hex 32`"))
    }

    /// Whether there is a token secret already.
    pub fn has_secret(&self) -> bool {
        std::env::var_os("XAGENT_JWT_SECRET").is_some() || self.0.join("jwt-secret").exists()
    }

    /// The key that signs checkpoints: 64 hex digits from a file, from the environment, or the one of this folder, made
    /// where there is none yet.
    pub fn log_key(&self, file: Option<&Path>) -> Result<LogKey, CliError> {
        let (text, made) = match (std::env::var("XAGENT_CHECKPOINT_KEY"), file) {
            (_, Some(file)) => (std::fs::read(file).map_err(|error| self.failed("read", file, &error))?, None),
            (Ok(text), None) => (text.into_bytes(), None),
            (Err(_), None) => {
                let there = self.0.join("checkpoint-key").exists();
                (self.own("checkpoint-key")?, (!there).then(|| self.0.join("checkpoint-key")))
            }
        };
        let mut seed = [0; 32];
        let read = hex::decode_to_slice(text.trim_ascii(), &mut seed);
        let remedy = "make one with `openssl rand -hex 32`, and keep it: it signs every checkpoint";
        // What is wrong with a secret is not told character by character.
        read.map(|()| LogKey { seed, made })
            .map_err(|_| CliError::new("the key that signs checkpoints is not 64 hex digits", remedy))
    }

    /// A secret of this folder, made where there is none yet.
    fn own(&self, name: &str) -> Result<Vec<u8>, CliError> {
        let path = self.0.join(name);
        if let Ok(bytes) = std::fs::read(&path) {
            return Ok(bytes);
        }
        self.create()?;
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        let text = hex::encode(bytes).into_bytes();
        let beside = self.beside(&path, &text)?;
        // A link is made only where nothing has the name: of two processes that start at once, one makes the secret.
        let linked = std::fs::hard_link(&beside, &path);
        std::fs::remove_file(&beside).map_err(|error| self.failed("remove", &beside, &error))?;
        match linked {
            Ok(()) => tracing::warn!(path = %path.display(), "secret.made"),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(self.failed("write", &path, &error)),
        }
        std::fs::read(&path).map_err(|error| self.failed("read", &path, &error))
    }

    /// Beside it, then renamed over it, for its owner only.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), CliError> {
        let beside = self.beside(path, bytes)?;
        std::fs::rename(&beside, path).map_err(|error| self.failed("write", path, &error))
    }

    fn beside(&self, path: &Path, bytes: &[u8]) -> Result<PathBuf, CliError> {
        let beside = path.with_extension(format!("{}.part", std::process::id()));
        let open = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside);
        open.and_then(|mut file| file.write_all(bytes)).map_err(|error| self.failed("write", &beside, &error))?;
        Ok(beside)
    }

    fn failed(&self, what: &str, path: &Path, error: &std::io::Error) -> CliError {
        CliError::new(
            format!("cannot {what} {}: {error}", path.display()),
            "check the path and its permissions, or choose another folder with --home",
        )
    }
}
