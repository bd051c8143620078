//! `unbraid verify`: speaker verification.

mod backend;
mod calibrate;
mod quality;
mod score;
mod verification;

use clap::{Args, Subcommand};

/// Verify speakers: score trials, train backends, calibrate scores.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Score(score::ScoreArgs),
    Backend(backend::BackendArgs),
    Calibrate(calibrate::CalibrateArgs),
    Quality(quality::QualityArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with embeddings, trials, tables or options.
pub(super) fn run(args: VerifyArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Score(args) => score::run(args),
        Command::Backend(args) => backend::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Quality(args) => quality::run(args),
    }
}
