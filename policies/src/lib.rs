//! The law: Rego bundles, the engines that evaluate them, the gate they pass, normalisation before them.
//!
//! Commands ask it, replay asks it again. It reaches no network and reads no clock: what a policy may know is in its
//! input. The engine that does reach a network, a stock OPA, is the package `policies/opa`.

pub mod answer;
mod bulk;
mod bundle;
mod check;
mod coverage;
mod diff;
mod embedded;
mod foreign;
mod input;
mod machine;
mod mask;
pub mod normalise;

use xagent_domain::{CanonicalJson, Digest, Entrypoint, Evaluation};

pub use bulk::{Bulk, DecidedBy};
pub use bundle::{Bundle, BundleError, Files, Key, Trust};
pub use check::{CheckError, Checked, Finding, ModuleCoverage, TestReport, TestResult, check, test};
pub use coverage::{Coverage, Unreached};
pub use diff::{Change, DataChange, Diff, ModuleDiff, RuleChange, diff};
pub use embedded::Embedded;
pub use foreign::{Foreign, Unanswerable};
pub use input::ParsedInput;
pub use mask::Mask;

/// What answers a question under a bundle. An engine never fails: whatever goes wrong is an outcome, and denies.
///
/// Blocking: ask it off the asynchronous threads.
pub trait PolicyEngine: Send + Sync {
    /// Takes a bundle, so that it may decide once it is activated.
    fn load(&self, bundle: &Bundle) -> Result<Digest, BundleError>;

    /// Whether the bundle has been taken.
    fn holds(&self, bundle: &Digest) -> bool;

    /// Is told that a bundle it holds decides from here on.
    fn enact(&self, bundle: &Digest) -> Result<(), BundleError>;

    /// Evaluates `entrypoint` of `bundle` on `input`, within the engine's own time limit.
    fn decide(&self, bundle: &Digest, entrypoint: &Entrypoint, input: &CanonicalJson) -> Evaluation;
}
