//! What became of a call, in words for a model, with ids for machines in `_meta`.

use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject, ResultType};
use serde_json::Value;
use xagent_commands::CallEnd;
use xagent_domain::run::Approval;
use xagent_domain::{ApprovalId, CallId, DecisionId, DecisionMade, Reason, RunId};

use super::remedy::remedy;

/// What an answer is about.
#[derive(Clone, Copy, Default)]
pub(super) struct About {
    pub run: Option<RunId>,
    pub call: Option<CallId>,
    pub decision: Option<DecisionId>,
    pub approval: Option<ApprovalId>,
}

impl About {
    fn meta(self) -> Option<MetaObject> {
        let ids = [
            ("xagent/run", self.run.map(|id| id.to_string())),
            ("xagent/call", self.call.map(|id| id.to_string())),
            ("xagent/decision", self.decision.map(|id| id.to_string())),
            ("xagent/approval", self.approval.map(|id| id.to_string())),
        ];
        let ids = ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), Value::String(id?))));
        Some(MetaObject(ids.collect::<JsonObject>()))
    }

    /// A tool error with these words.
    pub fn error(self, text: impl Into<String>) -> CallToolResult {
        let mut result = CallToolResult::error(vec![ContentBlock::text(text.into())]);
        result.meta = self.meta();
        result
    }

    /// The law said no.
    pub fn refused(self, deny: &[Reason]) -> CallToolResult {
        let decision = self.decision.map(|id| format!(" (decision {id})")).unwrap_or_default();
        let mut lines = vec![format!("Refused by policy{decision}. The tool did not run.")];
        for reason in deny {
            let remedy = remedy(&reason.code).map(|remedy| format!(" What to do: {remedy}.")).unwrap_or_default();
            lines.push(format!("- {}: {}.{remedy}", reason.code, reason.message));
        }
        if !deny.iter().any(|reason| reason.code == "rate_limited") {
            lines.push("The same call will be refused again; the refusal is recorded.".to_owned());
        }
        self.error(lines.join("\n"))
    }

    /// The same, of a decision on a command or a second decision on the call.
    pub fn denied(mut self, decision: &DecisionMade) -> CallToolResult {
        self.decision = Some(decision.decision);
        self.refused(&decision.deny)
    }

    /// A person must say yes first.
    pub fn waits(mut self, approval: ApprovalId, why: &[Reason], asked: Option<&Approval>) -> CallToolResult {
        self.approval = Some(approval);
        let reasons: Vec<&str> = why.iter().map(|reason| reason.message.as_str()).collect();
        let because = asked.map_or_else(|| reasons.join("; "), |asked| asked.reason.clone());
        self.error(format!(
            "Waits for an approval: {approval}. The tool did not run.\nWhy: {because}.\nHow to go on: somebody other \
             than the principal of this call answers it with POST /v1/approvals/{approval}/grant. Granted, the call is \
             carried out once. Then call this tool again with exactly the same arguments: the answer is its outcome. \
             Other arguments need an approval of their own."
        ))
    }

    /// It has not ended in time.
    pub fn under_way(self, waited: Duration) -> CallToolResult {
        let (run, call) = (shown(self.run), shown(self.call));
        self.error(format!(
            "No outcome after {} s. The call {call} of the run {run} is not withdrawn: it goes on and its outcome will \
             be recorded there (GET /v1/runs/{run}/events). Calling again would run the tool again.",
            waited.as_secs()
        ))
    }

    /// How it ended.
    pub fn ended(self, end: CallEnd, of_upstream: bool) -> CallToolResult {
        match end {
            CallEnd::Completed { succeeded, output } => self.completed(succeeded, output, of_upstream),
            CallEnd::Denied(decision) => self.denied(&decision),
            CallEnd::Refused { refused_by, reason } => self.error(format!(
                "The approval was refused by {refused_by}: {reason}. The tool did not run. Choose another way; calling \
                 again asks for another approval."
            )),
            CallEnd::Interrupted { reason } => self.error(format!(
                "Interrupted: {reason}. Whether the tool did its work is not known, and it is not run again by itself. \
                 Look at what it would have changed before calling again."
            )),
            CallEnd::RunEnded(status) => self.error(format!(
                "The run {} was {} before the call could start. The tool did not run.",
                shown(self.run),
                status.as_str()
            )),
        }
    }

    fn completed(self, succeeded: bool, output: Value, of_upstream: bool) -> CallToolResult {
        let passed_on = || serde_json::from_value::<CallToolResult>(output.clone()).ok();
        let mut result = match (of_upstream.then(passed_on).flatten(), succeeded) {
            (Some(passed_on), _) => passed_on,
            (None, true) => {
                let mut result = CallToolResult::success(vec![ContentBlock::text(output.to_string())]);
                result.structured_content = output.is_object().then_some(output);
                result
            }
            (None, false) => {
                let text = output["error"].as_str().map_or_else(|| output.to_string(), str::to_owned);
                CallToolResult::error(vec![ContentBlock::text(text)])
            }
        };
        // Upstreams of older protocols do not say that this is all.
        result.result_type = Some(ResultType::COMPLETE);
        result.is_error = Some(!succeeded);
        let mut meta = result.meta.take().unwrap_or_default();
        meta.extend(self.meta().unwrap_or_default());
        result.meta = Some(meta);
        result
    }
}

fn shown(id: Option<impl std::fmt::Display>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
