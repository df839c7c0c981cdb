//! Why a credential is not accepted: a stable code, words for people, and nothing of the credential but the name of its key.

use crate::problem::{Problem, ProblemType};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// Why a request is refused before the law is asked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Why {
            $($(#[$doc])* $name,)*
        }

        impl Why {
            /// As it is recorded.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// All codes.
            #[cfg(test)]
            pub const CODES: &'static [&'static str] = &[$($code,)*];
        }
    };
}

reasons! {
    /// No credential, or none of a kind that is taken.
    Missing = "missing";
    /// It is no token.
    Malformed = "malformed";
    /// It is longer than any token.
    TooLong = "too_long";
    /// The token brings a key, points to one, or wants what is not understood.
    ForbiddenHeader = "forbidden_header";
    /// No key of ours is of its algorithm.
    Algorithm = "algorithm";
    /// It names a key that is none of ours.
    UnknownKey = "unknown_key";
    /// Our key did not make its signature.
    BadSignature = "bad_signature";
    /// Its time is over.
    Expired = "expired";
    /// Its time has not come.
    NotYetValid = "not_yet_valid";
    /// It is of another issuer.
    WrongIssuer = "wrong_issuer";
    /// It is for another audience.
    WrongAudience = "wrong_audience";
    /// A claim is missing, or is not what it should be.
    BadClaims = "bad_claims";
    /// The issuer's keys have not been got for too long.
    KeysAway = "keys_away";
    /// It begins like an api key and is none.
    ApiKeyMalformed = "api_key_malformed";
    /// There is no such api key.
    ApiKeyUnknown = "api_key_unknown";
    /// The secret is not that of the key it names.
    ApiKeyWrongSecret = "api_key_wrong_secret";
    /// The api key has expired.
    ApiKeyExpired = "api_key_expired";
    /// The api key was revoked.
    ApiKeyRevoked = "api_key_revoked";
    /// Api keys cannot be checked.
    ApiKeysAway = "api_keys_away";
    /// There is no such thing in the principal's tenant; that it may be another's is not said, and not known here.
    NotFound = "not_found";
    /// A form of the console came from a page of another site.
    CrossSite = "cross_site";
    /// The principal asked for more than its rate.
    Rate = "rate";
    /// The principal has too many requests under way.
    Concurrency = "concurrency";
}

/// A credential that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub why: Why,
    /// For people. It repeats nothing of the credential.
    pub detail: String,
    /// The key it names.
    pub kid: Option<String>,
}

impl Refused {
    pub fn new(why: Why, detail: impl Into<String>) -> Self {
        Self { why, detail: detail.into(), kid: None }
    }

    /// With the name of the key, where it can be written: whoever sends it chose it.
    #[must_use]
    pub fn naming(mut self, kid: Option<&str>) -> Self {
        let fits = |kid: &&str| {
            (1..=64).contains(&kid.len())
                && kid.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        self.kid = kid.map(|kid| Some(kid).filter(fits).unwrap_or("(not written)").to_owned());
        self
    }
}

impl From<&Refused> for Problem {
    fn from(refused: &Refused) -> Self {
        let kind = match refused.why {
            Why::KeysAway | Why::ApiKeysAway => ProblemType::Unavailable,
            Why::Rate | Why::Concurrency => ProblemType::RateLimited,
            Why::CrossSite => ProblemType::CrossSite,
            _ => ProblemType::Unauthenticated,
        };
        let problem = Self::new(kind, refused.detail.clone());
        if kind == ProblemType::Unauthenticated { problem.at("Authorization") } else { problem }
    }
}
