//! `unbraid feats select-voiced`: features and voice activity to the features of voiced frames.

use std::collections::HashMap;

use clap::Args;
use ndarray::Array1;

use super::feature_map::FeatureMap;
use crate::error::Error;
use crate::io::kaldi::{ReadOptions, TableReader};
use crate::signal::vad::select_voiced;

/// Keep the frames that `feats vad` marks as voiced, as Kaldi's select-voiced-frames.
///
/// An utterance that fails (without voice activity, of another length, without a voiced frame) is named and left
/// out, the others are written, and the command fails at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  unbraid feats select-voiced scp:data/x/feats.scp scp:data/x/vad.scp \\
    ark,scp:voiced.ark,voiced.scp")]
pub struct SelectVoicedArgs {
    /// The features, as scp:feats.scp
    #[arg(value_name = "RSPEC")]
    from: String,

    /// One number a frame, 1 for voiced and 0 for others, as scp:vad.scp
    #[arg(value_name = "VAD")]
    vad: String,

    /// Where to write to, as ark,scp:voiced.ark,voiced.scp
    #[arg(value_name = "WSPEC")]
    to: String,

    /// Write compressed, by Kaldi's own choice of form, with loss
    #[arg(long)]
    compress: bool,

    /// Run the commands that specifiers and lists name as 'command |' and '| command'
    #[arg(long)]
    allow_pipes: bool,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the voice activity, and what [`FeatureMap::run`] says.
pub fn run(args: SelectVoicedArgs) -> anyhow::Result<()> {
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
