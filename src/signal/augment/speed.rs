//! Speed perturbation by resampling, which also changes the pitch (Ko, Peddinti, Povey, Khudanpur: Audio augmentation for speech
//! recognition, Interspeech 2015).

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{all_within, one_of};
use crate::error::Result;
use crate::signal::resample::resample;

/// What speeds are drawn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpeedOptions {
    /// Factors, each with the same chance; 1.1 makes an utterance shorter by a tenth and higher by as much.
    pub factors: Vec<f64>,
}

impl Default for SpeedOptions {
    fn default() -> Self {
        Self {
            factors: vec![0.9, 1.0, 1.1],
        }
    }
}

impl SpeedOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`crate::Error::Option`] for no factors, or one outside 0.25 to 4.
    pub fn check(&self) -> Result<()> {
        all_within("speed.factors", &self.factors, 0.25, 4.0)
    }

    /// Draws a factor.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> f64 {
        *one_of(&self.factors, rng)
    }
}

/// The samples played `factor` times as fast, at the same sample rate. The factor is kept to a whole number of Hz of the
/// sample rate. As long as the input over the factor, rounded up.
///
/// # Errors
/// As [`resample`].
pub fn change_speed(samples: &[f32], sample_rate_hz: u32, factor: f64) -> Result<Vec<f32>> {
    let played_hz = (f64::from(sample_rate_hz) * factor).round() as u32;
    Ok(resample(samples, played_hz, sample_rate_hz)?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_pitch_follow_the_factor() {
        let tone = |hz: f64, length: usize| -> Vec<f32> {
            (0..length)
                .map(|i| (std::f64::consts::TAU * hz * i as f64 / 16000.0).sin() as f32)
                .collect()
        };
        for factor in [0.9, 1.0, 1.1] {
            let fast = change_speed(&tone(1000.0, 16000), 16000, factor).unwrap();
            assert_eq!(fast.len(), (16000.0 / factor).ceil() as usize);
            let ideal = tone(1000.0 * factor, fast.len());
            let middle = 4000..10_000;
            for (a, b) in fast[middle.clone()].iter().zip(&ideal[middle]) {
                assert!((a - b).abs() < 1e-3, "{factor}: {a} and {b}");
            }
        }
    }
}
