//! `unbraid feats stretch`: features of any length to one length.

use clap::Args;

use super::feature_map::FeatureArgs;
use crate::signal::stretch::Stretcher;

/// Bring every utterance to one number of frames, by linear interpolation in time.
///
/// An utterance that fails is named and left out, the others are written, and the command fails at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
First and last frame stay. For single words, which can be compared frame by frame then.

Example, each word as one row of 16 * 13 values:
  unbraid feats stretch --frames 16 scp:mfcc.scp ark:long.ark
  unbraid feats splice --left-context 8 --right-context 7 ark:long.ark ark:beside.ark
  unbraid feats subsample --n 16 --offset 8 ark:beside.ark ark,scp:words.ark,words.scp")]
pub struct StretchArgs {
    /// Frames of every utterance
    #[arg(long, value_name = "N")]
    frames: usize,

    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// Options out of their range, and what [`super::feature_map::FeatureMap::run`] says.
pub fn run(args: StretchArgs) -> anyhow::Result<()> {
    let stretcher = Stretcher::new(args.frames)?;
    args.features
        .map(|_, feats| stretcher.compute(feats.view()))
}
