//! `xagent policy`: the law, from a folder of Rego to what decides.

mod check;
mod compare;
mod eval;
mod law;
mod lists;
mod publish;
mod source;
mod told;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::Client;
use super::remote::Remote;
use super::{CliError, Context};

pub use source::bundle as bundle_of_files;
pub use told::findings_told;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Policy {
    #[command(subcommand)]
    action: Action,
}

const EXAMPLES: &str = "Examples:
  xagent policy export my-policies               write the law that is built in, to start from
  xagent policy check my-policies                say all that is in its way, without a server
  xagent policy test my-policies --coverage      run its tests, and show the lines they do not reach
  xagent policy eval my-policies --input in.json decide one input
  xagent policy publish my-policies --activate   let it decide from here on
  xagent policy list                             what was published, and what decides
  xagent policy diff 3f0c... my-policies         what would change, rule by rule
  xagent policy rollback                         let the bundle before decide again";

#[derive(Subcommand)]
enum Action {
    /// Say everything that would keep a folder or archive from being published
    Check(check::Check),
    /// Run the tests of a folder or archive, and count the lines they reach
    Test(check::Test),
    /// Decide one input with a folder, archive or published bundle
    Eval(eval::Eval),
    /// Show what changes between two folders, archives or published bundles, rule by rule
    Diff(compare::Diff),
    /// Write the bundle that comes with this version into a folder, to start from
    Export(source::Export),
    /// Write a folder as an OPA bundle: equal files, equal bytes
    Pack(source::Pack),
    /// Publish a folder or archive; published bundles are kept for ever
    Publish(publish::Publish),
    /// Let a published bundle decide from here on
    Activate(law::Activate),
    /// Let the bundle that was active before decide again
    Rollback(law::RollBack),
    /// Never let a bundle decide again; what it decided stays decidable
    Retire(law::Retire),
    /// List every bundle ever published
    List(lists::List),
    /// Show a published bundle, or one of its modules
    Show(lists::Show),
}

impl Policy {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        match self.action {
            Action::Check(check) => check.run(context),
            Action::Test(test) => test.run(context),
            Action::Eval(eval) => eval.run(context).await,
            Action::Diff(diff) => diff.run(context).await,
            Action::Export(export) => export.run(context),
            Action::Pack(pack) => pack.run(context),
            Action::Publish(publish) => publish.run(context).await,
            Action::Activate(activate) => activate.run(context).await,
            Action::Rollback(back) => back.run(context).await,
            Action::Retire(retire) => retire.run(context).await,
            Action::List(list) => list.run(context).await,
            Action::Show(show) => show.run(context).await,
        }
    }
}

/// Where the server is.
#[derive(Args, Clone)]
struct At {
    #[command(flatten)]
    remote: Remote,
}

impl At {
    /// A client that may change the law.
    fn lawmaker(&self, context: &Context) -> Result<Client, CliError> {
        self.client(context, &["bundle:write"])
    }

    /// A client that may read it.
    fn reader(&self, context: &Context) -> Result<Client, CliError> {
        self.client(context, &["audit:read"])
    }

    fn client(&self, context: &Context, scopes: &[&str]) -> Result<Client, CliError> {
        self.remote.client(context, scopes)
    }
}

impl Context {
    /// Prints one answer, as JSON or as text.
    pub fn print(&self, value: &Value, text: &str) {
        if self.json { say!("{value}") } else { say!("{text}") }
    }
}
