//! `unbraid feats stretch`: features of any length to one length.

use clap::Args;

use super::feature_map::FeatureArgs;
use crate::signal::stretch::Stretcher;

/// Stretch every utterance to the same number of frames, by linear interpolation in time.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats stretch --frames 16 scp:mfcc.scp ark:long.ark

Each word as one row of 16 * 13 values:
  unbraid feats stretch --frames 16 scp:mfcc.scp ark:long.ark
  unbraid feats splice --left-context 8 --right-context 7 ark:long.ark \\
    ark:beside.ark
  unbraid feats subsample --n 16 --offset 8 ark:beside.ark \\
    ark,scp:words.ark,words.scp

This is for single words, which can then be compared frame by frame. First and
last frame do not change.")]
pub(super) struct StretchArgs {
    /// Number of frames per utterance
    #[arg(long, value_name = "N")]
    frames: usize,

    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// Options out of their range, and the errors of [`super::feature_map::FeatureMap::run`].
pub(super) fn run(args: StretchArgs) -> anyhow::Result<()> {
    let stretcher = Stretcher::new(args.frames)?;
    args.features
        .map(|_, feats| stretcher.compute(feats.view()))
}
