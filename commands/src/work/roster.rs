//! The runs that have not ended, as the ledger's wakes tell of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use xagent_domain::run::Priority;
use xagent_ledger::{RunStart, Wake};

use super::{Lane, Limits, RunKey, Waiting};

/// What a wake brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// There may be something to do.
    Woken(RunKey),
    /// There is nothing to do any more.
    Ended(RunKey),
}

/// What is known of a run.
#[derive(Clone, Debug)]
struct Known {
    priority: Priority,
    agent: Option<String>,
    /// Whether its calls to its client are for its client to execute, as in all runs but forks; false where its start is not
    /// known.
    client_executes: bool,
    /// Position of the last wake.
    woken: u64,
    /// When it was read, or when the run was looked at last.
    looked: Instant,
    /// Whether it was found to wait for somebody since that wake.
    rests: bool,
}

/// All runs that have not ended.
#[derive(Debug)]
pub(super) struct Roster {
    /// The position up to which the ledger was read.
    pub position: u64,
    limits: Arc<Limits>,
    open: HashMap<RunKey, Known>,
    /// Runs that were cancelled, until they are looked at: the worker of a call under way may be gone.
    cancelled: Option<HashMap<RunKey, Known>>,
}

impl Roster {
    pub fn new(limits: Arc<Limits>) -> Self {
        Self { position: 0, limits, open: HashMap::new(), cancelled: None }
    }

    /// One that also remembers the runs that were cancelled, for whoever looks at them.
    pub fn for_sweeps(limits: Arc<Limits>) -> Self {
        Self { cancelled: Some(HashMap::new()), ..Self::new(limits) }
    }

    /// Takes in what the ledger tells, and tells what it means.
    pub fn read(&mut self, wakes: Vec<Wake>) -> Vec<News> {
        wakes.into_iter().filter_map(|wake| self.read_one(wake)).collect()
    }

    fn read_one(&mut self, wake: Wake) -> Option<News> {
        self.position = self.position.max(wake.position);
        let key = RunKey { tenant: wake.tenant, run: wake.aggregate_id };
        match wake.event_type.as_str() {
            "" => None,
            "RunCompleted" | "RunFailed" | "RunCancelled" => {
                let known = self.open.remove(&key).unwrap_or_else(Known::new);
                if let Some(cancelled) = self.cancelled.as_mut().filter(|_| wake.event_type == "RunCancelled") {
                    cancelled.insert(key.clone(), Known { looked: Instant::now(), ..known });
                }
                Some(News::Ended(key))
            }
            _ => {
                // The start of a run may be in an archive: then it is as urgent as any.
                let known = self.open.entry(key.clone()).or_insert_with(Known::new);
                if wake.for_client && known.client_executes {
                    return None;
                }
                (known.woken, known.looked, known.rests) = (wake.position, Instant::now(), false);
                if let Some(RunStart { agent, priority, forked }) = wake.started {
                    known.client_executes = !forked;
                    known.priority = priority.and_then(|name| Priority::named(&name)).unwrap_or_default();
                    known.agent = self.limits.agent(&agent).map(|_| agent);
                }
                Some(News::Woken(key))
            }
        }
    }

    /// All runs that have not ended.
    pub fn open(&self) -> impl Iterator<Item = &RunKey> {
        self.open.keys()
    }

    /// Where a run waits.
    pub fn lane(&self, key: &RunKey) -> Lane {
        let known = self.open.get(key).or_else(|| self.cancelled.as_ref()?.get(key));
        let priority = known.map(|known| known.priority).unwrap_or_default();
        Lane { tenant: key.tenant.clone(), priority, agent: known.and_then(|known| known.agent.clone()) }
    }

    /// The run as it is offered.
    pub fn waiting(&self, key: &RunKey) -> Waiting {
        Waiting { lane: self.lane(key), run: key.run.clone(), tries: 0 }
    }

    /// The runs that were woken after `position`, in that order.
    pub fn woken_after(&self, position: u64) -> Vec<Waiting> {
        let mut woken: Vec<_> = self.open.iter().filter(|(_, known)| known.woken > position).collect();
        woken.sort_by_key(|(_, known)| known.woken);
        woken.into_iter().map(|(key, _)| self.waiting(key)).collect()
    }

