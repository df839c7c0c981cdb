//! From events to changes of the views: pure. Runs as of the event before come in, and go out as of the last one.

use std::collections::BTreeMap;

use xagent_domain::access::AccessEvent;
use xagent_domain::run::RunEvent;
use xagent_domain::{Decider, DecisionMade, Recorded, read};

use super::RunView;
use super::cache::RunKey;
use super::change::Changes;
use super::noted::{Noted, note};
use super::usage::Usage;
use crate::tables::decision_row;

/// Runs that a batch is about; none where one cannot be folded: then the ledger, which says why, answers for it.
pub(super) type Runs = BTreeMap<RunKey, Option<RunView>>;

/// Folds a batch into the runs it is about, all of which are there.
pub(super) fn fold(events: &[Recorded], runs: &mut Runs) -> Changes {
    let mut folding = Folding::default();
    for event in events {
        match event.aggregate_type.as_str() {
            "run" => folding.of_run(event, runs),
            _ if event.event_type == "DecisionMade" => folding.of_no_run(event),
            _ => {}
        }
    }
    folding.give()
}

/// The changes so far, and the run whose last event they end with.
#[derive(Default)]
struct Folding {
    changes: Changes,
    usage: Usage,
    noted: Option<(RunKey, Noted)>,
}

impl Folding {
    fn of_run(&mut self, event: &Recorded, runs: &mut Runs) {
        let key = (event.tenant.to_string(), event.aggregate_id.clone());
        if self.noted.as_ref().is_some_and(|(last, _)| *last != key) {
            self.settle();
        }
        let Some(slot) = runs.get_mut(&key) else { return };
        let Some(view) = slot else { return };
        let Ok(fact) = read::<RunEvent>(&event.event_type, &event.event_version, &event.payload) else {
            tracing::error!(position = event.position, event_type = event.event_type, "view.run.unreadable");
            *slot = None;
            self.noted = Some((key, Noted::Gone));
            return;
        };
        if let RunEvent::DecisionMade(made) = &fact {
            self.decided(event, made, Some(view));
        }
        let denied = view.state.tally().clone();
        view.state.evolve(&fact);
        (view.sequence, view.position, view.updated_at_us) = (event.sequence, event.position, event.recorded_at_us);
        if !matches!(fact, RunEvent::EventInherited(_)) {
            let counts = self.usage.of(&key.0, event.recorded_at_us, view.state.agent());
            counts.tool_calls += u64::from(view.state.tally().total.saturating_sub(denied.total));
            counts.denied_calls += u64::from(view.state.tally().denied.saturating_sub(denied.denied));
            counts.runs += u64::from(matches!(fact, RunEvent::RunStarted { .. }));
            if let RunEvent::PlannerConsulted(consultation) = &fact {
                counts.consultations += 1;
                counts.tokens += consultation.tokens;
            }
        }
        let noted = note(&key, event, &fact, view, &mut self.changes);
        self.noted = Some((key, noted));
    }

    /// A decision that belongs to no run. All aggregates record it alike.
    fn of_no_run(&mut self, event: &Recorded) {
        match read(&event.event_type, &event.event_version, &event.payload) {
            Ok(AccessEvent::DecisionMade(made)) => self.decided(event, &made, None),
            Ok(AccessEvent::CommandRefused { .. } | AccessEvent::RequestsRefused { .. }) | Err(_) => {
                tracing::error!(position = event.position, event_type = event.event_type, "view.decision.unreadable");
            }
        }
    }

    fn decided(&mut self, event: &Recorded, made: &DecisionMade, run: Option<&RunView>) {
        let row = decision_row(event, made, run.map(|view| &view.state));
        let tenant = event.tenant.as_str();
        let counts = self.usage.of(tenant, event.recorded_at_us, row.agent.as_deref().unwrap_or_default());
        counts.decisions += 1;
        counts.denials += u64::from(row.verdict == "deny");
        self.changes.decision(tenant, &row);
    }

    /// Of events of one run in a row, the last one says where it stands among those that go on.
    fn settle(&mut self) {
        if let Some((key, noted)) = self.noted.take() {
            noted.give(&key, &mut self.changes);
        }
    }

    fn give(mut self) -> Changes {
        self.settle();
        self.usage.give(&mut self.changes);
        self.changes
    }
}
