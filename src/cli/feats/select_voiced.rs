//! `unbraid feats select-voiced`: features and voice activity to the features of voiced frames.

use std::collections::HashMap;

use clap::Args;
use ndarray::Array1;

use super::feature_map::FeatureMap;
use crate::error::Error;
use crate::io::kaldi::{ReadOptions, TableReader};
use crate::signal::vad::select_voiced;

/// Keep the frames that 'feats vad' marks as voiced, like Kaldi's select-voiced-frames.
///
/// An utterance fails without voice activity, with another number of frames, or without a voiced frame. It is reported and
/// left out; the other utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats select-voiced scp:data/x/feats.scp scp:data/x/vad.scp \\
    ark,scp:voiced.ark,voiced.scp")]
pub(super) struct SelectVoicedArgs {
    /// Features to read, as scp:feats.scp
    #[arg(value_name = "RSPECIFIER")]
    from: String,

    /// Voice activity to read, one value per frame (1 for voiced, else 0), as scp:vad.scp
    #[arg(value_name = "VAD_RSPECIFIER")]
    vad: String,

    /// Archive to write, as ark,scp:voiced.ark,voiced.scp
    #[arg(value_name = "WSPECIFIER")]
    to: String,

    /// Compress the matrices, with loss, in the format that Kaldi chooses
    #[arg(long)]
    compress: bool,

    /// Run commands in specifiers and lists ('command |' and '| command')
    #[arg(long)]
    allow_pipes: bool,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the voice activity, and the errors of [`FeatureMap::run`].
pub(super) fn run(args: SelectVoicedArgs) -> anyhow::Result<()> {
    let allow_pipes = args.allow_pipes;
    let vad = TableReader::<Array1<f32>>::open_with(&args.vad, ReadOptions { allow_pipes })?
        .collect::<Result<HashMap<_, _>, Error>>()?;
    let map = FeatureMap {
        from: &args.from,
        to: &args.to,
        compress: args.compress,
        allow_pipes,
    };
    map.run(|utterance, feats| {
        let voiced = vad.get(utterance).ok_or_else(|| {
            Error::key(
                &args.vad,
                utterance,
                "voice activity of this utterance",
                "none",
            )
        })?;
        select_voiced(feats.view(), voiced.view())
    })
}
