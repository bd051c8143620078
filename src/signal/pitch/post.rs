//! What recognisers take of a pitch: `[frames, 2]` of correlation and Hz to warped voicing, log pitch freed of its
//! moving mean, its slope, and the log pitch itself, each by choice, as Kaldi's `process-kaldi-pitch-feats`.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::super::deltas::{DeltaOptions, Deltas};
use super::{probability_of_voicing, within};
use crate::error::{Error, Result};

/// Kaldi's options by Kaldi's names and defaults, without the delay of online decoding; `seed` is ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PitchPostOptions {
    /// Factor of the normalised log pitch.
    pub pitch_scale: f64,
    /// Factor of the warped voicing.
    pub pov_scale: f64,
    /// Added to it.
    pub pov_offset: f64,
    /// Factor of the slope.
    pub delta_pitch_scale: f64,
    /// Deviation of the noise on the slope, before its factor: it hides that pitches come in steps. 0 for none.
    pub delta_pitch_noise_stddev: f64,
    /// Seed of that noise; each utterance begins anew from it.
    pub seed: u64,
    /// Frames before that the mean is taken over.
    pub normalization_left_context: usize,
    /// Frames behind.
    pub normalization_right_context: usize,
    /// Frames on each side that the slope looks at.
    pub delta_window: usize,
    /// Column 1: `(1.0001 - correlation)^0.15 - 1`.
    pub add_pov_feature: bool,
    /// Column 2: log pitch less its mean over the context, weighted by the probability of voicing.
    pub add_normalized_log_pitch: bool,
    /// Column 3: slope of the log pitch.
    pub add_delta_pitch: bool,
    /// Column 4: log pitch.
    pub add_raw_log_pitch: bool,
}

impl Default for PitchPostOptions {
    fn default() -> Self {
        Self {
            pitch_scale: 2.0,
            pov_scale: 2.0,
            pov_offset: 0.0,
            delta_pitch_scale: 10.0,
            delta_pitch_noise_stddev: 0.005,
            seed: 0,
            normalization_left_context: 75,
            normalization_right_context: 75,
            delta_window: 2,
            add_pov_feature: true,
            add_normalized_log_pitch: true,
            add_delta_pitch: true,
            add_raw_log_pitch: false,
        }
    }
}

impl PitchPostOptions {
    /// Columns of the features.
    pub fn dim(&self) -> usize {
        let chosen = [
            self.add_pov_feature,
            self.add_normalized_log_pitch,
            self.add_delta_pitch,
            self.add_raw_log_pitch,
        ];
        chosen.into_iter().filter(|chosen| *chosen).count()
    }

    pub(super) fn check(&self) -> Result<()> {
        for (name, value) in [
            ("pitch_scale", self.pitch_scale),
            ("pov_scale", self.pov_scale),
            ("pov_offset", self.pov_offset),
            ("delta_pitch_scale", self.delta_pitch_scale),
        ] {
            within(name, value, -1e6, 1e6)?;
        }
        within(
            "delta_pitch_noise_stddev",
            self.delta_pitch_noise_stddev,
            0.0,
            1e3,
        )?;
        if !(1..=1000).contains(&self.delta_window) {
            let found = self.delta_window.to_string();
            return Err(Error::option("delta_window", "1 to 1000", found));
        }
        match self.dim() {
            0 => Err(Error::option(
                "add_pov_feature",
                "one of the four features",
                "none",
            )),
            _ => Ok(()),
        }
    }

    /// The chosen features `[frames, dim]` of `[frames, 2]` correlations and pitches above 0 Hz.
    pub(super) fn features(&self, pitch: ArrayView2<'_, f32>) -> Array2<f32> {
        let log_pitch = pitch.column(1).mapv(|hz| f64::from(hz).ln());
        let mut columns = Vec::new();
        if self.add_pov_feature {
            let warp = |n: &f32| (1.0001 - f64::from(*n).clamp(-1.0, 1.0)).powf(0.15) - 1.0;
            columns.push(pitch.column(0).map(warp) * self.pov_scale + self.pov_offset);
        }
        if self.add_normalized_log_pitch {
            columns.push(self.normalised(pitch, &log_pitch) * self.pitch_scale);
        }
        if self.add_delta_pitch {
            columns.push(self.gradients_of(&log_pitch) * self.delta_pitch_scale);
        }
        if self.add_raw_log_pitch {
            columns.push(log_pitch);
        }
        let columns: Vec<_> = columns.iter().map(|column| column.view()).collect();
        ndarray::stack(Axis(1), &columns)
            .expect("all columns have the pitch's length, and one was chosen")
            .mapv(|value| value as f32)
    }

