//! Requests at once: of all, and of each principal. What is remembered is bounded by what is under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use xagent_domain::{Principal, Tenant};

type Who = (Tenant, String);

/// The places there are.
pub struct Slots {
    all: Arc<Semaphore>,
    each: usize,
    taken: Arc<Mutex<HashMap<Who, usize>>>,
}

/// A place; free again when it is dropped.
pub struct Slot {
    who: Who,
    taken: Arc<Mutex<HashMap<Who, usize>>>,
    _of_all: OwnedSemaphorePermit,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The server is busy.
    Server,
    /// The principal has enough under way.
    Principal,
}

impl Slots {
    pub fn new(all: usize, each: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), each, taken: Arc::default() }
    }

    pub fn take(&self, principal: &Principal) -> Result<Slot, Full> {
        let who = (principal.tenant.clone(), principal.id.clone());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.get(&who).is_some_and(|count| *count >= self.each) {
            return Err(Full::Principal);
        }
        let of_all = self.all.clone().try_acquire_owned().map_err(|_| Full::Server)?;
        *taken.entry(who.clone()).or_default() += 1;
        Ok(Slot { who, taken: self.taken.clone(), _of_all: of_all })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(id: &str) -> Principal {
        let tenant = Tenant::default_tenant();
        Principal { id: id.to_owned(), tenant, scopes: Default::default(), roles: Default::default() }
    }

    #[test]
    fn a_principal_that_takes_all_it_may_leaves_room_for_others_and_nothing_behind() {
        let slots = Slots::new(3, 2);
        let held = [slots.take(&who("alice")).unwrap(), slots.take(&who("alice")).unwrap()];
        assert_eq!(slots.take(&who("alice")).err(), Some(Full::Principal));
        let bob = slots.take(&who("bob")).unwrap();
        assert_eq!(slots.take(&who("carol")).err(), Some(Full::Server));
        drop((held, bob));
        assert!(slots.taken.lock().unwrap().is_empty());
        assert!(slots.take(&who("alice")).is_ok());
    }
}
