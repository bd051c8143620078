//! `unbraid feats subsample`: features to every n-th frame of them.

use clap::Args;

use super::feature_map::FeatureArgs;
use crate::signal::subsample::Subsampler;

/// Take every n-th frame, or repeat each frame, like Kaldi's subsample-feats.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats subsample --n 3 scp:data/x/feats.scp ark,scp:sub.ark,sub.scp
  unbraid feats subsample --n -2 scp:codes.scp ark:twice.ark  # frames twice")]
pub(super) struct SubsampleArgs {
    /// Take every N-th frame; if negative, repeat each frame -N times
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_negative_numbers = true
    )]
    n: i64,

    /// First frame to take, from 0
    #[arg(long, value_name = "FRAME", default_value_t = 0)]
    offset: usize,

    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// Options without sense, and the errors of [`super::feature_map::FeatureMap::run`].
pub(super) fn run(args: SubsampleArgs) -> anyhow::Result<()> {
    let subsampler = Subsampler::new(args.n, args.offset)?;
    (args.features).map(|_, feats| subsampler.compute(feats.view()))
}
