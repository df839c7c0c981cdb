//! Whose tokens a server takes, as it is told.

use std::time::Duration;

use clap::Args;

use super::CliError;
use crate::access::{ClaimNames, IssuerOptions, KeyOptions, Place};

/// Whose tokens are taken beside development tokens.
#[derive(Args, Clone)]
pub struct IssuerArgs {
    /// Where the keys of the token issuer are: an https URL of a JSON Web Key Set, or a file; may be repeated. See docs/auth.md
    #[arg(long = "jwks", env = "XAGENT_JWKS", value_delimiter = ',', value_name = "URL|FILE", help_heading = "Tokens")]
    jwks: Vec<String>,
    /// The issuer (`iss`) tokens must have
    #[arg(long, env = "XAGENT_JWT_ISSUER", value_name = "ISSUER", help_heading = "Tokens")]
    jwt_issuer: Option<String>,
    /// An audience (`aud`) of which tokens must have one; may be repeated
    #[arg(
        long = "jwt-audience",
        env = "XAGENT_JWT_AUDIENCE",
        value_delimiter = ',',
        default_value = "xagent",
        value_name = "AUDIENCE",
        help_heading = "Tokens"
    )]
    jwt_audiences: Vec<String>,
    /// The claim that holds the tenant, or a JSON pointer to it; a token without it is refused. By default `tenant`, which may be missing
    #[arg(long, env = "XAGENT_JWT_TENANT_CLAIM", value_name = "CLAIM", help_heading = "Tokens")]
    jwt_tenant_claim: Option<String>,
    /// The claim that holds the scopes, or a JSON pointer to it; by default `scope` or `scp`
    #[arg(long, env = "XAGENT_JWT_SCOPE_CLAIM", value_name = "CLAIM", help_heading = "Tokens")]
    jwt_scope_claim: Option<String>,
    /// The claim that holds the roles, or a JSON pointer to it; by default `roles`
    #[arg(long, env = "XAGENT_JWT_ROLES_CLAIM", value_name = "CLAIM", help_heading = "Tokens")]
    jwt_roles_claim: Option<String>,
    /// How often the keys are got again, in seconds
    #[arg(long, env = "XAGENT_JWKS_REFRESH_S", default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400), help_heading = "Tokens")]
    jwks_refresh_s: u32,
    /// How soon after that they may be got again for a key that is not known, in seconds
    #[arg(long, env = "XAGENT_JWKS_MIN_GAP_S", default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600), help_heading = "Tokens")]
    jwks_min_gap_s: u32,
    /// How long keys are good while they cannot be got again, in seconds
    #[arg(long, env = "XAGENT_JWKS_MAX_AGE_S", default_value_t = 86_400, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=604_800), help_heading = "Tokens")]
    jwks_max_age_s: u32,
}

impl IssuerArgs {
    /// Whether tokens of an issuer are taken.
    pub fn is_given(&self) -> bool {
        !self.jwks.is_empty()
    }

    pub fn configuration(&self) -> Result<Option<(IssuerOptions, KeyOptions)>, CliError> {
        if !self.is_given() {
            return match &self.jwt_issuer {
                None => Ok(None),
                Some(issuer) => Err(CliError::new(
                    format!("tokens of `{issuer}` cannot be checked: it is not known where its keys are"),
                    "set --jwks (XAGENT_JWKS) to the `jwks_uri` of its /.well-known/openid-configuration",
                )),
            };
        }
        let Some(issuer) = self.jwt_issuer.clone() else {
            let remedy = "set --jwt-issuer (XAGENT_JWT_ISSUER): a token of anybody else with a known key is not for us";
            return Err(CliError::new("it is not known whose tokens are to be taken", remedy));
        };
        let place = |text: &String| {
            let remedy = "give an https URL, or the path of a file that is kept up to date";
            text.parse::<Place>().map_err(|error| CliError::new(error.to_string(), remedy))
        };
        let names = ClaimNames {
            tenant: self.jwt_tenant_claim.clone(),
            scope: self.jwt_scope_claim.clone(),
            roles: self.jwt_roles_claim.clone(),
        };
        let options = IssuerOptions { issuer, audiences: self.jwt_audiences.clone(), names };
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let keys = KeyOptions {
            places: self.jwks.iter().map(place).collect::<Result<_, _>>()?,
            refresh: seconds(self.jwks_refresh_s),
            min_gap: seconds(self.jwks_min_gap_s),
            max_age: seconds(self.jwks_max_age_s),
        };
        Ok(Some((options, keys)))
    }
}
