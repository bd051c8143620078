//! `unbraid eval conversion`: utterances decoded with embeddings of other speakers.

use std::path::PathBuf;

use clap::Args;

use crate::cli::extract::report;
use crate::cli::failures::Failures;
use crate::cli::models::ModelArgs;
use crate::inference::conversion::{ConversionOptions, convert_corpus};
use crate::method::speech::load;

/// Decode utterances with embeddings of other speakers, for the conversion check.
///
/// Writes a data directory of features as the networks read them ('extract --output features'). Its utt2spk has the target
/// speaker, its utt2src the source speaker. A probe trained on real features then recognises speaker and words of the
/// converted ones.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid eval conversion --exp exp/default data/test exp/default/conversion
  unbraid eval probe data/train exp/default/conversion --target speaker \\
    --target text --robust --representation \\
    conversion=exp/default/features_train.scp,exp/default/conversion/feats.scp")]
pub(super) struct ConversionArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Target speakers per utterance
    #[arg(long, alias = "voices", value_name = "N", default_value_t = 2)]
    num_target_speakers: usize,
    /// Seed of the choice of target speakers and of their utterances
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Data directory with feats.scp
    data: PathBuf,
    /// Data directory to write
    out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library.
pub(super) fn run(args: ConversionArgs) -> anyhow::Result<()> {
    let (device, experiment) = args.model.open()?;
    let (model, info) = load(&experiment, &args.model.checkpoint.checkpoint, device)?;
    let options = ConversionOptions {
        target_speakers: args.num_target_speakers,
        seed: args.seed,
    };
    let result = convert_corpus(
        model.as_ref(),
        &info.normalisation,
        device,
        &args.data,
        &args.out,
        options,
    )?;
    report(
        result,
        Failures::default(),
        &args.data.display().to_string(),
    )
}
