//! Whether what makes a command's repetition known fits the command's events. It stands beside its first event, under no
//! hash, so this is all that can be said of it. Pure; only the walk calls it.

use super::fault::Fault;
use super::inspect::Checked;
use crate::row::Row;

/// The command whose events are being walked over.
#[derive(Default)]
pub(super) struct Keys(Option<Open>);

struct Open {
    row: Row,
    position: u64,
    /// Events it still counts.
    left: i32,
}

impl Keys {
    /// The next event of the walk.
    pub(super) fn meet(&mut self, event: &Checked) -> Option<Fault> {
        let open = self.0.take().filter(|_| event.holds());
        let wrong = |detail| Some(Fault::Command { position: event.position, detail });
        if !event.holds() {
            return event.command.and_then(wrong);
        }
        let command = event.row.command();
        let fault = event.command.and_then(wrong);
        let goes_on = |open: &Open| command.id.is_none() && same_command(&open.row, &event.row);
        let counted = open.and_then(|open| match (open.left, goes_on(&open)) {
            (1.., true) => {
                self.0 = Some(Open { left: open.left - 1, ..open });
                None
            }
            (1.., false) => told(&open, "command_events counts more events than the command has"),
            (_, true) if is_named(&open.row) => told(&open, "command_events counts fewer events than the command has"),
            _ => None,
        });
        if let (Some(_), Some(events)) = (command.id, command.events) {
            self.0 = Some(Open { row: event.row.clone(), position: event.position, left: events.saturating_sub(1) });
        }
        fault.or(counted)
    }

    /// What follows does not follow on what was.
    pub(super) fn interrupt(&mut self) {
        self.0 = None;
    }

    /// The end of the ledger.
    pub(super) fn finish(&mut self) -> Option<Fault> {
        self.0
            .take()
            .filter(|open| open.left > 0)
            .and_then(|open| told(&open, "command_events counts more events than the command has"))
    }
}

fn told(open: &Open, detail: &'static str) -> Option<Fault> {
    Some(Fault::Command { position: open.position, detail })
}

/// Events of one command are in one stream and have their metadata in common.
fn same_command(one: &Row, other: &Row) -> bool {
    one.stream() == other.stream() && one.metadata() == other.metadata()
}

/// Whether the metadata tell the command from others.
fn is_named(row: &Row) -> bool {
    let id = row.command().id.and_then(|id| std::str::from_utf8(id).ok()).filter(|id| !id.is_empty());
    row.metadata().is_ok_and(|metadata| id.is_some_and(|id| metadata.contains(id)))
}
