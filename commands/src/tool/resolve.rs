//! Names to addresses: asked once for each URL of a call, before the law sees it.

use std::fmt::Debug;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

/// How long a name may take to resolve; without an address the law denies.
const RESOLUTION: Duration = Duration::from_secs(2);

/// Addresses to come.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send + 'a>>;

/// Resolves names.
pub trait Resolver: Debug + Send + Sync {
    /// The addresses of a name; none where it has none or none was found in time.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

/// The resolver of this host.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            match tokio::time::timeout(RESOLUTION, tokio::net::lookup_host((host, 0))).await {
                Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
                Ok(Err(_)) | Err(_) => Vec::new(),
            }
        })
    }
}
