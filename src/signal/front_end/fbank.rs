//! Log mel filter bank energies as Kaldi's `compute-fbank-feats` gives them.

use super::kaldi::{EPSILON, kaldi_mel_options};
use super::mel::kaldi_filters;
use super::plan::{FrontEndPlan, Layout, Scale, Whole};
use crate::error::Result;

kaldi_mel_options! {
    /// Kaldi's options by Kaldi's names and defaults. Left out are the debugging ones; `seed`, `full_scale`
    /// and `allow_empty_filters` are ours.
    ///
    /// ```toml
    /// kind = "fbank"
    /// sample_frequency = 16000.0
    /// num_mel_bins = 40
    /// dither = 0.0
    /// ```
    ///
    /// Features are `[frames, num_mel_bins]`, with `use_energy` one column more; in nats.
    pub struct FbankOptions {
        /// Whether the log energy of the frame is an extra column: the first, or the last with `htk_compat`.
        pub use_energy: bool = false,
        /// Whether the energy comes last.
        pub htk_compat: bool = false,
        /// Whether the filters' logarithm is given.
        pub use_log_fbank: bool = true,
        /// Whether the filters weigh the power spectrum; else the magnitudes.
        pub use_power: bool = true,
    }
}

impl FbankOptions {
    pub(super) fn plan(&self) -> Result<FrontEndPlan> {
        let frames = self.frames();
        let (grid, fft_length) = frames.grid()?;
        let filters = kaldi_filters(&self.band(), self.sample_frequency, fft_length)?;
        let energy = match self.htk_compat {
            true => self.num_mel_bins,
            false => 0,
        };
        Ok(FrontEndPlan {
            rate_hz: self.sample_frequency,
            grid,
            padding: 0,
            cut: frames.cut(grid.length, self.use_energy)?,
            fft_length,
            exponent: if self.use_power { 2.0 } else { 1.0 },
            filters: Some(filters),
            scale: match self.use_log_fbank {
                true => Scale::Log {
                    floor: EPSILON,
                    factor: 1.0,
                    offset: 0.0,
                },
                false => Scale::Linear,
            },
            transform: None,
            layout: Layout {
                columns: self.num_mel_bins + usize::from(self.use_energy),
                first: usize::from(self.use_energy && !self.htk_compat),
                energy: self.use_energy.then_some(energy),
                first_last: false,
            },
            whole: match self.subtract_mean {
                true => Whole::SubtractMean,
                false => Whole::Nothing,
            },
            double: false,
        })
    }
}
