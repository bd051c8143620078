//! Features to waveforms: the options that `unbraid convert` and `unbraid feats waveform` share.

use clap::Args;
use ndarray::ArrayView2;

use crate::error::Result;
use crate::io::audio::Waveform;
use crate::signal::{FrontEndOptions, Resynthesis, ResynthesisOptions};

/// How features become a waveform.
#[derive(Debug, Args)]
pub(super) struct ResynthesisArgs {
    /// Iterations of the Griffin-Lim algorithm
    #[arg(long, value_name = "N", default_value_t = ResynthesisOptions::default().iterations)]
    iterations: usize,
    /// Momentum of fast Griffin-Lim; 0 for the original algorithm
    #[arg(long, value_name = "X", default_value_t = ResynthesisOptions::default().momentum)]
    momentum: f64,
    /// Seed of the initial phases
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl ResynthesisArgs {
    /// The way back of a front-end.
    ///
    /// # Errors
    /// As [`Resynthesis::new`].
    pub(super) fn of(&self, front_end: &FrontEndOptions) -> Result<Resynthesis> {
        let options = ResynthesisOptions {
            iterations: self.iterations,
            momentum: self.momentum,
            seed: self.seed,
            ..ResynthesisOptions::default()
        };
        Resynthesis::new(front_end, options)
    }

    /// A waveform whose features under `front_end` come near `feats`.
    ///
    /// # Errors
    /// As [`Resynthesis::new`] and [`Resynthesis::waveform`].
    pub(super) fn waveform(
        &self,
        front_end: &FrontEndOptions,
        feats: ArrayView2<f32>,
    ) -> Result<Waveform> {
        let resynthesis = self.of(front_end)?;
        Ok(Waveform {
            samples: resynthesis.waveform(feats)?,
            sample_rate_hz: resynthesis.sample_rate_hz() as u32,
        })
    }
}
