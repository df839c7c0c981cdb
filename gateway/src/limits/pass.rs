//! Letting a principal's request in, or not: its rate, its requests at once, those of all.

use xagent_domain::Principal;

use super::Limits;
use super::rate::Standing;
use super::slots::{Full, Slot};
use crate::access::{Refused, Why};

/// A request that was let in.
pub struct Admitted {
    pub standing: Option<Standing>,
    /// Its place, until it is answered.
    pub slot: Slot,
}

/// A request that was not.
pub enum Turned {
    /// It is the principal's doing.
    Away { refused: Refused, standing: Option<Standing>, retry_s: u64 },
    /// The server is busy.
    Busy,
}

/// Lets a request of `principal` in, where it is within the bounds.
pub async fn admit(limits: &Limits, principal: &Principal) -> Result<Admitted, Turned> {
    let standing = limits.rates.take(principal).await;
    if let Some(over) = standing.filter(|standing| !standing.granted) {
        let retry_s = over.retry_s();
        let detail = format!("`{}` asks too often: try again in {retry_s} s", principal.id);
        return Err(Turned::Away { refused: Refused::new(Why::Rate, detail), standing, retry_s });
    }
    match limits.slots.take(principal) {
        Ok(slot) => Ok(Admitted { standing, slot }),
        Err(Full::Server) => Err(Turned::Busy),
        Err(Full::Principal) => {
            let most = limits.options.requests_per_principal;
            let detail = format!("{most} requests of `{}` are being carried out, and that is the most", principal.id);
            Err(Turned::Away { refused: Refused::new(Why::Concurrency, detail), standing, retry_s: 1 })
        }
    }
}
