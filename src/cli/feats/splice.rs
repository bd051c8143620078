//! `unbraid feats splice`: features to features beside their neighbours.

use clap::Args;

use super::feature_map::FeatureArgs;
use crate::signal::splice::Splicer;

/// Put the frames before and behind beside each frame, as Kaldi's splice-feats.
///
/// An utterance that fails is named and left out, the others are written, and the command fails at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Of 40 columns, contexts of 4 and 4 make 360, the earliest frame first. Beyond
its edges an utterance repeats its first and last frame.

Example:
  unbraid feats splice --left-context 2 --right-context 2 \\
    scp:data/x/feats.scp ark,scp:spliced.ark,spliced.scp")]
pub struct SpliceArgs {
    /// Frames before
    #[arg(long, value_name = "FRAMES", default_value_t = 4)]
    left_context: usize,

    /// Frames behind
    #[arg(long, value_name = "FRAMES", default_value_t = 4)]
    right_context: usize,

    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// Options out of their range, and what [`super::feature_map::FeatureMap::run`] says.
pub fn run(args: SpliceArgs) -> anyhow::Result<()> {
    let splicer = Splicer::new(args.left_context, args.right_context)?;
    args.features.map(|_, feats| splicer.compute(feats.view()))
}
