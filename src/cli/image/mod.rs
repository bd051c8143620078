//! `unbraid image`: methods trained on images.

mod encode;
mod evaluate;
mod results;
mod sample;
mod source;

use clap::{Args, Subcommand};

/// Evaluate methods trained on images, encode and sample with them.
#[derive(Debug, Args)]
pub(super) struct ImageArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Evaluate(evaluate::EvaluateArgs),
    Encode(encode::EncodeArgs),
    Sample(sample::SampleArgs),
    Results(results::ResultsArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the experiment, with images or with options.
pub(super) fn run(args: ImageArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Evaluate(args) => evaluate::run(args),
        Command::Encode(args) => encode::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Results(args) => results::run(args),
    }
}
