//! Who asks.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Tenant;

/// The authenticated caller of a command, with what its token grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Principal {
    /// The token's subject.
    pub id: String,
    /// The token's tenant.
    #[schemars(with = "String")]
    pub tenant: Tenant,
    /// Granted scopes, sorted.
    pub scopes: BTreeSet<String>,
    /// Roles, sorted.
    pub roles: BTreeSet<String>,
}
