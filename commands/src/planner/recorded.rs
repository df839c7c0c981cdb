//! The recorded planner: a model's replies to an earlier run, given again for as long as this one sees the same. It asks no
//! model: where there is no recording of exactly this request, it says so.

use std::collections::BTreeMap;

use xagent_domain::run::{Reply, RunEvent};
use xagent_domain::{Digest, Tenant, read};

use super::{Answered, Asked, Model, NoReply, Usage};
use crate::{CommandError, Commands};

/// Events read at once.
const PAGE: u32 = 500;

/// One recorded reply.
#[derive(Clone, Debug)]
struct Recording {
    perceived: Digest,
    reply: Option<Reply>,
    reason: String,
    model: String,
    usage: Usage,
}

/// The recorded replies of a run, by step.
#[derive(Debug)]
pub(crate) struct RecordedReplies(BTreeMap<u32, Recording>);

impl RecordedReplies {
    /// Reads them from the ledger.
    pub(crate) async fn of(commands: &Commands, tenant: &Tenant, run: &str) -> Result<Self, CommandError> {
        let mut recordings = BTreeMap::new();
        let mut after = 0;
        loop {
            let page = commands.ledger().stream(tenant, "run", run, after, PAGE).await?;
            let told = ["PlannerConsulted", "EventInherited"];
            for event in page.iter().filter(|event| told.contains(&event.event_type.as_str())) {
                let fact = read::<RunEvent>(&event.event_type, &event.event_version, &event.payload);
                let Ok(RunEvent::PlannerConsulted(consultation)) = fact.map(RunEvent::itself) else { continue };
                let Some(exchange) = consultation.exchange else { continue };
                let reply = match &exchange.reply {
                    Some(content) => Reply::recorded(commands.text_of(content).await?.as_str()),
                    None => None,
                };
                let usage = Usage { input: exchange.input_tokens, output: exchange.output_tokens };
                let reason = match consultation.proposal {
                    xagent_domain::run::Proposal::Unusable { reason } => reason,
                    _ => "its reply was not recorded".to_owned(),
                };
                let (perceived, model) = (consultation.perceived, exchange.model);
                recordings.insert(consultation.step, Recording { perceived, reply, reason, model, usage });
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = last.sequence,
                _ => return Ok(Self(recordings)),
            }
        }
    }
}

impl Model for RecordedReplies {
    async fn ask(&self, asked: Asked<'_>) -> Answered {
        let Some(recording) = self.0.get(&asked.step) else {
            return Answered::nothing(NoReply::last(format!("no reply to step {} is recorded", asked.step)));
        };
        if recording.perceived != asked.body.digest() {
            let reason =
                format!("step {} sees something else than the recorded one did: there is no reply to it", asked.step);
            return Answered::nothing(NoReply::last(reason));
        }
        let no_reply = || NoReply { reason: recording.reason.clone(), received: None, is_final: false };
        Answered {
            model: recording.model.clone(),
            usage: Some(recording.usage),
            reply: recording.reply.clone().ok_or_else(no_reply),
            attempts: 0,
            failures: Vec::new(),
        }
    }
}
