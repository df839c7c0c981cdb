//! What may be called: registrations by tenant, arguments checked against their schemas.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonschema::Validator;
use serde_json::Value;
use xagent_domain::run::{Executor, Propose, Resources};
use xagent_domain::tool::{Registration, Tool};
use xagent_domain::upstream::{Declaration, SEPARATOR, Upstream};
use xagent_domain::{ApprovalId, CallId, CanonicalJson, Digest, Tenant};
use xagent_ledger::Ledger;

use super::resources::{resources, upstream_url};
use super::upstream::url_of;
use super::{Resolver, builtin_registrations, is_builtin};
use crate::{CommandError, Ids, InvalidInput};

/// Compiled schemas kept; beyond it they are compiled anew.
const KEPT: usize = 4096;
/// How old a registration may be that another process has replaced: less than what passes between the look at it and the
/// commit of what was decided on it.
const STALENESS: Duration = Duration::from_millis(100);

/// The tools of every tenant. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    ledger: Ledger,
    ids: Ids,
    resolver: Arc<dyn Resolver>,
    validators: Arc<Mutex<HashMap<Digest, Arc<Validator>>>>,
}

/// A call somebody wants made.
pub(crate) struct Wanted<'a> {
    /// What answers for the network's names in the place of the usual resolver.
    pub resolver: Option<&'a dyn Resolver>,
    pub tenant: &'a Tenant,
    pub label: String,
    pub tool: &'a str,
    pub arguments: &'a Value,
    pub approval_ttl_us: i64,
}

impl Catalog {
    /// Over the ledger; names in URLs are resolved by `resolver`.
    pub fn new(ledger: Ledger, resolver: Arc<dyn Resolver>) -> Self {
        Self { ledger, ids: Ids, resolver, validators: Arc::default() }
    }

    /// The stream of a tool.
    pub fn aggregate_id(tenant: &Tenant, name: &str) -> String {
        format!("{tenant}/{name}")
    }

    /// The registration in force; a built-in one where the tenant never registered its own.
    pub async fn registration(&self, tenant: &Tenant, name: &str) -> Result<Option<Registration>, CommandError> {
        if check_name(name, "/tool").is_err() {
            return Ok(None);
        }
        let loaded = self.ledger.load_within::<Tool>(tenant, &Self::aggregate_id(tenant, name), STALENESS).await?;
        match loaded.state.registration() {
            Some(registration) => Ok(Some(registration.clone())),
            None if loaded.sequence == 0 && is_builtin(name) => {
                Ok(builtin_registrations()?.into_iter().find(|tool| tool.name == name))
            }
            None => Ok(None),
        }
    }

    /// An upstream, as it is declared.
    pub(crate) async fn upstream(&self, tenant: &Tenant, name: &str) -> Result<Option<Declaration>, CommandError> {
        if check_name(name, "/upstream").is_err() {
            return Ok(None);
        }
        let loaded = self.ledger.load_within::<Upstream>(tenant, &Self::aggregate_id(tenant, name), STALENESS).await?;
        Ok(loaded.state.declaration().cloned())
    }

    /// What a call would touch: what its arguments say, and the network its upstream is on.
    async fn touched(
        &self,
        tenant: &Tenant,
        tool: &Registration,
        arguments: &Value,
        resolver: &dyn Resolver,
    ) -> Result<Resources, CommandError> {
        let mut touched = resources(tool, arguments, resolver).await;
        if let Some(source) = &tool.source {
            let withdrawn = || {
                InvalidInput::new(
                    "/tool",
                    format!("the upstream `{}` of `{}` was withdrawn", source.upstream, tool.name),
                )
            };
            let upstream = self.upstream(tenant, &source.upstream).await?.ok_or_else(withdrawn)?;
            if let Some(url) = url_of(&upstream) {
                touched.urls.push(upstream_url(url, resolver).await);
            }
        }
        Ok(touched)
    }

    /// All tools of a tenant, by name.
    pub async fn all(&self, tenant: &Tenant) -> Result<Vec<Registration>, CommandError> {
        let prefix = format!("{tenant}/");
        let mut names: Vec<String> = builtin_registrations()?.into_iter().map(|tool| tool.name).collect();
        let ids = self.ledger.aggregate_ids(tenant, "tool", &prefix).await?;
        names.extend(ids.iter().filter_map(|id| id.strip_prefix(&prefix)).map(str::to_owned));
        names.sort();
        names.dedup();
        let mut tools = Vec::with_capacity(names.len());
        for name in names {
            tools.extend(self.registration(tenant, &name).await?);
        }
        Ok(tools)
    }

