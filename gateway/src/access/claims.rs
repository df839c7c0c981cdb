//! From claims to a principal. Issuers name things differently, so the names are configured.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use xagent_domain::{Principal, Tenant};

use super::{Refused, Why};

/// Which claims hold what. A name that begins with `/` is a JSON pointer (RFC 6901) into the claims.
#[derive(Clone, Debug)]
pub struct ClaimNames {
    /// The tenant. Where it is named here, a token without it is refused; otherwise `tenant`, and `default` without it.
    pub tenant: Option<String>,
    /// The scopes, separated by spaces or as an array; otherwise `scope`, or `scp`.
    pub scope: Option<String>,
    /// The roles, as an array or separated by spaces; otherwise `roles`.
    pub roles: Option<String>,
}

/// Whose tokens are accepted.
#[derive(Clone, Debug)]
pub struct IssuerOptions {
    /// The `iss` they must have.
    pub issuer: String,
    /// Of these, one must be in their `aud`.
    pub audiences: Vec<String>,
    /// Where they say what.
    pub names: ClaimNames,
}

impl ClaimNames {
    /// As our own tokens have them.
    pub const OWN: Self = Self { tenant: None, scope: None, roles: None };
}

type Claims = Map<String, Value>;

/// The principal of verified claims.
pub fn principal(claims: &Claims, names: &ClaimNames) -> Result<Principal, Refused> {
    let id = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    let is_plain = (1..=200).contains(&id.len()) && !id.chars().any(char::is_control);
    if !is_plain || id.starts_with("system:") {
        return Err(bad("its subject is empty, too long or reserved"));
    }
    let scope = match (&names.scope, claims.get("scope"), claims.get("scp")) {
        (Some(name), ..) => find(claims, name),
        (None, Some(scope), _) | (None, None, Some(scope)) => Some(scope),
        (None, None, None) => None,
    };
    let roles = find(claims, names.roles.as_deref().unwrap_or("roles"));
    Ok(Principal {
        id: id.to_owned(),
        tenant: tenant(claims, names.tenant.as_deref())?,
        scopes: texts(scope).ok_or_else(|| bad("its scopes are neither a text nor an array of texts"))?,
        roles: texts(roles).ok_or_else(|| bad("its roles are neither a text nor an array of texts"))?,
    })
}

fn tenant(claims: &Claims, name: Option<&str>) -> Result<Tenant, Refused> {
    match (find(claims, name.unwrap_or("tenant")), name) {
        (Some(Value::String(tenant)), _) => tenant.parse().map_err(|_| bad("its tenant is not one (a-z, 0-9 and `-`)")),
        (None, None) => Ok(Tenant::default_tenant()),
        (None, Some(_)) => Err(bad("it names no tenant")),
        (Some(_), _) => Err(bad("its tenant is no text")),
    }
}

fn find<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    let Some(pointer) = name.strip_prefix('/') else { return claims.get(name) };
    let (first, rest) = pointer.split_once('/').map_or((pointer, None), |(first, rest)| (first, Some(rest)));
    let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    rest.map_or(Some(value), |rest| value.pointer(&format!("/{rest}")))
}

/// The words of a text, or the texts of an array; none where it is neither.
fn texts(value: Option<&Value>) -> Option<BTreeSet<String>> {
    match value {
        None | Some(Value::Null) => Some(BTreeSet::new()),
        Some(Value::String(text)) => Some(text.split_ascii_whitespace().map(str::to_owned).collect()),
        Some(Value::Array(all)) => all.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    }
}

fn bad(detail: &str) -> Refused {
    Refused::new(Why::BadClaims, format!("the bearer token is not valid: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(claims: Value, names: &ClaimNames) -> Result<Principal, Refused> {
        principal(claims.as_object().unwrap(), names)
    }

    #[test]
    fn scopes_and_roles_are_texts_or_arrays_under_configured_names() {
        let own = of(json!({"sub": "a", "scp": ["x", "y"], "roles": "r s"}), &ClaimNames::OWN).unwrap();
        assert_eq!(own.scopes.into_iter().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(own.roles.into_iter().collect::<Vec<_>>(), ["r", "s"]);
        let names = ClaimNames {
            tenant: Some("https://example.com/tenant".to_owned()),
            scope: Some("permissions".to_owned()),
            roles: Some("/realm_access/roles".to_owned()),
        };
        let claims = json!({
            "sub": "a", "scope": "not this", "permissions": "p", "realm_access": {"roles": ["r"]},
            "tenant": "not-this", "https://example.com/tenant": "acme",
        });
        let theirs = of(claims, &names).unwrap();
        assert_eq!((theirs.tenant.as_str(), theirs.scopes.len()), ("acme", 1));
        assert!(theirs.scopes.contains("p") && theirs.roles.contains("r"));
    }

    #[test]
    fn a_tenant_that_is_configured_must_be_there_and_be_one() {
        let named = ClaimNames { tenant: Some("org".to_owned()), ..ClaimNames::OWN };
        assert_eq!(of(json!({"sub": "a", "tenant": "acme"}), &named).unwrap_err().why, Why::BadClaims);
        assert_eq!(of(json!({"sub": "a"}), &ClaimNames::OWN).unwrap().tenant, Tenant::default_tenant());
        for bad in [json!("A.B"), json!(""), json!(7), json!(["acme"]), json!(null)] {
            assert!(of(json!({"sub": "a", "tenant": bad}), &ClaimNames::OWN).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_subject_that_nobody_may_have_is_refused() {
        for bad in [json!(""), json!("system:worker"), json!(7), json!("a\nb"), json!("x".repeat(201))] {
            assert!(of(json!({"sub": bad}), &ClaimNames::OWN).is_err(), "{bad}");
        }
        assert!(of(json!({}), &ClaimNames::OWN).is_err());
    }
}
