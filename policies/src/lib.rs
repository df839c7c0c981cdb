//! The law: Rego bundles, the engine that evaluates them, the gate they pass, normalisation before them.
//!
//! Commands ask it, replay asks it again. It reaches no network and reads no clock: what a policy may know is in its input.

mod bundle;
mod check;
mod diff;
mod embedded;
pub mod normalise;

use xagent_domain::{CanonicalJson, Digest, Entrypoint, Evaluation};

pub use bundle::{Bundle, BundleError, Files, Key, Trust};
pub use check::{CheckError, Checked, Finding, ModuleCoverage, TestReport, TestResult, check, test};
pub use diff::{Change, DataChange, Diff, ModuleDiff, RuleChange, diff};
pub use embedded::Embedded;

/// What answers a question under a bundle. An engine never fails: whatever goes wrong is an outcome, and denies.
pub trait PolicyEngine: Send + Sync {
    /// Evaluates `entrypoint` of `bundle` on `input`.
    fn decide(&self, bundle: &Digest, entrypoint: &Entrypoint, input: &CanonicalJson) -> Evaluation;
}
