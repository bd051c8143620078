//! `unbraid feats deltas`: features to features and their gradients.

use clap::Args;

use super::feature_map::FeatureArgs;
use crate::signal::deltas::{DeltaOptions, Deltas};

/// Add the gradients of features over time behind them, as Kaldi's add-deltas.
///
/// An utterance that fails is named and left out, the others are written, and the command fails at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Of 13 columns, order 2 makes 39: features, deltas, accelerations. A delta is
the slope of the line through 2 * window + 1 frames; beyond its edges an
utterance repeats its first and last frame.

Examples:
  unbraid feats deltas scp:data/x/feats.scp ark,scp:deltas.ark,deltas.scp
  unbraid feats deltas --delta-order 1 --delta-window 3 scp:feats.scp ark,t:-")]
pub struct DeltasArgs {
    /// How often a slope is taken: 1 for deltas, 2 for accelerations too
    #[arg(long, value_name = "N", default_value_t = DeltaOptions::default().order)]
    delta_order: usize,

    /// Frames on each side that a slope looks at
    #[arg(long, value_name = "FRAMES", default_value_t = DeltaOptions::default().window)]
    delta_window: usize,

    #[command(flatten)]
    features: FeatureArgs,
}

/// Runs the command.
///
/// # Errors
/// Options out of their range, and what [`super::feature_map::FeatureMap::run`] says.
pub fn run(args: DeltasArgs) -> anyhow::Result<()> {
    let deltas = Deltas::new(DeltaOptions {
        order: args.delta_order,
        window: args.delta_window,
    })?;
    args.features.map(|_, feats| deltas.compute(feats.view()))
}
