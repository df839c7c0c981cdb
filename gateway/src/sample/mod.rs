//! The sample run: an agent reviews a folder, oversteps, is refused, and writes a report that somebody must approve.

/// Its plan.
pub const REPO_REVIEW: &str = include_str!("repo_review.json");
