//! `unbraid units`: frames of codes as discrete units, by k-means.

mod apply;
mod score;
mod speakers;
mod text;
mod train;

use clap::{Args, Subcommand};

/// Make discrete units of phonetic codes, and score them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples, 100 units of phonetic codes:
  unbraid units train scp:exp/a/phonetic_train.scp --clusters 100 \\
    --out exp/a/units.ark
  unbraid units apply scp:exp/a/phonetic_test.scp --model exp/a/units.ark \\
    --out exp/a/units.txt --frames ark:exp/a/units_test.ark
  unbraid units score ark:exp/a/units_test.ark --ali scp:data/test/ali.scp \\
    --utt2spk data/test/utt2spk

A unit is the index of the cluster of a frame. Units can be read as text, given
to language models, and compared with phones without training a probe.")]
pub(super) struct UnitsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::TrainArgs),
    Apply(apply::ApplyArgs),
    Score(score::ScoreArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with codes, model, alignments or options.
pub(super) fn run(args: UnitsArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Train(args) => train::run(&args),
        Command::Apply(args) => apply::run(&args),
        Command::Score(args) => score::run(&args),
    }
}
