//! `usufruct completions`: the shell completes verbs and options.

use std::io;
use std::process::ExitCode;

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;

/// Print the completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct completions bash > /etc/bash_completion.d/usufruct
  usufruct completions zsh > ~/.zfunc/_usufruct
  usufruct completions fish > ~/.config/fish/completions/usufruct.fish")]
pub struct Completions {
    /// Your shell.
    shell: Known,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Known {
    Bash,
    Fish,
    Zsh,
}

impl Completions {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let shell = match self.shell {
            Known::Bash => Shell::Bash,
            Known::Fish => Shell::Fish,
            Known::Zsh => Shell::Zsh,
        };
        clap_complete::generate(shell, &mut Cli::command(), "usufruct", &mut io::stdout());
        Ok(ExitCode::SUCCESS)
    }
}
