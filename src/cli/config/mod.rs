//! `unbraid config`: what a configuration says.

mod show;

use clap::{Args, Subcommand};

/// Show a configuration of `unbraid train` with all its values.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::ShowArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with a configuration.
pub fn run(args: ConfigArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Show(args) => show::run(args),
    }
}
