//! Commands to upstream MCP servers, and the registration of what they offer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use xagent_domain::governed::Refusal;
use xagent_domain::run::{Executor, Resources, UrlUse};
use xagent_domain::tool::{Registration, ToolSource};
use xagent_domain::upstream::{Declaration, Reach, SEPARATOR, Upstream, UpstreamAct};
use xagent_domain::{CanonicalJson, Decider};

use super::callable::{hypothetical, new_run};
use super::runs::{LONGEST_TEXT, check_text};
use super::{Caller, Commands, Done, Subject};
use crate::tool::{Offered, UpstreamError, check_settings, offered, upstream_url, url_of};
use crate::{Catalog, CommandError, InvalidInput};

/// Characters of an upstream's name.
const LONGEST_NAME: usize = 32;
/// Arguments of a child.
const MOST_ARGUMENTS: usize = 64;
/// The longest a tool of an upstream may take: as long as any tool, in milliseconds.
const LONGEST_MS: u64 = 60_000;
/// Tools of one upstream at work at once.
const MOST_AT_ONCE: u32 = 64;

/// What is said of an upstream's tool that the upstream is not believed about. Where nothing is said, it may do harm.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// `low`, `medium` or `high`.
    pub risk: String,
    /// Whether running it twice is the same as once.
    pub idempotent: bool,
    /// Whether it changes something outside the run.
    pub consequential: bool,
    /// Whether its output comes from sources nobody vouches for.
    pub reads_untrusted: bool,
}

impl Default for Trusted {
    fn default() -> Self {
        Self { risk: "medium".to_owned(), idempotent: false, consequential: true, reads_untrusted: true }
    }
}

/// What is to become of the tools an upstream offers.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// Tools, by the upstream's names, that are registered anew although they describe themselves otherwise than before.
    pub accept: BTreeSet<String>,
    /// What is said of tools, by the upstream's names.
    pub tools: BTreeMap<String, Trusted>,
}

/// What became of the tools an upstream offers, by the names they are registered under.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Discovered {
    /// Registered now.
    pub registered: Vec<String>,
    /// Registered before, and the same.
    pub unchanged: Vec<String>,
    /// Registered before, and described otherwise now: not called until they are accepted.
    pub changed: Vec<String>,
    /// Not taken, with the reason.
    pub refused: BTreeMap<String, String>,
}

impl Commands {
    /// Declares an upstream of the caller's tenant, or changes its declaration.
    pub async fn declare_upstream(&self, caller: &Caller, declared: Declaration) -> Result<Done, CommandError> {
        self.check_declaration(&declared)?;
        let id = Catalog::aggregate_id(&caller.principal.tenant, &declared.name);
        let mut attributes = vec![("upstream", declared.name.clone())];
        attributes.push(match &declared.reach {
            Reach::Stdio { program, .. } => ("program", program.clone()),
            Reach::Http { url, .. } => ("url", url.clone()),
        });
        let body = json!({"upstream": declared.digest()?});
        let subject = Subject { name: "upstream.declare", id, attributes, body };
        let act = UpstreamAct::Declare(Box::new(declared));
        let executed = self.carry_out::<Upstream>(caller, subject, act, Vec::new()).await?;
        Ok(Done { receipt: executed.receipt })
    }

    /// Withdraws an upstream of the caller's tenant: none of its tools is called any more.
    pub async fn withdraw_upstream(&self, caller: &Caller, name: &str, reason: String) -> Result<Done, CommandError> {
        check_text("/reason", &reason, LONGEST_TEXT)?;
        if self.catalog().upstream(&caller.principal.tenant, name).await?.is_none() {
            return Err(Refusal::NotFound { what: "upstream", id: name.chars().take(80).collect() }.into());
        }
        let id = Catalog::aggregate_id(&caller.principal.tenant, name);
        let body = json!({"name": name, "reason": reason});
        let subject = Subject { name: "upstream.withdraw", id, attributes: vec![("upstream", name.to_owned())], body };
        let act = UpstreamAct::Withdraw { reason };
        let executed = self.carry_out::<Upstream>(caller, subject, act, Vec::new()).await?;
        self.upstreams().forget(&caller.principal.tenant, name);
        Ok(Done { receipt: executed.receipt })
    }

    /// The upstreams of the caller's tenant, by name.
    pub async fn upstreams_of(&self, caller: &Caller) -> Result<Vec<Declaration>, CommandError> {
        self.authorise_read(caller, "read.upstreams", Upstream::TYPE, "").await?;
        let tenant = &caller.principal.tenant;
        let ids = self.ledger().aggregate_ids(tenant, Upstream::TYPE, &format!("{tenant}/")).await?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.ledger().load::<Upstream>(tenant, &id).await?.state.declaration().cloned());
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Asks an upstream what it offers and registers what is new. What describes itself otherwise than it was registered
    /// is registered anew only where it is accepted by name.
    pub async fn discover(
        &self,
        caller: &Caller,
        upstream: &str,
        discovery: Discovery,
    ) -> Result<Discovered, CommandError> {
        let tenant = &caller.principal.tenant;
        self.authorise_read(caller, "upstream.discover", Upstream::TYPE, upstream).await?;
        let declared = self.catalog().upstream(tenant, upstream).await?;
        let missing = || Refusal::NotFound { what: "upstream", id: upstream.chars().take(80).collect() };
        let declared = declared.ok_or_else(missing)?;
        let url = self.reachable(caller, &declared).await?;
        let listed = self.upstreams().list(tenant, &declared, url.as_ref()).await;
        let tools = listed.map_err(|error: UpstreamError| InvalidInput::new("/upstream", error.to_string()))?;
        let mut discovered = Discovered::default();
        let mut seen = BTreeSet::new();
        for tool in &tools {
            match offered(&declared, tool) {
                Ok(offered) if seen.insert(offered.name.clone()) => {
                    self.take_in(caller, offered, &discovery, &mut discovered).await?;
                }
                Ok(offered) => drop(discovered.refused.insert(offered.name, "it is offered twice".to_owned())),
                Err(reason) => {
                    let name: String = tool.name.chars().take(80).collect();
                    discovered.refused.insert(name, reason);
                }
            }
        }
        Ok(discovered)
    }

