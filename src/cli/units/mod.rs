//! `unbraid units`: frames of codes as discrete units, by k-means.

mod apply;
mod score;
mod speakers;
mod text;
mod train;

use anyhow::Context;
use clap::{Args, Subcommand};

/// Make discrete units of phonetic codes, and score them.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, 100 units of a phonetic representation:
  unbraid units train scp:exp/a/phonetic_train.scp --clusters 100 --out exp/a/units.ark
  unbraid units apply scp:exp/a/phonetic_test.scp --model exp/a/units.ark --out exp/a/units.txt \
    --frames ark:exp/a/units_test.ark
  unbraid units score ark:exp/a/units_test.ark --ali scp:data/test/ali.scp --utt2spk data/test/utt2spk

A unit is the number of the cluster that a frame falls into. Units can be read as text, given to language models, and
compared with phones without training a probe.")]
pub struct UnitsArgs {
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
pub fn run(args: UnitsArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Train(args) => train::run(&args),
        Command::Apply(args) => apply::run(&args),
        Command::Score(args) => score::run(&args),
    }
}

/// What computes, on all cores or on fewer.
#[derive(Debug, Args)]
struct ThreadArgs {
    /// Threads; all cores when left out. Results are the same with any number
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl ThreadArgs {
    fn pool(&self) -> anyhow::Result<rayon::ThreadPool> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads.map_or(0, usize::from))
            .build()
            .context("cannot start threads")
    }
}
