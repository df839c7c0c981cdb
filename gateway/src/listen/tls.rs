//! TLS 1.2 and 1.3 by rustls. The certificate is read again when its files change, and when SIGHUP says so; one that cannot
//! be used leaves the one in force.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Larger files are not read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The files of a server's certificate.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate and those that lead to its root, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or does not hold what it should.
    #[error("{path}: {detail}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Certificate and key do not belong together, or are of a kind that is not taken.
    #[error("the certificate cannot be used: {0}")]
    Unfit(#[from] rustls::Error),
}

impl TlsFiles {
    /// What the files hold now.
    pub async fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let pem = read(&self.certificate).await?;
        let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| unfit(&self.certificate, &error))?;
        if chain.is_empty() {
            return Err(unfit(&self.certificate, &"there is no certificate in it"));
        }
        let pem = read(&self.key).await?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unfit(&self.key, &error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Brings `config` up to date with the files until `stop`.
    pub async fn follow(self, config: RustlsConfig, stop: CancellationToken) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut look = tokio::time::interval(LOOK);
        let mut seen = self.changed().await;
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = look.tick() => false,
                _ = hangup.recv() => true,
            };
            let now = self.changed().await;
            if now == seen && !asked {
                continue;
            }
            match self.load().await {
                Ok(fresh) => {
                    config.reload_from_config(fresh);
                    seen = now;
                    tracing::info!("tls.certificate.reloaded");
                }
                // The two files are seldom written at the same moment: it is tried again.
                Err(error) => tracing::warn!(error = %error, "tls.certificate.kept"),
            }
        }
    }

    async fn changed(&self) -> [Option<SystemTime>; 2] {
        let when = async |path: &Path| tokio::fs::metadata(path).await.and_then(|file| file.modified()).ok();
        [when(&self.certificate).await, when(&self.key).await]
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let size = tokio::fs::metadata(path).await.map_err(|error| unfit(path, &error))?.len();
    if size > LARGEST {
        return Err(unfit(path, &format!("it is larger than {LARGEST} bytes")));
    }
    tokio::fs::read(path).await.map_err(|error| unfit(path, &error))
}

fn unfit(path: &Path, detail: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), detail: detail.to_string() }
}
