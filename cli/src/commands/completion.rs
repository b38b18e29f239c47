//! `completion`: a script for the shell.

use crate::{
    args::Cli,
    exit::{Exit, Failure},
    output,
};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// For which shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tenure completion bash > tenure.bash")]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: CompletionArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tenure", &mut script);
    output::raw(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
