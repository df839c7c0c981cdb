//! Taking turns: tenants one after the other, however much each has waiting; within a tenant the more urgent first.

use std::collections::{HashMap, VecDeque};

use xagent_domain::Tenant;
use xagent_domain::run::Priority;

/// What waits, by tenant and priority.
#[derive(Debug)]
pub(super) struct Fair<T> {
    /// Tenants with something waiting, whose turn is next at the front.
    turns: VecDeque<Tenant>,
    waiting: HashMap<Tenant, [VecDeque<T>; Priority::ALL.len()]>,
}

impl<T> Default for Fair<T> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), waiting: HashMap::new() }
    }
}

impl<T> Fair<T> {
    /// Puts one at the end of its tenant's line.
    pub fn push(&mut self, tenant: &Tenant, priority: Priority, item: T) {
        if !self.waiting.contains_key(tenant) {
            self.turns.push_back(tenant.clone());
        }
        self.waiting.entry(tenant.clone()).or_default()[priority as usize].push_back(item);
    }

    /// The most urgent one of the tenant whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let tenant = self.turns.pop_front()?;
        let lines = self.waiting.get_mut(&tenant)?;
        let item = lines.iter_mut().find_map(VecDeque::pop_front);
        if lines.iter().all(VecDeque::is_empty) {
            self.waiting.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        item
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.turns.clear();
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_of_a_tenant_waits_for_one_turn_of_the_others_however_many_they_have() {
        let mut fair = Fair::default();
        let tenant = |name: &str| name.parse::<Tenant>().unwrap();
        for number in 0..10_000 {
            fair.push(&tenant("busy"), Priority::High, format!("busy {number}"));
        }
        fair.push(&tenant("calm"), Priority::Low, "calm".to_owned());
        let first: Vec<_> = (0..3).filter_map(|_| fair.pop()).collect();
        assert_eq!(first, ["busy 0", "calm", "busy 1"]);
    }

    #[test]
    fn within_a_tenant_the_urgent_come_first_and_equals_in_the_order_they_came() {
        let mut fair = Fair::default();
        let tenant = Tenant::default_tenant();
        for (name, priority) in [
            ("low", Priority::Low),
            ("first", Priority::Normal),
            ("second", Priority::Normal),
            ("high", Priority::High),
        ] {
            fair.push(&tenant, priority, name);
        }
        let order: Vec<_> = std::iter::from_fn(|| fair.pop()).collect();
        assert_eq!(order, ["high", "first", "second", "low"]);
        assert!(fair.is_empty());
    }
}
