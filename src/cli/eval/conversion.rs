//! `unbraid eval conversion`: one utterance's words with another speaker's voice.

use std::path::PathBuf;

use clap::Args;

use crate::cli::extract::tell;
use crate::cli::failures::Failures;
use crate::inference::conversion::{ConversionOptions, convert_corpus};
use crate::method::speech::load;
use crate::nn::device::DeviceChoice;
use crate::train::experiment::Experiment;

/// Decode utterances with other speakers' embeddings, for the conversion check.
///
/// Writes a data directory of features as the networks see them (as `extract --representation features` gives them):
/// its utt2spk names the lent voice, its utt2src the voice that spoke. A probe trained on real features says
/// whose voice and which words came out.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid eval conversion --exp exp/default data/test exp/default/swap
  unbraid eval probe data/train exp/default/swap --target speaker --target text --robust \\
    --representation swap=exp/default/features_train.scp,exp/default/swap/feats.scp")]
pub struct ConversionArgs {
    /// Folder of the experiment
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,
    /// Other speakers for each utterance
    #[arg(long, alias = "voices", default_value_t = 2)]
    num_target_speakers: usize,
    /// Seed of the choice of voices and of the utterances that lend them
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Which checkpoint: last, best or step_000123
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Where tensors live
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Data directory with feats.scp
    data: PathBuf,
    /// Data directory to write
    out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// What the library says.
pub fn run(args: ConversionArgs) -> anyhow::Result<()> {
    let device = args.device.resolve()?;
    let (model, info) = load(&Experiment::open(&args.exp)?, &args.checkpoint, device)?;
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
    tell(
        result,
        Failures::default(),
        &args.data.display().to_string(),
    )
}
