//! `unbraid verify backend`: what compares speaker embeddings, trained and adapted.

mod adapt;
mod train;

use clap::{Args, Subcommand};

/// Train and adapt backends of speaker embeddings: LDA, length normalisation, PLDA.
#[derive(Debug, Args)]
pub(super) struct BackendArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::TrainArgs),
    Adapt(adapt::AdaptArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with embeddings, tables or options.
pub(super) fn run(args: BackendArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Train(args) => train::run(&args),
        Command::Adapt(args) => adapt::run(&args),
    }
}