    async fn take_in(
        &self,
        caller: &Caller,
        offered: Offered,
        discovery: &Discovery,
        discovered: &mut Discovered,
    ) -> Result<(), CommandError> {
        let known = self.catalog().registration(&caller.principal.tenant, &offered.name).await?;
        let (name, tool) = (offered.name.clone(), offered.source.tool.clone());
        let said = discovery.tools.get(&tool);
        let same = known.as_ref().is_some_and(|known| known.source.as_ref() == Some(&offered.source));
        if known.is_some() && !same && !discovery.accept.contains(&tool) {
            discovered.changed.push(name);
            return Ok(());
        }
        if same && said.is_none() {
            discovered.unchanged.push(name);
            return Ok(());
        }
        // Each tool is a command of its own: a key names the discovery, and would name them all.
        let caller = Caller { key: None, ..caller.clone() };
        match self.register(&caller, registration(offered, said.cloned().unwrap_or_default())).await {
            Ok(_) => discovered.registered.push(name),
            Err(CommandError::Invalid(error)) => drop(discovered.refused.insert(name, error.to_string())),
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Where an upstream is, resolved once, if the law lets its tools reach it.
    async fn reachable(&self, caller: &Caller, declared: &Declaration) -> Result<Option<UrlUse>, CommandError> {
        let Some(url) = url_of(declared) else { return Ok(None) };
        let url = upstream_url(url, &*self.options.resolver).await;
        let resources = Resources { urls: vec![url.clone()], ..Resources::default() };
        let probe = any_of(&declared.name)?;
        let inquiry = hypothetical(&new_run(&caller.principal), &probe, resources, &self.idle())?;
        let (ruling, _) = self.executor.law().ask(&inquiry).await;
        let document = ruling.evaluation.outcome.document();
        let network =
            document.deny.iter().find(|reason| reason.code.starts_with("network") || reason.code == "invalid_url");
        match network {
            Some(reason) => Err(InvalidInput::new("/upstream", format!("{}: {}", reason.code, reason.message)).into()),
            None if document.allow || document.obligations.iter().any(|o| o.kind == "approval") => Ok(Some(url)),
            None => {
                let reasons: Vec<_> = document.deny.iter().map(|reason| reason.message.as_str()).collect();
                Err(InvalidInput::new("/upstream", format!("you may not call its tools: {}", reasons.join("; ")))
                    .into())
            }
        }
    }

    fn check_declaration(&self, declared: &Declaration) -> Result<(), InvalidInput> {
        let invalid = |field: &str, message: String| Err(InvalidInput::new(field, message));
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if declared.name.is_empty() || declared.name.len() > LONGEST_NAME || !declared.name.bytes().all(plain) {
            return invalid("/name", format!("an upstream is named by 1 to {LONGEST_NAME} of a-z, 0-9 and `-`"));
        }
        if !(1..=MOST_AT_ONCE).contains(&declared.concurrency) {
            return invalid("/concurrency", format!("{} given: 1 to {MOST_AT_ONCE}", declared.concurrency));
        }
        if !(1..=LONGEST_MS).contains(&declared.timeout_ms) {
            return invalid("/timeout_ms", format!("{} given: 1 to {LONGEST_MS}", declared.timeout_ms));
        }
        match &declared.reach {
            Reach::Stdio { program, arguments, environment } => {
                if !Path::new(program).is_absolute() || !self.upstreams().may_start(program) {
                    let message = "not a program that may be started; see `xagent serve --upstream-program`";
                    return invalid("/reach/stdio/program", format!("`{program}`: {message}"));
                }
                if arguments.len() > MOST_ARGUMENTS || arguments.iter().any(|a| a.len() > 4096 || a.contains('\0')) {
                    let message = format!("at most {MOST_ARGUMENTS} arguments of 4096 bytes without NUL");
                    return invalid("/reach/stdio/arguments", message);
                }
                check_settings("/reach/stdio/environment", environment)
            }
            Reach::Http { url, headers } => {
                check_text("/reach/http/url", url, 4096)?;
                check_settings("/reach/http/headers", headers)
            }
        }
    }
}

fn registration(offered: Offered, said: Trusted) -> Registration {
    Registration {
        name: offered.name,
        description: offered.description,
        schema: offered.schema,
        output_schema: None,
        executor: Executor::Upstream,
        risk: said.risk,
        idempotent: said.idempotent,
        consequential: said.consequential,
        reads_untrusted: said.reads_untrusted,
        paths: Vec::new(),
        urls: Vec::new(),
        code: BTreeMap::default(),
        trusted_source: false,
        roles: BTreeMap::default(),
        source: Some(offered.source),
    }
}

/// A tool that stands for all that an upstream may offer.
fn any_of(upstream: &str) -> Result<Registration, InvalidInput> {
    let schema = CanonicalJson::of_value(&json!({"type": "object"}));
    let schema = schema.map_err(|error| InvalidInput::new("/schema", error.to_string()))?;
    let source = ToolSource { upstream: upstream.to_owned(), tool: "any".to_owned(), pin: schema.digest() };
    let (name, description) = (format!("{upstream}{SEPARATOR}any"), String::new());
    Ok(registration(Offered { name, description, schema, source }, Trusted::default()))
}
