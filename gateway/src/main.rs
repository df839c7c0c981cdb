//! The `xagent` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    xagent_gateway::cli::main()
}
