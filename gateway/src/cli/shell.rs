//! `xagent completions` and `xagent man`: what shells and readers of manuals want of the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

use super::{Arguments, CliError, Context};

#[derive(Args)]
#[command(after_help = "Examples:
  xagent completions bash > ~/.local/share/bash-completion/completions/xagent
  xagent completions zsh > ~/.zfunc/_xagent
  xagent completions fish > ~/.config/fish/completions/xagent.fish")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<ExitCode, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "xagent", &mut script);
        std::io::Write::write_all(&mut std::io::stdout(), &script).map_err(|error| {
            CliError::new(format!("cannot write to standard output: {error}"), "write it to a file: `> FILE`")
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
#[command(after_help = "Example:
  xagent man ~/.local/share/man/man1 && man xagent-tail")]
pub struct Man {
    /// The folder to write into; made where it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Man {
    pub fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let failed = |error: std::io::Error| {
            CliError::new(format!("{}: {error}", self.folder.display()), "check the folder and its rights")
        };
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let mut command = Arguments::command().disable_help_subcommand(true);
        command.build();
        let mut pages = Vec::new();
        write(&command, "xagent", &self.folder, &mut pages).map_err(failed)?;
        let folder = self.folder.display();
        let text = format!("{} pages are in {folder}; read one: man -l {folder}/xagent.1", pages.len());
        context.print(&json!({"pages": pages}), &text);
        Ok(ExitCode::SUCCESS)
    }
}

/// A page for `command`, named as a whole by `name`, and one for each command in it.
fn write(command: &Command, name: &str, folder: &Path, pages: &mut Vec<String>) -> std::io::Result<()> {
    let path = folder.join(format!("{name}.1"));
    let page = clap_mangen::Man::new(command.clone().name(name.to_owned()));
    let mut text = Vec::new();
    page.render(&mut text)?;
    std::fs::write(&path, text)?;
    pages.push(path.display().to_string());
    let inner = command.get_subcommands().filter(|inner| !inner.is_hide_set());
    inner.into_iter().try_for_each(|inner| write(inner, &format!("{name}-{}", inner.get_name()), folder, pages))
}