    /// A checked proposal: the tool is known, the arguments fit its schema, what it would touch is normalised.
    pub(crate) async fn proposal(&self, wanted: Wanted<'_>) -> Result<Propose, CommandError> {
        let unknown = || InvalidInput::new("/tool", format!("there is no tool `{}`; see GET /v1/tools", wanted.tool));
        check_name(wanted.tool, "/tool")?;
        let tool = self.registration(wanted.tenant, wanted.tool).await?.ok_or_else(unknown)?;
        self.check_arguments(&tool, wanted.arguments)?;
        let canonical = CanonicalJson::of_value(wanted.arguments);
        let resolver = wanted.resolver.unwrap_or(&*self.resolver);
        Ok(Propose {
            call: CallId::new(self.ids.draw()),
            approval: ApprovalId::new(self.ids.draw()),
            approval_ttl_us: wanted.approval_ttl_us,
            label: wanted.label,
            tool: tool.facts()?,
            arguments: canonical.map_err(|error| InvalidInput::new("/arguments", error.to_string()))?,
            resources: self.touched(wanted.tenant, &tool, wanted.arguments, resolver).await?,
            values: tool.values(wanted.arguments),
        })
    }

    fn check_arguments(&self, tool: &Registration, arguments: &Value) -> Result<(), CommandError> {
        let validator = self.validator(tool)?;
        let Some(error) = validator.iter_errors(arguments).next() else { return Ok(()) };
        let field = format!("/arguments{}", error.instance_path());
        let message: String = error.to_string().chars().take(300).collect();
        Err(InvalidInput::new(field, format!("{message} (schema of the tool `{}`)", tool.name)).into())
    }

    fn validator(&self, tool: &Registration) -> Result<Arc<Validator>, CommandError> {
        let digest = tool.schema.digest();
        let mut kept = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = kept.get(&digest) {
            return Ok(Arc::clone(validator));
        }
        let validator = Arc::new(compile(&tool.schema)?);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(digest, Arc::clone(&validator));
        Ok(validator)
    }
}

fn compile(schema: &CanonicalJson) -> Result<Validator, InvalidInput> {
    let invalid = |message: String| InvalidInput::new("/schema", format!("not a JSON Schema: {message}"));
    let value = schema.value().map_err(|error| invalid(error.to_string()))?;
    jsonschema::validator_for(&value).map_err(|error| invalid(error.to_string()))
}

/// Checks a registration before it is recorded.
pub(crate) fn check_registration(tool: &Registration) -> Result<(), InvalidInput> {
    check_name(&tool.name, "/name")?;
    if !["low", "medium", "high"].contains(&tool.risk.as_str()) {
        return Err(InvalidInput::new("/risk", format!("`{}` is none of low, medium, high", tool.risk)));
    }
    if tool.executor == Executor::Builtin && !is_builtin(&tool.name) {
        let message = format!("there is no built-in tool `{}`: register it with the executor `client`", tool.name);
        return Err(InvalidInput::new("/executor", message));
    }
    let is_upstreams = tool.executor == Executor::Upstream;
    if is_upstreams != tool.source.is_some() || is_upstreams != tool.name.contains(SEPARATOR) {
        let message = format!(
            "a tool of an upstream, and no other, has `{SEPARATOR}` in its name, and it is registered by discovery: \
             see POST /v1/upstreams/NAME/discover"
        );
        return Err(InvalidInput::new(if is_upstreams { "/executor" } else { "/name" }, message));
    }
    for schema in tool.output_schema.iter().chain([&tool.schema]) {
        compile(schema)?;
    }
    Ok(())
}

fn check_name(name: &str, field: &str) -> Result<(), InvalidInput> {
    let fits = (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    let shown: String = name.chars().take(80).collect();
    let message = format!("`{shown}` is not a tool name: 1 to 128 letters, digits, `_`, `-`, `.`");
    fits.then_some(()).ok_or_else(|| InvalidInput::new(field, message))
}
