//! Features to waveforms: the options that `unbraid convert` and `unbraid feats waveform` share.

use clap::Args;

use crate::error::Result;
use crate::signal::{FrontEndOptions, Resynthesis, ResynthesisOptions};

/// How features become a waveform.
#[derive(Debug, Args)]
pub(super) struct ResynthesisArgs {
    #[arg(long, value_name = "N", help = format!("Iterations of the Griffin-Lim algorithm [default: {}]", ResynthesisOptions::default().iterations))]
    iterations: Option<usize>,
    #[arg(long, value_name = "X", help = format!("Momentum of fast Griffin-Lim, 0 for the original algorithm [default: {}]", ResynthesisOptions::default().momentum))]
    momentum: Option<f64>,
    /// Seed of the noise in a voice, or of Griffin-Lim's initial phases
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl ResynthesisArgs {
    /// The way back of a front-end.
    ///
    /// # Errors
    /// As [`Resynthesis::new`].
    pub(super) fn of(&self, front_end: &FrontEndOptions) -> Result<Resynthesis> {
        let default = ResynthesisOptions::default();
        let options = ResynthesisOptions {
            iterations: self.iterations.unwrap_or(default.iterations),
            momentum: self.momentum.unwrap_or(default.momentum),
            seed: self.seed,
            ..default
        };
        Resynthesis::new(front_end, options)
    }

    /// Whether an option of the Griffin-Lim algorithm was given.
    #[cfg(feature = "torch")]
    pub(super) fn is_for_griffin_lim(&self) -> bool {
        self.iterations.is_some() || self.momentum.is_some()
    }
}
