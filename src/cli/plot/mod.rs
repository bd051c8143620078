//! `unbraid plot utterance`: pictures of utterances and of vectors.

mod map;
mod utterance;

use clap::{Args, Subcommand};

/// Draw an utterance, or a map of vectors, as SVG or PNG.
#[derive(Debug, Args)]
pub(super) struct PlotArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Utterance(utterance::UtteranceArgs),
    Map(map::MapArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with what is drawn, or with the place to write to.
pub(super) fn run(args: PlotArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Utterance(args) => utterance::run(args),
        Command::Map(args) => map::run(args),
    }
}
