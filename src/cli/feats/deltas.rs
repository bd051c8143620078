//! `unbraid feats deltas`: features to features and their gradients.

use clap::Args;

use super::feature_map::FeatureArgs;
use crate::signal::deltas::{DeltaOptions, Deltas};

/// Add time derivatives to features, like Kaldi's add-deltas.
///
/// An utterance that fails is reported and left out; the other utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats deltas scp:data/x/feats.scp ark,scp:deltas.ark,deltas.scp
  unbraid feats deltas --delta-order 1 --delta-window 3 scp:feats.scp ark,t:-

Order 2 makes 39 columns of 13: features, deltas, accelerations. A delta is the
slope of a line through 2 * window + 1 frames. At the edges of an utterance its
first and last frame are repeated.")]
pub(super) struct DeltasArgs {
    /// Order of the derivatives: 1 for deltas, 2 also for accelerations
    #[arg(long, value_name = "N", default_value_t = DeltaOptions::default().order)]
    delta_order: usize,

    /// Frames on each side of a delta
    #[arg(long, value_name = "FRAMES", default_value_t = DeltaOptions::default().window)]
    delta_window: usize,

    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// Options out of their range, and the errors of [`super::feature_map::FeatureMap::run`].
pub(super) fn run(args: DeltasArgs) -> anyhow::Result<()> {
    let deltas = Deltas::new(DeltaOptions {
        order: args.delta_order,
        window: args.delta_window,
    })?;
    args.features.map(|_, feats| deltas.compute(feats.view()))
}
