//! The trace of a request, as the doors know it.

pub use xagent_trace::Trace;
