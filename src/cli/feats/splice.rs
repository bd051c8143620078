//! `unbraid feats splice`: features to features beside their neighbours.

use clap::Args;

use super::feature_map::FeatureArgs;
use crate::signal::splice::Splicer;

/// Concatenate each frame with its neighbours, like Kaldi's splice-feats.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats splice --left-context 2 --right-context 2 \\
    scp:data/x/feats.scp ark,scp:spliced.ark,spliced.scp

Contexts of 4 and 4 make 360 columns of 40, the earliest frame first. At the
edges of an utterance its first and last frame are repeated.")]
pub(super) struct SpliceArgs {
    /// Number of frames before
    #[arg(long, value_name = "FRAMES", default_value_t = 4)]
    left_context: usize,

    /// Number of frames after
    #[arg(long, value_name = "FRAMES", default_value_t = 4)]
    right_context: usize,

    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// Options out of their range, and the errors of [`super::feature_map::FeatureMap::run`].
pub(super) fn run(args: SpliceArgs) -> anyhow::Result<()> {
    let splicer = Splicer::new(args.left_context, args.right_context)?;
    args.features.map(|_, feats| splicer.compute(feats.view()))
}
