//! Reverberation: convolution with the impulse response of a room.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{convolve, power, within};
use crate::error::{Error, Result};

/// When speech is put into a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReverbOptions {
    /// The chance that an utterance is.
    pub probability: f64,
}

impl Default for ReverbOptions {
    fn default() -> Self {
        Self { probability: 1.0 }
    }
}

impl ReverbOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Option`] for a probability outside 0 to 1.
    pub fn check(&self) -> Result<()> {
        within("reverb.probability", self.probability, 0.0, 1.0)
    }
}

/// The speech as it sounds behind the impulse response `rir`, of the same sample rate: convolved, moved back by the
/// delay of the direct path (the response's greatest magnitude), so that labels of time stay true, cut to the speech's
/// length, and brought to its power.
///
/// # Errors
/// [`Error::Option`] for a response that is empty, silent or not finite.
pub fn reverberate(speech: &[f32], rir: &[f32]) -> Result<Vec<f32>> {
    let wrong = |found: &str| {
        let expected = "finite samples that are not all zero";
        Error::option("room impulse response", expected, found)
    };
    if rir.iter().any(|sample| !sample.is_finite()) {
        return Err(wrong("others"));
    }
    let direct = (0..rir.len())
        .max_by(|&a, &b| rir[a].abs().total_cmp(&rir[b].abs()).then(b.cmp(&a)))
        .filter(|&at| rir[at] != 0.0)
        .ok_or_else(|| wrong("silence"))?;
    let mut reverberant = convolve(speech, rir);
    reverberant.drain(..direct.min(reverberant.len()));
    reverberant.truncate(speech.len());
    let (before, after) = (power(speech), power(&reverberant));
    if after > 0.0 {
        super::change_volume(&mut reverberant, (before / after).sqrt());
    }
    Ok(reverberant)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 16000.0;

    /// A response whose energy falls by 60 dB in `t60` seconds, behind a direct path at sample 40.
    fn room(t60: f64) -> Vec<f32> {
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state) / f64::from(u32::MAX) - 0.5
        };
        let decay = 1000f64.ln() / (t60 * RATE);
        let mut rir: Vec<f32> = (0..(1.2 * t60 * RATE) as usize)
            .map(|i| (0.2 * noise() * (-decay * i as f64).exp()) as f32)
            .collect();
        rir.splice(0..0, [0.0; 40]);
        rir[40] = 1.0;
        rir
    }

    /// Schroeder's backward integration: the time in which the energy left falls from -5 to -25 dB, times three.
    fn t60_of(response: &[f32]) -> f64 {
        let mut left: Vec<f64> = Vec::new();
        let mut sum = 0.0;
        for &sample in response.iter().rev() {
            sum += f64::from(sample).powi(2);
            left.push(sum);
        }
        left.reverse();
        let below = |db: f64| {
            left.iter()
                .position(|&e| e < sum * 10f64.powf(db / 10.0))
                .unwrap()
        };
        3.0 * (below(-25.0) - below(-5.0)) as f64 / RATE
    }

    #[test]
    fn the_decay_is_that_of_the_room() {
        for t60 in [0.3, 0.6] {
            let mut click = vec![0.0f32; 32_000];
            click[100] = 1.0;
            let sounded = reverberate(&click, &room(t60)).unwrap();
            // After the direct path, whose energy is not part of the reverberation.
            let found = t60_of(&sounded[101..]);
            assert!((found / t60 - 1.0).abs() < 0.1, "{found} s and not {t60} s");
        }
    }

    #[test]
    fn the_direct_path_stays_where_it_was_and_power_is_kept() {
        let mut click = vec![0.0f32; 20_000];
        click[1234] = 0.5;
        let sounded = reverberate(&click, &room(0.4)).unwrap();
        let loudest =
            (0..sounded.len()).max_by(|&a, &b| sounded[a].abs().total_cmp(&sounded[b].abs()));
        assert_eq!((loudest, sounded.len()), (Some(1234), 20_000));
        assert!((power(&sounded) / power(&click) - 1.0).abs() < 1e-6);
        // A response that is only a delay changes nothing.
        let delayed = reverberate(&click, &[0.0, 0.0, 0.7]).unwrap();
        for (a, b) in delayed.iter().zip(&click) {
            assert!((a - b).abs() < 1e-6);
        }
    }

    #[test]
    fn invalid_responses_are_refused() {
        for rir in [&[][..], &[0.0, 0.0], &[1.0, f32::NAN]] {
            let error = reverberate(&[1.0], rir).unwrap_err().to_string();
            assert!(
                error.starts_with("room impulse response: expected finite"),
                "{error}"
            );
        }
        assert!(reverberate(&[], &[1.0]).unwrap().is_empty());
    }
}
