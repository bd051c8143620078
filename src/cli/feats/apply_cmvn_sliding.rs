//! `unbraid feats apply-cmvn-sliding`: features to features normalised over a moving window.

use clap::Args;

use super::feature_map::FeatureArgs;
use crate::signal::sliding_cmvn::{SlidingCmvn, SlidingCmvnOptions};

/// Normalise features over a window that moves along, as Kaldi's apply-cmvn-sliding.
///
/// An utterance that fails is named and left out, the others are written, and the command fails at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --center the window is the frame and the --cmn-window frames before
it, as in decoding; with it the window lies around the frame, as for speaker
embeddings. Near its edges an utterance moves it inwards.

Example:
  unbraid feats apply-cmvn-sliding --cmn-window 300 --center \\
    scp:data/x/feats.scp ark,scp:norm.ark,norm.scp")]
pub struct ApplyCmvnSlidingArgs {
    /// Length of the window in frames
    #[arg(long, value_name = "FRAMES", default_value_t = SlidingCmvnOptions::default().cmn_window)]
    cmn_window: usize,

    /// Least window at the start of an utterance, which looks ahead for it; without --center only
    #[arg(long, value_name = "FRAMES", conflicts_with = "center",
        default_value_t = SlidingCmvnOptions::default().min_cmn_window)]
    min_cmn_window: usize,

    /// Let the window lie around the frame
    #[arg(long)]
    center: bool,

    /// Normalise the variance too
    #[arg(long)]
    norm_vars: bool,

    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// Options out of their range, and what [`super::feature_map::FeatureMap::run`] says.
pub fn run(args: ApplyCmvnSlidingArgs) -> anyhow::Result<()> {
    let cmvn = SlidingCmvn::new(SlidingCmvnOptions {
        cmn_window: args.cmn_window,
        min_cmn_window: args.min_cmn_window,
        center: args.center,
        norm_vars: args.norm_vars,
    })?;
    args.features.map(|_, feats| cmvn.compute(feats.view()))
}
