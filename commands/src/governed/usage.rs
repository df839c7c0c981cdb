//! Counters of the last minute, per principal, that policies may use. In this process only.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use xagent_domain::{Principal, Usage};

const MINUTE_US: i64 = 60_000_000;
/// Principals remembered at once; beyond it, those idle for a minute are forgotten.
const REMEMBERED: usize = 10_000;
/// Moments kept per counter: no limit a policy sets is larger.
const KEPT: usize = 20_000;
/// Tools of a principal remembered at once; beyond it, those idle for a minute are forgotten.
const TOOLS: usize = 1000;

/// What a principal did of late.
#[derive(Default)]
struct Recent {
    commands: VecDeque<i64>,
    tool_calls: VecDeque<i64>,
    by_tool: HashMap<String, VecDeque<i64>>,
}

/// Counts commands and tool calls.
#[derive(Default)]
pub struct UsageCounters(Mutex<HashMap<(String, String), Recent>>);

impl UsageCounters {
    /// Counts one command, and one call of `tool` where it proposes one; returns the counts before it.
    pub fn count(&self, principal: &Principal, tool: Option<&str>, now_us: i64) -> Usage {
        let mut all = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.retain(|_, recent| recent.commands.back().is_some_and(|at| at + MINUTE_US > now_us));
        }
        let recent = all.entry((principal.tenant.to_string(), principal.id.clone())).or_default();
        let usage = Usage {
            commands_last_minute: live(&mut recent.commands, now_us),
            tool_calls_last_minute: live(&mut recent.tool_calls, now_us),
            this_tool_last_minute: Some(tool.map_or(0, |tool| recent.calls_of(tool, now_us))),
        };
        push(&mut recent.commands, now_us);
        if let Some(tool) = tool {
            push(&mut recent.tool_calls, now_us);
            recent.count_tool(tool, now_us);
        }
        usage
    }
}

impl Recent {
    fn calls_of(&mut self, tool: &str, now_us: i64) -> u32 {
        self.by_tool.get_mut(tool).map_or(0, |calls| live(calls, now_us))
    }

    fn count_tool(&mut self, tool: &str, now_us: i64) {
        if self.by_tool.len() >= TOOLS {
            self.by_tool.retain(|_, calls| live(calls, now_us) > 0);
        }
        push(self.by_tool.entry(tool.to_owned()).or_default(), now_us);
    }
}

fn live(moments: &mut VecDeque<i64>, now_us: i64) -> u32 {
    while moments.front().is_some_and(|at| at + MINUTE_US <= now_us) {
        moments.pop_front();
    }
    u32::try_from(moments.len()).unwrap_or(u32::MAX)
}

fn push(moments: &mut VecDeque<i64>, now_us: i64) {
    if moments.len() == KEPT {
        moments.pop_front();
    }
    moments.push_back(now_us);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_principal_and_by_tool_for_a_minute() {
        let counters = UsageCounters::default();
        let tenant = xagent_domain::Tenant::default_tenant();
        let alice = |id: &str| Principal {
            id: id.to_owned(),
            tenant: tenant.clone(),
            scopes: Default::default(),
            roles: Default::default(),
        };
        let seen = |id: &str, tool: Option<&str>, now_us| {
            let usage = counters.count(&alice(id), tool, now_us);
            (usage.commands_last_minute, usage.tool_calls_last_minute, usage.this_tool_last_minute)
        };
        assert_eq!(seen("alice", Some("a"), 0), (0, 0, Some(0)));
        assert_eq!(seen("alice", Some("b"), 1), (1, 1, Some(0)));
        assert_eq!(seen("alice", Some("a"), 2), (2, 2, Some(1)));
        assert_eq!(seen("alice", None, 3), (3, 3, Some(0)));
        assert_eq!(seen("bob", Some("a"), 4), (0, 0, Some(0)));
        assert_eq!(seen("alice", Some("a"), MINUTE_US + 1), (2, 1, Some(1)));
    }
}
