//! Mel-frequency cepstral coefficients as Kaldi's `compute-mfcc-feats` gives them: the filter banks' logarithms
//! through an orthonormal cosine transform, liftered.

use super::kaldi::{EPSILON, in_range, kaldi_mel_options};
use super::mel::kaldi_filters;
use super::plan::{FrontEndPlan, Layout, Scale, Whole};
use crate::error::{Error, Result};

kaldi_mel_options! {
    /// Kaldi's options by Kaldi's names and defaults. Left out are the debugging ones; `seed`, `full_scale`
    /// and `allow_empty_filters` are ours.
    ///
    /// ```toml
    /// kind = "mfcc"
    /// num_mel_bins = 40
    /// num_ceps = 40
    /// use_energy = false
    /// ```
    ///
    /// Features are `[frames, num_ceps]`.
    pub struct MfccOptions {
        /// Number of coefficients, the zeroth counted; at most `num_mel_bins`.
        pub num_ceps: usize = 13,
        /// Whether the log energy of the frame stands in place of the zeroth coefficient.
        pub use_energy: bool = true,
        /// `Q` of the lifter `1 + Q/2 sin(pi i/Q)`; 0 for none.
        pub cepstral_lifter: f64 = 22.0,
        /// Whether energy or zeroth coefficient comes last, the latter times the root of 2.
        pub htk_compat: bool = false,
    }
}

impl MfccOptions {
    pub(super) fn plan(&self) -> Result<FrontEndPlan> {
        let frames = self.frames();
        let (grid, fft_length) = frames.grid()?;
        let filters = kaldi_filters(&self.band(), self.sample_frequency, fft_length)?;
        if self.num_ceps == 0 || self.num_ceps > self.num_mel_bins {
            let expected = format!("1 to {}, as many as num_mel_bins", self.num_mel_bins);
            return Err(Error::option(
                "num_ceps",
                expected,
                self.num_ceps.to_string(),
            ));
        }
        in_range("cepstral_lifter", self.cepstral_lifter, 0.0, 1e6)?;
        Ok(FrontEndPlan {
            rate_hz: self.sample_frequency,
            grid,
            padding: 0,
            cut: frames.cut(grid.length, self.use_energy)?,
            fft_length,
            exponent: 2.0,
            filters: Some(filters),
            scale: Scale::Log {
                floor: EPSILON,
                factor: 1.0,
                offset: 0.0,
            },
            transform: Some((0..self.num_ceps).map(|i| self.transform_row(i)).collect()),
            layout: Layout {
                columns: self.num_ceps,
                first: 0,
                energy: self.use_energy.then_some(0),
                first_last: self.htk_compat,
            },
            whole: match self.subtract_mean {
                true => Whole::SubtractMean,
                false => Whole::Nothing,
            },
            double: false,
        })
    }

    /// Row `k` of the cosine transform (`ComputeDctMatrix`), with the lifter and HTK's factor in it.
    fn transform_row(&self, k: usize) -> Vec<f64> {
        let bins = self.num_mel_bins as f64;
        let norm = if k == 0 { 1.0 / bins } else { 2.0 / bins }.sqrt();
        let lifter = match self.cepstral_lifter {
            0.0 => 1.0,
            q => 1.0 + 0.5 * q * (std::f64::consts::PI * k as f64 / q).sin(),
        };
        let htk = match k == 0 && self.htk_compat && !self.use_energy {
            true => std::f64::consts::SQRT_2,
            false => 1.0,
        };
        let angle = std::f64::consts::PI * k as f64 / bins;
        (0..self.num_mel_bins)
            .map(|bin| norm * lifter * htk * (angle * (bin as f64 + 0.5)).cos())
            .collect()
    }
}
