//! Vocal tract length perturbation: warps the frequency axis of log mel features.
//!
//! Source: Jaitly and Hinton, Vocal tract length perturbation improves speech recognition, ICML 2013 workshop, equation
//! of section 3. Departs from it in warping features that are there, by linear interpolation between bins, and not the
//! filters that they are made with.

use ndarray::Array2;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::within;
use crate::error::{Error, Result};

/// What warps are drawn from, and where the bins lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VtlpOptions {
    /// The chance that an utterance is warped.
    pub probability: f64,
    /// The least factor of frequencies.
    pub min: f64,
    /// The greatest factor.
    pub max: f64,
    /// Up to here frequencies are multiplied, in Hz; from here the warp bends back to meet the Nyquist frequency.
    pub bend_hz: f64,
    /// Where the mel filters begin, in Hz, as `low_freq` of the front-end.
    pub low_freq_hz: f64,
    /// Where they end, in Hz: `high_freq`, or the Nyquist frequency.
    pub high_freq_hz: f64,
}

impl Default for VtlpOptions {
    /// For Kaldi's filters at 16 kHz; factors and bend are the paper's.
    fn default() -> Self {
        Self {
            probability: 1.0,
            min: 0.9,
            max: 1.1,
            bend_hz: 4800.0,
            low_freq_hz: 20.0,
            high_freq_hz: 8000.0,
        }
    }
}

impl VtlpOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Option`] for a probability outside 0 to 1, factors outside 0.5 to 2 or in the wrong order, or
    /// frequencies that do not rise from `low_freq_hz` over `bend_hz` to `high_freq_hz`.
    pub fn check(&self) -> Result<()> {
        within("vtlp.probability", self.probability, 0.0, 1.0)?;
        within("vtlp.min", self.min, 0.5, 2.0)?;
        within("vtlp.max", self.max, self.min, 2.0)?;
        within("vtlp.low_freq_hz", self.low_freq_hz, 0.0, 1e6)?;
        within("vtlp.high_freq_hz", self.high_freq_hz, 0.0, 1e6)?;
        // Before the bend's image reaches the end, so that no part of the axis is pressed to nothing.
        let most = self.high_freq_hz / self.max.max(1.0);
        if self.low_freq_hz < self.bend_hz && self.bend_hz < most {
            return Ok(());
        }
        let expected = format!(
            "a frequency above vtlp.low_freq_hz, {}, and below {most:.0} Hz, where the greatest factor reaches the end",
            self.low_freq_hz
        );
        Err(Error::option(
            "vtlp.bend_hz",
            expected,
            self.bend_hz.to_string(),
        ))
    }

    /// Draws a factor, all between the bounds with the same chance.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> f64 {
        self.min + (self.max - self.min) * rng.random::<f64>()
    }

    /// Where a frequency of the speech comes to lie.
    fn warped_hz(&self, hz: f64, factor: f64) -> f64 {
        let (bend, end) = (self.bend_hz * factor.min(1.0), self.high_freq_hz);
        if hz <= bend / factor {
            return hz * factor;
        }
        end - (end - bend) / (end - bend / factor) * (end - hz)
    }
}

/// Warps `[frames, bins]` in place: what stood at a frequency f of log mel features stands at `factor` times f, up to
/// the bend.
pub fn warp_vocal_tract(feats: &mut Array2<f32>, options: &VtlpOptions, factor: f64) {
    let bins = feats.ncols();
    if bins < 2 || factor == 1.0 {
        return;
    }
    let sources = sources(bins, options, factor);
    let mut old = vec![0.0; bins];
    for mut row in feats.rows_mut() {
        old.iter_mut()
            .zip(&row)
            .for_each(|(old, value)| *old = *value);
        for (value, &(below, share)) in row.iter_mut().zip(&sources) {
            *value = old[below] + (old[below + 1] - old[below]) * share;
        }
    }
}

/// By bin, the one below the place that its new value comes from, and how far the place lies towards the next.
fn sources(bins: usize, options: &VtlpOptions, factor: f64) -> Vec<(usize, f32)> {
    let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
    let (low, high) = (mel(options.low_freq_hz), mel(options.high_freq_hz));
    // Kaldi's filters: the centres part the mel axis into one more step than there are bins.
    let step = (high - low) / (bins + 1) as f64;
    let hz = |bin: usize| 700.0 * (((low + step * (bin + 1) as f64) / 1127.0).exp() - 1.0);
    let warped: Vec<f64> = (0..bins)
        .map(|bin| mel(options.warped_hz(hz(bin), factor)))
        .collect();
    (0..bins)
        .map(|bin| {
            // The warp rises, so that its inverse is found between two of its values.
            let wanted = low + step * (bin + 1) as f64;
            let below = warped.partition_point(|&w| w <= wanted).clamp(1, bins - 1) - 1;
            let share = (wanted - warped[below]) / (warped[below + 1] - warped[below]);
            (below, share.clamp(0.0, 1.0) as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warp_is_the_papers() {
        let options = VtlpOptions::default();
        options.check().unwrap();
        for factor in [0.9, 1.0, 1.1] {
            let warped = |hz| options.warped_hz(hz, factor);
            assert!((warped(1000.0) - 1000.0 * factor).abs() < 1e-9);
            assert!((warped(8000.0) - 8000.0).abs() < 1e-9);
            let rising = (0..800).map(|i| warped(10.0 * f64::from(i)));
            assert!(
                rising
                    .collect::<Vec<_>>()
                    .windows(2)
                    .all(|pair| pair[0] < pair[1])
            );
        }
    }

    /// A peak at 1 kHz moves to 1.1 or 0.9 kHz.
    #[test]
    fn a_formant_moves_by_the_factor() {
        let (options, bins) = (VtlpOptions::default(), 200);
        let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
        let step = (mel(8000.0) - mel(20.0)) / (bins + 1) as f64;
        let bin_of = |hz: f64| (mel(hz) - mel(20.0)) / step - 1.0;
        let peak = |hz: f64| {
            Array2::from_shape_fn((3, bins), |(_, bin)| {
                (-((bin as f64 - bin_of(hz)) / 6.0).powi(2)).exp() as f32
            })
        };
        for factor in [0.9, 1.0, 1.1] {
            let mut feats = peak(1000.0);
            warp_vocal_tract(&mut feats, &options, factor);
            let row = feats.row(2);
            let found = (0..bins)
                .max_by(|&a, &b| row[a].total_cmp(&row[b]))
                .unwrap();
            let wanted = bin_of(1000.0 * factor);
            assert!(
                (found as f64 - wanted).abs() <= 1.0,
                "{factor}: {found} and not {wanted}"
            );
        }
        let mut flat = Array2::from_elem((2, 40), 3.5f32);
        warp_vocal_tract(&mut flat, &options, 1.1);
        assert!(flat.iter().all(|&x| x == 3.5));
    }

    #[test]
    fn invalid_frequencies_are_refused() {
        for (options, name) in [
            (
                VtlpOptions {
                    bend_hz: 7900.0,
                    ..VtlpOptions::default()
                },
                "vtlp.bend_hz",
            ),
            (
                VtlpOptions {
                    min: 1.2,
                    ..VtlpOptions::default()
                },
                "vtlp.max",
            ),
            (
                VtlpOptions {
                    low_freq_hz: 5000.0,
                    ..VtlpOptions::default()
                },
                "vtlp.bend_hz",
            ),
        ] {
            let error = options.check().unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
