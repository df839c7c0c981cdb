//! Bringing a call to its end without its tool: by a recording, or for want of one.

use xagent_domain::run::{Act, Call, CallStatus, Run};

use super::{Walk, Worker};
use crate::CommandError;

impl Worker {
    /// Answers a call of a run that continues another one. None where its tool is to be set to work.
    pub(super) async fn answer_call(&self, walk: &Walk, run: &Run, call: &Call) -> Result<Option<Run>, CommandError> {
        let (Some(fork), Some(answering)) = (run.fork(), &walk.answering) else { return Ok(None) };
        let after = fork.answered(&call.arguments_digest);
        let Some((outcome, duration_us)) = answering.recordings.end(&call.arguments_digest, after) else {
            if answering.live {
                return Ok(None);
            }
            return Ok(Some(self.record(walk, Act::MissRecording { call: call.id }, Vec::new()).await?.state));
        };
        let arguments = self.commands.text_of(&call.arguments).await?;
        let started = self.record(walk, Act::StartCall { call: call.id, arguments }, Vec::new()).await?.state;
        // A denial on a second decision has ended it.
        if started.call_status(&call.id) != Some(CallStatus::Started) {
            return Ok(Some(started));
        }
        let act = Act::CompleteCall { call: call.id, outcome, duration_us };
        Ok(Some(self.record_closing(walk, act, Vec::new()).await?))
    }
}
