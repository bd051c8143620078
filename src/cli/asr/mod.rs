//! `unbraid asr`: recognisers trained on any features, and what they get wrong.

#[cfg(feature = "torch")]
mod align;
#[cfg(feature = "torch")]
mod decode;
#[cfg(feature = "torch")]
mod recognition;
mod score;
#[cfg(feature = "torch")]
mod train;

use clap::{Args, Subcommand, ValueEnum};

use crate::dataset::labels::Labels;

/// Train small recognisers on any features, decode, align and score.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples, log-mel features against phonetic codes with the same recogniser:
  unbraid asr train data/train --exp exp/asr_mel --subsampling 4
  unbraid asr train data/train z_train.scp --exp exp/asr_z --subsampling 1
  unbraid asr decode scp:data/test/feats.scp --exp exp/asr_mel \\
    --out exp/asr_mel/hyp
  unbraid asr decode scp:z_test.scp --exp exp/asr_z --out exp/asr_z/hyp
  unbraid asr score data/test exp/asr_z/hyp --by speaker \\
    --compare-to exp/asr_mel/hyp

A fair comparison uses the same utterances, steps and outputs per second.
--subsampling compensates for a lower frame rate of codes.")]
pub(super) struct AsrArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "torch")]
    Train(train::TrainArgs),
    #[cfg(feature = "torch")]
    Decode(decode::DecodeArgs),
    #[cfg(feature = "torch")]
    Align(align::AlignArgs),
    Score(score::ScoreArgs),
}

/// Runs the command.
///
/// # Errors
/// What is wrong with data, features, experiment or options.
pub(super) fn run(args: AsrArgs) -> anyhow::Result<()> {
    match args.command {
        #[cfg(feature = "torch")]
        Command::Train(args) => train::run(args),
        #[cfg(feature = "torch")]
        Command::Decode(args) => decode::run(&args),
        #[cfg(feature = "torch")]
        Command::Align(args) => align::run(&args),
        Command::Score(args) => score::run(&args),
    }
}

/// Labels of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StringLabels {
    /// Words of text.
    Words,
    /// Characters of text.
    Characters,
    /// Phones of utt2phones.
    Phones,
}

impl From<StringLabels> for Labels {
    fn from(labels: StringLabels) -> Self {
        match labels {
            StringLabels::Words => Self::WordSequence,
            StringLabels::Characters => Self::CharacterSequence,
            StringLabels::Phones => Self::PhoneSequence,
        }
    }
}