    /// Log pitch less its mean, each frame's weight its probability of voicing.
    fn normalised(&self, pitch: ArrayView2<'_, f32>, log_pitch: &Array1<f64>) -> Array1<f64> {
        // Sums over all frames before each: a window is a difference of two.
        let mut sums = vec![(0.0, 0.0)];
        for (&correlation, &log_pitch) in pitch.column(0).iter().zip(log_pitch) {
            let voiced = probability_of_voicing(f64::from(correlation));
            let (weight, weighted) = sums[sums.len() - 1];
            sums.push((weight + voiced, weighted + voiced * log_pitch));
        }
        let frames = log_pitch.len();
        Array1::from_shape_fn(frames, |frame| {
            let first = frame.saturating_sub(self.normalization_left_context);
            let end = frame
                .saturating_add(self.normalization_right_context)
                .min(frames - 1)
                + 1;
            let weight = sums[end].0 - sums[first].0;
            log_pitch[frame] - (sums[end].1 - sums[first].1) / weight
        })
    }

    fn gradients_of(&self, log_pitch: &Array1<f64>) -> Array1<f64> {
        let deltas = Deltas::new(DeltaOptions {
            order: 1,
            window: self.delta_window,
        });
        let column = log_pitch.mapv(|x| x as f32).insert_axis(Axis(1));
        let gradients_of = deltas.and_then(|deltas| match column.nrows() {
            0 => Ok(Array2::zeros((0, 2))),
            _ => deltas.compute(column.view()),
        });
        let gradients_of =
            gradients_of.expect("the window was checked, and logs of pitches are finite");
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let deviation = self.delta_pitch_noise_stddev;
        gradients_of.slice(s![.., 1]).mapv(|slope| {
            let noise = match deviation > 0.0 {
                true => deviation * gaussian(&mut rng),
                false => 0.0,
            };
            f64::from(slope) + noise
        })
    }
}

/// One draw of mean 0 and deviation 1 (Box and Muller 1958).
fn gaussian(rng: &mut ChaCha8Rng) -> f64 {
    let radius: f64 = 1.0 - rng.random::<f64>();
    let angle = std::f64::consts::TAU * rng.random::<f64>();
    (-2.0 * radius.ln()).sqrt() * angle.cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn columns_are_those_chosen() {
        let pitch = array![[0.9f32, 100.0], [0.2, 105.0], [1.0, 110.0], [-0.1, 110.0]];
        let all = PitchPostOptions {
            add_raw_log_pitch: true,
            delta_pitch_noise_stddev: 0.0,
            ..PitchPostOptions::default()
        };
        let features = all.features(pitch.view());
        assert_eq!(features.dim(), (4, 4));
        assert!((features[[2, 0]] - 2.0 * (0.0001f32.powf(0.15) - 1.0)).abs() < 1e-3);
        assert!((features[[1, 3]] - 105.0f32.ln()).abs() < 1e-6);
        let weights = [0.9, 0.2, 1.0, 0.1].map(probability_of_voicing);
        let mean = (0..4)
            .map(|t| weights[t] * f64::from(pitch[[t, 1]]).ln())
            .sum::<f64>()
            / weights.iter().sum::<f64>();
        assert!((f64::from(features[[0, 1]]) - 2.0 * (100f64.ln() - mean)).abs() < 1e-5);
        let slope = ((110f64 / 100.0).ln() + 2.0 * (110f64 / 100.0).ln()) / 10.0;
        assert!((f64::from(features[[1, 2]]) - 10.0 * slope).abs() < 1e-5);
        let one = PitchPostOptions {
            add_pov_feature: false,
            add_normalized_log_pitch: false,
            ..PitchPostOptions::default()
        };
        let noisy = one.features(pitch.view());
        assert_eq!(noisy.dim(), (4, 1));
        assert_eq!(noisy, one.features(pitch.view()));
        assert_ne!(noisy.column(0), features.column(2));
    }

    #[test]
    fn nothing_chosen_is_refused() {
        let none = PitchPostOptions {
            add_pov_feature: false,
            add_normalized_log_pitch: false,
            add_delta_pitch: false,
            ..PitchPostOptions::default()
        };
        assert!(none.check().is_err());
    }
}
