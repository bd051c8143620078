//! `unbraid feats apply-cmvn-sliding`: features to features normalised over a moving window.

use clap::Args;

use super::feature_map::FeatureArgs;
use crate::signal::sliding_cmvn::{SlidingCmvn, SlidingCmvnOptions};

/// Normalise features over a sliding window, like Kaldi's apply-cmvn-sliding.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats apply-cmvn-sliding --cmn-window 300 --center \\
    scp:data/x/feats.scp ark,scp:norm.ark,norm.scp

Without --center the window is the frame and the --cmn-window frames before it,
as in online decoding. With --center the window surrounds the frame, as for
speaker embeddings. At the edges of an utterance the window moves inwards.")]
pub(super) struct ApplyCmvnSlidingArgs {
    /// Length of the window in frames
    #[arg(long, value_name = "FRAMES", default_value_t = SlidingCmvnOptions::default().cmn_window)]
    cmn_window: usize,

    /// Minimum window at the start of an utterance, which looks ahead; not with --center
    #[arg(long, value_name = "FRAMES", conflicts_with = "center",
        default_value_t = SlidingCmvnOptions::default().min_cmn_window)]
    min_cmn_window: usize,

    /// Centre the window on the frame
    #[arg(long)]
    center: bool,

    /// Also normalise the variance
    #[arg(long)]
    norm_vars: bool,

    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// Options out of their range, and the errors of [`super::feature_map::FeatureMap::run`].
pub(super) fn run(args: ApplyCmvnSlidingArgs) -> anyhow::Result<()> {
    let cmvn = SlidingCmvn::new(SlidingCmvnOptions {
        cmn_window: args.cmn_window,
        min_cmn_window: args.min_cmn_window,
        center: args.center,
        norm_vars: args.norm_vars,
    })?;
    args.features.map(|_, feats| cmvn.compute(feats.view()))
}
