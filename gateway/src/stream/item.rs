//! An event as all readers share it: rendered once, with what filters ask of it.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use serde_json::Value;
use tokio::sync::OnceCell;
use xagent_domain::run::Run;
use xagent_domain::{Recorded, Tenant};
use xagent_ledger::{Ledger, LedgerError};

use super::filter::Verdict;
use crate::problem::Problem;
use crate::shown::{shown, unreadable};

/// A rendered event.
pub struct Item {
    pub position: u64,
    pub tenant: Tenant,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub event_type: String,
    sequence: u64,
    /// As server-sent events have it: id, data, an empty line.
    frame: Bytes,
    /// Where in it the JSON begins.
    json: usize,
    verdict: OnceLock<Option<Verdict>>,
    about: OnceCell<About>,
}

/// Whose doing an event is. Most events do not say it themselves: their run does.
#[derive(Default)]
pub struct About {
    pub agent: Option<String>,
    pub tool: Option<String>,
}

/// What ends a frame.
const END: &str = "\n\n";

impl Item {
    /// The event, rendered.
    pub fn new(event: Recorded) -> Result<Arc<Self>, Problem> {
        let (position, sequence, tenant) = (event.position, event.sequence, event.tenant.clone());
        let (aggregate_type, aggregate_id) = (event.aggregate_type.clone(), event.aggregate_id.clone());
        let event_type = event.event_type.clone();
        let unreadable = unreadable(&event);
        let text = serde_json::to_string(&shown(event)?).map_err(|_| unreadable.clone())?;
        // Canonical JSON has no line breaks: this is not what was recorded, and would break the frame.
        if text.contains(['\n', '\r']) {
            return Err(unreadable);
        }
        let start = format!("id: {position}\ndata: ");
        let json = start.len();
        let frame = Bytes::from([&start, text.as_str(), END].concat());
        let (verdict, about) = (OnceLock::new(), OnceCell::new());
        Ok(Arc::new(Self {
            position,
            tenant,
            aggregate_type,
            aggregate_id,
            event_type,
            sequence,
            frame,
            json,
            verdict,
            about,
        }))
    }

    /// The event as server-sent events have it.
    pub fn frame(&self) -> Bytes {
        self.frame.clone()
    }

    /// The event as JSON.
    pub fn json(&self) -> Bytes {
        self.frame.slice(self.json..self.frame.len() - END.len())
    }

    /// Bytes it takes.
    pub fn weight(&self) -> usize {
        self.frame.len() + size_of::<Self>()
    }

    /// What was decided, where it is a decision.
    pub fn verdict(&self) -> Option<Verdict> {
        *self.verdict.get_or_init(|| {
            let made = self.fact();
            let allow = made["allow"].as_bool().filter(|_| self.event_type == "DecisionMade")?;
            let asks = made["obligations"].as_array().is_some_and(|all| all.iter().any(|o| o["type"] == "approval"));
            Some(match (allow, asks) {
                (true, _) => Verdict::Allow,
                (false, true) => Verdict::Approval,
                (false, false) => Verdict::Deny,
            })
        })
    }

    /// Whose doing it is, looked up at most once for all readers.
    pub async fn about(&self, ledger: &Ledger) -> Result<&About, LedgerError> {
        self.about.get_or_try_init(|| self.look_up(ledger)).await
    }

    async fn look_up(&self, ledger: &Ledger) -> Result<About, LedgerError> {
        let fact = self.fact();
        let said = |value: &Value| value.as_str().map(str::to_owned);
        match self.aggregate_type.as_str() {
            "run" => {}
            "tool" => return Ok(About { agent: None, tool: said(&fact["name"]) }),
            _ => return Ok(About::default()),
        }
        // The present state: the decision that lets a run start comes before it has an agent.
        let run = ledger.load_warm::<Run>(&self.tenant, &self.aggregate_id).await?.state;
        let agent = Some(run.agent().to_owned()).filter(|agent| !agent.is_empty());
        let tool = match said(&fact["tool"]["name"]) {
            None => self.tool(&fact, ledger).await?,
            named => named,
        };
        Ok(About { agent, tool })
    }

    /// The tool of the call or the approval that the event is about.
    async fn tool(&self, fact: &Value, ledger: &Ledger) -> Result<Option<String>, LedgerError> {
        let call = [&fact["call"], &fact["question"]["tool_call"]["call"]].into_iter().find_map(Value::as_str);
        let (call, approval) = (call.and_then(|id| id.parse().ok()), fact["approval"].as_str());
        let approval = approval.and_then(|id| id.parse().ok());
        if call.is_none() && approval.is_none() {
            return Ok(None);
        }
        // The state before the event, in which its call is open.
        let run = ledger.load_at::<Run>(&self.tenant, &self.aggregate_id, self.sequence.saturating_sub(1)).await?.state;
        let call = call.or_else(|| approval.and_then(|id| run.approval(&id)).map(|approval| approval.call));
        Ok(call.and_then(|call| run.call(&call)).map(|call| call.tool.name.clone()))
    }

    /// What the event says, without its name.
    fn fact(&self) -> Value {
        let event = serde_json::from_slice::<Value>(&self.json()).unwrap_or_default();
        event["payload"].get(&self.event_type).cloned().unwrap_or_default()
    }
}