    /// Up to `most` runs that may have something to do and were not looked at for `since`, the longest first.
    pub fn unlooked(&self, since: Duration, most: usize) -> Vec<RunKey> {
        let all = self.open.iter().chain(self.cancelled.iter().flatten());
        let mut found: Vec<_> = all.filter(|(_, known)| !known.rests && known.looked.elapsed() >= since).collect();
        found.sort_by_key(|(_, known)| known.looked);
        found.into_iter().take(most).map(|(key, _)| key.clone()).collect()
    }

    /// A run was looked at, and waits for somebody or does not.
    pub fn looked_at(&mut self, key: &RunKey, rests: bool) {
        if let Some(known) = self.open.get_mut(key) {
            (known.looked, known.rests) = (Instant::now(), rests);
        }
        if let Some(cancelled) = self.cancelled.as_mut().filter(|_| rests) {
            cancelled.remove(key);
        }
    }
}

impl Known {
    fn new() -> Self {
        let (priority, agent, client_executes) = (Priority::Normal, None, false);
        Self { priority, agent, client_executes, woken: 0, looked: Instant::now(), rests: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xagent_domain::Tenant;

    fn wake(position: u64, run: &str, event_type: &str, started: Option<(&str, Option<&str>)>) -> Wake {
        let started = started.map(|(agent, priority)| RunStart {
            agent: agent.to_owned(),
            priority: priority.map(str::to_owned),
            forked: false,
        });
        let (tenant, event_type) = (Tenant::default_tenant(), event_type.to_owned());
        Wake { position, tenant, aggregate_id: run.to_owned(), event_type, started, for_client: false }
    }

    #[test]
    fn a_call_that_its_client_executes_wakes_nobody_but_where_recordings_may_answer_it() {
        let call = |position, run| Wake { for_client: true, ..wake(position, run, "ToolCallProposed", None) };
        let mut forked = wake(2, "fork", "RunStarted", Some(("x", None)));
        forked.started.as_mut().unwrap().forked = true;
        let mut roster = Roster::new(Arc::default());
        roster.read(vec![wake(1, "own", "RunStarted", Some(("x", None))), forked]);
        let news = roster.read(vec![call(3, "own"), call(4, "fork"), call(5, "start archived")]);
        let woken = |run: &str| News::Woken(RunKey { tenant: Tenant::default_tenant(), run: run.to_owned() });
        assert_eq!((news, roster.position), (vec![woken("fork"), woken("start archived")], 5));
    }

    #[test]
    fn a_run_waits_where_its_start_says_until_it_ends() {
        let limits = Limits { agents: [("slow".to_owned(), 1)].into(), ..Limits::default() };
        let mut roster = Roster::new(Arc::new(limits));
        roster.read(vec![
            wake(1, "a", "RunStarted", Some(("slow", Some("high")))),
            wake(2, "b", "RunStarted", Some(("other", None))),
            wake(5, "a", "ApprovalGranted", None),
        ]);
        let after = |roster: &Roster, position| {
            let woken = roster.woken_after(position).into_iter();
            woken.map(|found| (found.run, found.lane.priority, found.lane.agent)).collect::<Vec<_>>()
        };
        let (a, b) =
            (("a".to_owned(), Priority::High, Some("slow".to_owned())), ("b".to_owned(), Priority::Normal, None));
        assert_eq!(after(&roster, 0), [b.clone(), a.clone()]);
        assert_eq!(after(&roster, 2), [a]);
        let ended = roster.read(vec![wake(7, "a", "RunFailed", None)]);
        assert_eq!(ended, [News::Ended(RunKey { tenant: Tenant::default_tenant(), run: "a".to_owned() })]);
        assert_eq!((after(&roster, 0), roster.position), (vec![b], 7));
    }

    #[test]
    fn a_run_that_rests_is_looked_at_again_only_when_it_is_woken() {
        let mut roster = Roster::new(Arc::default());
        roster.read(vec![wake(1, "a", "RunStarted", Some(("x", None)))]);
        let found = roster.unlooked(Duration::ZERO, 10);
        assert_eq!(found.len(), 1);
        roster.looked_at(&found[0], true);
        assert!(roster.unlooked(Duration::ZERO, 10).is_empty());
        roster.read(vec![wake(2, "a", "ApprovalGranted", None)]);
        assert_eq!(roster.unlooked(Duration::ZERO, 10).len(), 1);
        assert!(roster.unlooked(Duration::from_secs(60), 10).is_empty());
    }
}
