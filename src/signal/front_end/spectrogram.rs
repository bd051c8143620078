//! Spectrograms as Kaldi's `compute-spectrogram-feats` gives them, and by option powers or magnitudes.

use serde::{Deserialize, Serialize};

use super::kaldi::{EPSILON, kaldi_options};
use super::plan::{FrontEndPlan, Layout, Scale, Whole};
use crate::error::Result;

/// What stands in a bin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpectrogramOutput {
    /// `ln(max(|X|^2, 1.19e-7))`; in place of bin 0, the mean, the frame's log energy, as Kaldi has it.
    #[default]
    Log,
    /// `|X|^2`, all bins.
    Power,
    /// `|X|`, all bins.
    Magnitude,
}

kaldi_options! {
    /// Kaldi's options by Kaldi's names and defaults. Left out are the debugging ones and `return-raw-fft`; `output`,
    /// `seed` and `full_scale` are ours.
    ///
    /// ```toml
    /// kind = "spectrogram"
    /// sample_frequency = 8000.0
    /// output = "magnitude"
    /// ```
    ///
    /// Features are `[frames, N/2 + 1]` for an FFT of `N` samples: 257 at 16 kHz.
    pub struct SpectrogramOptions {
        /// What stands in a bin.
        pub output: SpectrogramOutput = SpectrogramOutput::Log,
    }
}

impl SpectrogramOptions {
    pub(super) fn plan(&self) -> Result<FrontEndPlan> {
        let frames = self.frames();
        let (grid, fft_length) = frames.grid()?;
        let log = self.output == SpectrogramOutput::Log;
        Ok(FrontEndPlan {
            rate_hz: self.sample_frequency,
            grid,
            padding: 0,
            cut: frames.cut(grid.length, log)?,
            fft_length,
            exponent: match self.output {
                SpectrogramOutput::Magnitude => 1.0,
                SpectrogramOutput::Log | SpectrogramOutput::Power => 2.0,
            },
            filters: None,
            scale: match log {
                true => Scale::Log {
                    floor: EPSILON,
                    factor: 1.0,
                    offset: 0.0,
                },
                false => Scale::Linear,
            },
            transform: None,
            layout: Layout {
                columns: fft_length / 2 + 1,
                first: 0,
                energy: log.then_some(0),
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
