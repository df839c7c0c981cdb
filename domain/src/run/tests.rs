//! Placeholder until the specifications below are written.
