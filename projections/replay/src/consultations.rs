//! One consultation of a model: its request built again from the state before it, and its reply read again.

use xagent_domain::Recorded;
use xagent_domain::run::{
    Consultation, Exchange, Functions, PlannerSpec, Proposal, REQUEST_FORM, Reply, Run, chat_request,
};

use crate::decisions::json;
use crate::{Divergence, Kind, Recordings};

/// What was asked is what the run before it gives, and what was proposed is what the reply says.
pub(crate) fn check_consultation(
    recordings: &Recordings,
    run: &Run,
    event: &Recorded,
    made: &Consultation,
) -> Result<(), Box<Divergence>> {
    let Some(exchange) = &made.exchange else { return Ok(()) };
    let at = |recorded: String, replayed: String| Divergence::at(event, Kind::Consultation, recorded, replayed);
    if exchange.form != REQUEST_FORM {
        let replayed = format!("requests of the form {} cannot be built here", exchange.form);
        return Err(at(made.perceived.to_string(), replayed));
    }
    let missing = |what: &str| at(what.to_owned(), "not recorded as it is to be".to_owned());
    let functions =
        recordings.text(&exchange.tools).and_then(Functions::recorded).ok_or_else(|| missing("functions"))?;
    let chat = run.planner().and_then(PlannerSpec::chat).ok_or_else(|| missing("the model"))?;
    let texts = |content: &xagent_domain::Content| recordings.text(content).map(str::to_owned);
    let request = chat_request(run, chat, &functions, &texts).map_err(|error| at(String::new(), error.to_string()))?;
    if request.digest() != made.perceived {
        return Err(at(made.perceived.to_string(), request.digest().to_string()));
    }
    proposed(recordings, run, made, exchange, &functions).map_err(|replayed| at(json(&made.proposal), replayed))
}

fn proposed(
    recordings: &Recordings,
    run: &Run,
    made: &Consultation,
    exchange: &Exchange,
    functions: &Functions,
) -> Result<(), String> {
    let reply = exchange.reply.as_ref().and_then(|content| recordings.text(content)).and_then(Reply::recorded);
    match (reply, &made.proposal) {
        (Some(reply), recorded) => {
            let read = reply.reading(made.step, run, functions).proposal;
            if read == *recorded { Ok(()) } else { Err(json(&read)) }
        }
        (None, Proposal::Unusable { .. } | Proposal::GiveUp { .. }) => Ok(()),
        (None, _) => Err("there is no reply that proposes anything".to_owned()),
    }
}
