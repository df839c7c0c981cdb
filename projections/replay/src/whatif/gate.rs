//! Which findings are to stop a change of policy.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::{Class, Tally};

/// What a finding is called that is to stop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    Change(Class),
    Engine,
}

/// The findings that stop it. Where there are any, what could not be decided again stops it too: a gate that cannot see
/// is shut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate(BTreeSet<Finding>);

/// A name that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no finding: name deny-to-allow, allow-to-deny, approval (or approval-to-allow, deny-to-approval, \
     allow-to-approval, approval-to-deny), reasons, engine, any"
)]
pub struct GateError(String);

impl FromStr for Gate {
    type Err = GateError;

    /// Names with commas between them.
    fn from_str(text: &str) -> Result<Self, GateError> {
        let mut gate = BTreeSet::new();
        for name in text.split(',').map(str::trim) {
            let named: Vec<_> = match name {
                "any" => Class::ALL.into_iter().map(Finding::Change).chain([Finding::Engine]).collect(),
                "approval" => Class::ALL.into_iter().filter(|class| class.is_approval()).map(Finding::Change).collect(),
                "engine" => vec![Finding::Engine],
                name => Class::ALL.into_iter().filter(|class| class.name() == name).map(Finding::Change).collect(),
            };
            if named.is_empty() {
                return Err(GateError(name.chars().take(80).collect()));
            }
            gate.extend(named);
        }
        Ok(Self(gate))
    }
}

impl Gate {
    /// What of the findings stops it: names, and how many decisions; nothing where nothing does.
    pub fn stopped_by(&self, tally: &Tally) -> Vec<(&'static str, u64)> {
        let found = self.0.iter().map(|finding| match finding {
            Finding::Change(class) => (class.name(), tally.of(*class)),
            Finding::Engine => ("engine", tally.engines.changed),
        });
        let undecided = ("undecided", if self.0.is_empty() { 0 } else { tally.undecided.count });
        found.chain([undecided]).filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_names_what_stops_it_and_refuses_other_names() {
        let gate: Gate = "deny-to-allow, approval".parse().unwrap();
        assert_eq!(gate.0.len(), 5);
        assert_eq!("any".parse::<Gate>().unwrap().0.len(), 8);
        assert!("allow".parse::<Gate>().is_err() && "".parse::<Gate>().is_err());
        assert_eq!(gate.stopped_by(&Tally::default()), []);
    }
}
