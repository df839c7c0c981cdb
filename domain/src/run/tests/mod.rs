//! Specifications of a run: given events, when command, then events.

mod approvals;
mod calls;
mod forks;
mod kit;
mod laws;
mod life;
mod planned;
mod recordings;
mod trust;
