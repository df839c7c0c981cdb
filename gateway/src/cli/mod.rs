//! The command line.

#[macro_use]
mod terminal;

mod access;
mod archive;
mod audit;
mod bundle_keys;
mod client;
mod config;
mod decisions;
mod engine;
mod error;
mod evidence;
mod follow;
mod fork;
mod home;
mod keys;
mod ledger;
mod limits;
mod lists;
mod log;
mod mcp;
mod migrate;
mod model;
mod policy;
mod progress;
mod rebuild;
mod remote;
mod replay;
mod run;
mod runs;
mod sandbox;
mod serve;
mod settings;
mod shell;
mod story;
mod streams;
mod tail;
mod token;
mod tools;
mod tools_file;
mod up;
mod verify;
mod what_if;
mod worker;

pub(crate) use what_if::recorded as recorded_what_if;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use error::CliError;
use home::Home;
use settings::{Early, Settings};

/// Governs agents: every goal, policy decision and tool result is an immutable event, and any run can be replayed.
#[derive(Parser)]
#[command(name = "xagent", version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    /// The folder of the private instance that `xagent up` keeps
    #[arg(long, global = true, env = "XAGENT_HOME", default_value = ".xagent", value_name = "DIR")]
    home: PathBuf,
    /// The settings file; otherwise xagent/config.toml in ~/.config or /etc, if there is one
    #[arg(long, global = true, env = "XAGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server to talk to, by its name in the settings file
    #[arg(long, global = true, env = "XAGENT_PROFILE", value_name = "NAME")]
    profile: Option<String>,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  xagent up                                   start everything privately, run and replay a sample
  xagent run 'review this folder' --planner chat  let a model plan, and follow it live
  xagent runs                                 list runs
  xagent runs step run_0193...                step through one, forwards and backwards
  xagent decisions --denied --since 1h --format csv   what was denied in the last hour, as a file
  xagent tail --denied                        follow denials, live
  xagent fork run_0193... --at 24             go on from its 24th event in another run, recordings answering
  xagent replay run_0193...                   prove that a run replays identically
  xagent replay --all                         the same for every run
  xagent what-if my-policies --since 7d       what another law would have decided
  xagent ledger proof 42 > proof.json         prove that event 42 is in the ledger
  xagent evidence export run.xe --run run_0193... write a run and its proofs for a stranger
  xagent keys issue --name ci --scope run:start
  xagent token --subject alice --scope run:read --scope audit:read
  xagent policy publish ./my-policies --activate";

#[derive(Subcommand)]
enum Command {
    /// Start private servers, migrate, run the sample, replay it, and stay up until Ctrl-C
    Up(Box<up::Up>),
    /// Serve the API, walk runs, relay events and keep views
    Serve(Box<serve::Serve>),
    /// Start a run on a plan file or a goal a model plans for, and follow it to its end
    Run(run::Run),
    /// List runs; look at one as of any event, what changed between two, or step through it
    Runs(Box<runs::RunsCommand>),
    /// Continue a run from any of its events in a new one, whose calls recordings answer
    Fork(Box<fork::Fork>),
    /// List goals
    Goals(lists::Goals),
    /// List decisions of the law, or decide again what stock OPA servers have reported
    Decisions(Box<decisions::Decisions>),
    /// List tool calls
    ToolCalls(Box<lists::ToolCalls>),
    /// List approvals
    Approvals(lists::Approvals),
    /// List events
    Events(lists::Events),
    /// List what was used up, by hour, agent and principal
    Usage(lists::Usage),
    /// Follow what is recorded, live
    Tail(tail::Tail),
    /// Decide a run again from its recordings and compare, byte for byte
    Replay(replay::Replay),
    /// Decide history again under another bundle, and show what would change
    WhatIf(Box<what_if::WhatIf>),
    /// Check the whole ledger: nothing missing, changed, moved, cut off or rewritten
    Verify(verify::Verify),
    /// Fetch checkpoints and proofs of the ledger, and check them offline
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Export recordings as evidence, and examine evidence offline
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Move old ranges of events to files and back
    Archive(archive::Archive),
    /// Check, test, publish, activate, compare and roll back policy bundles
    Policy(policy::Policy),
    /// Try to break out of the sandbox that `run_code` would use here, and say what isolates it
    Sandbox(sandbox::Sandbox),
    /// Issue, list and revoke api keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// List tools; declare upstream MCP servers and register what they offer
    #[command(subcommand)]
    Tools(tools::Tools),
    /// Mint a development token
    Token(token::Token),
    /// Fill views again from the events, compare them, or look at them as of a position
    Rebuild(rebuild::Rebuild),
    /// Bring the database schema up to date
    Migrate(migrate::Migrate),
    /// Show the settings in force, and where each comes from
    Config(config::Config),
    /// Print a script that completes commands in a shell
    Completions(shell::Completions),
    /// Write the manual pages
    Man(shell::Man),
}

/// What every command can reach.
struct Context {
    json: bool,
    home: Home,
    settings: Settings,
    profile: Option<String>,
}

/// Runs the command line: 0 done, 1 a check or replay found something, 2 it could not be done.
pub fn main() -> ExitCode {
    let early = Early::of(std::env::args_os());
    let read =
        Settings::load(early.config).and_then(|settings| Ok((settings.applied(Arguments::command())?, settings)));
    let (command, settings) = match read {
        Ok(read) => read,
        Err(error) => return error.report(early.json),
    };
    let arguments = Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let home = Home::new(arguments.home);
    let context = Context { json: arguments.json, home, settings, profile: arguments.profile };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return CliError::new(format!("cannot start: {error}"), "free some memory and threads")
                .report(context.json);
        }
    };
    let done = runtime.block_on(async {
        match arguments.command {
            Command::Up(up) => up.run(&context).await,
            Command::Serve(serve) => serve.run(&context).await,
            Command::Run(run) => run.run(&context).await,
            Command::Runs(runs) => runs.run(&context).await,
            Command::Fork(fork) => fork.run(&context).await,
            Command::Goals(goals) => goals.run(&context).await,
            Command::ToolCalls(calls) => calls.run(&context).await,
            Command::Approvals(approvals) => approvals.run(&context).await,
            Command::Events(events) => events.run(&context).await,
            Command::Usage(usage) => usage.run(&context).await,
            Command::Rebuild(rebuild) => rebuild.run(&context).await,
            Command::Tail(tail) => tail.run(&context).await,
            Command::Replay(replay) => replay.run(&context).await,
            Command::WhatIf(what_if) => what_if.run(&context).await,
            Command::Verify(verify) => verify.run(&context).await,
            Command::Ledger(ledger) => ledger.run(&context).await,
            Command::Evidence(evidence) => evidence.run(&context).await,
            Command::Archive(archive) => archive.run(&context).await,
            Command::Policy(policy) => policy.run(&context).await,
            Command::Decisions(decisions) => decisions.run(&context).await,
            Command::Sandbox(sandbox) => sandbox.run(&context).await,
            Command::Keys(keys) => keys.run(&context).await,
            Command::Tools(tools) => tools.run(&context).await,
            Command::Token(token) => token.run(&context),
            Command::Migrate(migrate) => migrate.run(&context).await,
            Command::Config(config) => config.run(&context),
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(&context),
        }
    });
    match done {
        Ok(code) => code,
        Err(error) => error.report(context.json),
    }
}
