//! Additive noise at a given signal-to-noise ratio.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{all_within, one_of, power, within};
use crate::error::{Error, Result};

/// How loud noises are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NoiseOptions {
    /// The chance that an utterance gets noise.
    pub probability: f64,
    /// Ratios of the speech's mean power to the noise's, in dB, each with the same chance.
    pub snrs_db: Vec<f64>,
}

impl Default for NoiseOptions {
    fn default() -> Self {
        Self {
            probability: 1.0,
            snrs_db: vec![0.0, 5.0, 10.0, 15.0],
        }
    }
}

impl NoiseOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Option`] for no ratios, one beyond 100 dB, or a probability outside 0 to 1.
    pub fn check(&self) -> Result<()> {
        within("noise.probability", self.probability, 0.0, 1.0)?;
        all_within("noise.snrs_db", &self.snrs_db, -100.0, 100.0)
    }

    /// Draws a ratio in dB.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> f64 {
        *one_of(&self.snrs_db, rng)
    }
}

/// Adds noise so that the mean power of `speech` is `snr_db` dB above that of the added noise. A longer noise is cropped, a
/// shorter one repeated, from a random position.
///
/// # Errors
/// [`Error::Option`] for speech or noise without power, of which no ratio can be made.
pub fn add_noise(
    speech: &mut [f32],
    noise: &[f32],
    snr_db: f64,
    rng: &mut ChaCha8Rng,
) -> Result<()> {
    let silent = |what| Error::option(what, "samples that are not all zero", "silence");
    let speech_power = power(speech);
    if speech_power == 0.0 {
        return Err(silent("speech to add noise to"));
    }
    if power(noise) == 0.0 {
        return Err(silent("noise"));
    }
    let begin = match noise.len().checked_sub(speech.len()) {
        Some(spare) => rng.random_range(0..=spare),
        None => rng.random_range(0..noise.len()),
    };
    let mut added: Vec<f32> = noise
        .iter()
        .cycle()
        .skip(begin)
        .take(speech.len())
        .copied()
        .collect();
    // The drawn part may be silent: then take the noise from its loudest sample on.
    if power(&added) == 0.0 {
        let loudest = (0..noise.len()).max_by(|&a, &b| noise[a].abs().total_cmp(&noise[b].abs()));
        let begin = loudest.unwrap_or(0);
        added = noise
            .iter()
            .cycle()
            .skip(begin)
            .take(speech.len())
            .copied()
            .collect();
    }
    let gain = (speech_power / power(&added) / 10f64.powf(snr_db / 10.0)).sqrt();
    for (sample, noise) in speech.iter_mut().zip(added) {
        *sample = (f64::from(*sample) + gain * f64::from(noise)) as f32;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn made(length: usize, step: usize) -> Vec<f32> {
        (0..length)
            .map(|i| ((i * i * step + i * 13) % 997) as f32 / 996.0 - 0.5)
            .collect()
    }

    #[test]
    fn the_ratio_is_what_was_asked_for() {
        let speech = made(8000, 31);
        for (noise, snr) in [
            (made(500, 7), -5.0),
            (made(8000, 7), 0.0),
            (made(90_000, 7), 20.0),
        ] {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut noisy = speech.clone();
            add_noise(&mut noisy, &noise, snr, &mut rng).unwrap();
            let added: Vec<f32> = noisy.iter().zip(&speech).map(|(a, b)| a - b).collect();
            let found = 10.0 * (power(&speech) / power(&added)).log10();
            assert!((found - snr).abs() < 0.01, "{found} and not {snr}");
            let mut again = speech.clone();
            add_noise(&mut again, &noise, snr, &mut ChaCha8Rng::seed_from_u64(3)).unwrap();
            assert_eq!(again, noisy);
        }
    }

    #[test]
    fn a_noise_that_is_mostly_silent_is_found() {
        let mut noise = vec![0.0; 100_000];
        noise[70_000] = 0.5;
        for seed in 0..5 {
            let mut speech = made(1000, 31);
            let before = speech.clone();
            add_noise(
                &mut speech,
                &noise,
                10.0,
                &mut ChaCha8Rng::seed_from_u64(seed),
            )
            .unwrap();
            assert_ne!(speech, before);
        }
    }

    #[test]
    fn silence_has_no_ratio() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for (mut speech, noise, what) in [
            (vec![0.0; 10], vec![1.0], "speech to add noise to: expected"),
            (vec![1.0; 10], vec![0.0], "noise: expected"),
            (vec![1.0; 10], vec![], "noise: expected"),
            (vec![], vec![1.0], "speech to add noise to: expected"),
        ] {
            let error = add_noise(&mut speech, &noise, 0.0, &mut rng)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(what), "{error}");
        }
        let none = NoiseOptions {
            snrs_db: vec![],
            ..NoiseOptions::default()
        };
        let error = none.check().unwrap_err().to_string();
        assert_eq!(
            error,
            "noise.snrs_db: expected at least one number, found an empty list"
        );
    }
}
