//! Checking a token: the key decides the algorithm, the token only names the key.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::claims::{ClaimNames, IssuerOptions, principal};
use super::header::{Header, header};
use super::ring::{KeyRing, Missing};
use super::secret::{AUDIENCE, ISSUER};
use super::{Known, Refused, Secret, Why};

/// Clock differences tolerated, in seconds.
const LEEWAY_S: u64 = 5;

/// What tokens are checked with. The secret and the issuer's keys never meet: each token is checked with one key, of the
/// family its algorithm is of.
#[derive(Clone)]
pub struct Tokens {
    /// Of development tokens; none where there are none.
    pub secret: Option<Secret>,
    /// Of an issuer's tokens.
    pub issuer: Option<(IssuerOptions, KeyRing)>,
}

/// One key, and what its tokens must say.
struct Check<'a> {
    algorithm: Algorithm,
    key: DecodingKey,
    issuer: &'a str,
    audiences: Vec<&'a str>,
    names: &'a ClaimNames,
}

impl Tokens {
    /// Who `token` stands for.
    pub async fn verify(&self, token: &str) -> Result<Known, Refused> {
        let head = header(token)?;
        let check = self.check(&head).await.map_err(|refused| refused.naming(head.kid.as_deref()))?;
        verified(token, &check).map_err(|refused| refused.naming(head.kid.as_deref()))
    }

    async fn check(&self, head: &Header) -> Result<Check<'_>, Refused> {
        let algorithm = match head.algorithm.as_str() {
            "HS256" => return self.development(),
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            "EdDSA" => Algorithm::EdDSA,
            _ => return Err(algorithm_refused()),
        };
        let Some((options, ring)) = &self.issuer else { return Err(algorithm_refused()) };
        let trusted = ring.find(algorithm, head.kid.as_deref()).await.map_err(|missing| match missing {
            Missing::Unknown => Refused::new(
                Why::UnknownKey,
                "the bearer token is not valid: no key of its issuer has its `kid` and algorithm",
            ),
            Missing::Ambiguous => Refused::new(
                Why::UnknownKey,
                "the bearer token is not valid: it names no `kid`, and its issuer has several keys",
            ),
            Missing::Away => {
                Refused::new(Why::KeysAway, "the keys of the token issuer cannot be got right now; try again")
            }
        })?;
        let audiences = options.audiences.iter().map(String::as_str).collect();
        let (issuer, names) = (options.issuer.as_str(), &options.names);
        Ok(Check { algorithm: trusted.algorithm, key: trusted.key, issuer, audiences, names })
    }

    fn development(&self) -> Result<Check<'_>, Refused> {
        let secret = self.secret.as_ref().ok_or_else(algorithm_refused)?;
        let (key, audiences) = (secret.decoding(), vec![AUDIENCE]);
        Ok(Check { algorithm: Algorithm::HS256, key, issuer: ISSUER, audiences, names: &ClaimNames::OWN })
    }
}

fn algorithm_refused() -> Refused {
    Refused::new(Why::Algorithm, "the bearer token is not valid: tokens of its algorithm are not taken")
}

fn verified(token: &str, check: &Check<'_>) -> Result<Known, Refused> {
    let mut validation = Validation::new(check.algorithm);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.set_issuer(&[check.issuer]);
    validation.set_audience(&check.audiences);
    // `nbf` is checked where there is one: many issuers leave it out (RFC 9068 section 2.2 does not ask for it).
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &check.key, &validation);
    let claims = decoded.map_err(|error| unfit(error.kind()))?.claims;
    let principal = principal(&claims, check.names)?;
    let expires_s = claims.get("exp").and_then(Value::as_f64).unwrap_or_default();
    // What does not fit becomes the nearest that does.
    let until_s = (expires_s as i64).saturating_add(LEEWAY_S.cast_signed());
    Ok(Known { principal, credential: None, until_s })
}

/// The library's reasons as ours. Its words may repeat the token, so they are not taken.
fn unfit(kind: &ErrorKind) -> Refused {
    let (why, detail) = match kind {
        ErrorKind::InvalidSignature => (Why::BadSignature, "its signature is not that of the key it names".to_owned()),
        ErrorKind::ExpiredSignature => (Why::Expired, "it has expired: get another one".to_owned()),
        ErrorKind::ImmatureSignature => (Why::NotYetValid, "its time has not come yet".to_owned()),
        ErrorKind::InvalidIssuer => (Why::WrongIssuer, "it is of another issuer than the one configured".to_owned()),
        ErrorKind::InvalidAudience => (Why::WrongAudience, "it is for another audience".to_owned()),
        ErrorKind::MissingRequiredClaim(name) => (Why::BadClaims, format!("it lacks the claim `{name}`")),
        ErrorKind::InvalidAlgorithm => (Why::Algorithm, "its algorithm is not that of the key it names".to_owned()),
        ErrorKind::Json(_) | ErrorKind::InvalidClaimFormat(_) => {
            (Why::BadClaims, "its claims are not what they should be".to_owned())
        }
        _ => (Why::Malformed, "it cannot be read".to_owned()),
    };
    Refused::new(why, format!("the bearer token is not valid: {detail}"))
}
