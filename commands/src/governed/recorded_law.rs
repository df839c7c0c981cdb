//! Recorded bundles: put together from what the ledger holds, and at hand for runs that are decided by one that is not in
//! force.

use std::collections::BTreeMap;

use xagent_domain::bundle::{Bundles, Manifest};
use xagent_domain::governed::Refusal;
use xagent_domain::{CanonicalJson, Content, Digest, Tenant};
use xagent_policies::{Bundle, BundleError};

use super::Executor;
use crate::{CommandError, InvalidInput};

impl Executor {
    /// A published bundle with its content.
    pub(crate) async fn bundle(&self, manifest: &Manifest) -> Result<Bundle, CommandError> {
        let mut modules = BTreeMap::new();
        for (path, content) in &manifest.modules {
            modules.insert(path.clone(), self.text_of(content).await?.into_string());
        }
        let data = self.text_of(&manifest.data).await?.into_string();
        let bundle = Bundle::from_parts(modules, &data).map_err(|error| unloadable(&error))?;
        if bundle.digest() != manifest.digest {
            let message = format!("its content is {}, not {}", bundle.digest(), manifest.digest);
            return Err(InvalidInput::new("/bundle", message).into());
        }
        Ok(bundle)
    }

    /// Has a published bundle at hand that need not be in force.
    pub(crate) async fn hold(&self, digest: &Digest) -> Result<(), CommandError> {
        if self.law().holds_apart(digest) {
            return Ok(());
        }
        let bundles = self.ledger().load::<Bundles>(&Tenant::default_tenant(), "policies").await?.state;
        let missing = || Refusal::NotFound { what: "published bundle", id: digest.to_string() };
        let bundle = self.bundle(bundles.published(digest).ok_or_else(missing)?).await?;
        let law = self.law().clone();
        let taken = tokio::task::spawn_blocking(move || law.take_apart(&bundle)).await;
        let taken = taken.map_err(|error| InvalidInput::new("/bundle", format!("it cannot be taken: {error}")))?;
        taken.map_err(|error| unloadable(&error).into())
    }

    /// The text of a content, inline or from the blob table.
    pub(crate) async fn text_of(&self, content: &Content) -> Result<CanonicalJson, CommandError> {
        let text = match &content.text {
            Some(text) => text.clone(),
            None => self.ledger().blob(&content.digest).await?.text,
        };
        Ok(CanonicalJson::recorded(text))
    }
}

pub(crate) fn unloadable(error: &BundleError) -> InvalidInput {
    InvalidInput::new("/bundle", error.to_string())
}
