//! Data augmentation: speed, voice, room, noise, equaliser, telephone and level perturbation of speech, and masks on features. One file per
//! perturbation, with its options. Each draws from a given random generator, so that the same seed gives the same samples.
//!
//! Waveforms are samples with full scale at 1; nothing is clipped here. The caller draws whether a perturbation is applied
//! (`probability` in its options), with [`happens`].

pub mod codec;
mod convolution;
pub mod equaliser;
pub mod noise;
mod psola;
pub mod reverb;
pub mod spec_augment;
pub mod speed;
pub mod voice;
pub mod volume;
pub mod vtlp;

pub use codec::{CodecOptions, telephone};
pub use convolution::convolve;
pub use equaliser::EqualiserOptions;
pub use noise::{NoiseOptions, add_noise};
pub use reverb::{ReverbOptions, reverberate};
pub use spec_augment::{SpecAugmentOptions, spec_augment};
pub use speed::{SpeedOptions, change_speed};
pub use voice::{VoiceOptions, change_voice};
pub use volume::{VolumeOptions, change_volume};
pub use vtlp::{VtlpOptions, warp_vocal_tract};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};

/// Mean square of samples; 0 of none.
pub fn power(samples: &[f32]) -> f64 {
    let sum: f64 = samples.iter().map(|&x| f64::from(x).powi(2)).sum();
    sum / samples.len().max(1) as f64
}

/// One of a list that is not empty, each with the same chance.
fn one_of<'a, T>(list: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    &list[rng.random_range(0..list.len())]
}

/// True with this probability.
pub fn happens(probability: f64, rng: &mut ChaCha8Rng) -> bool {
    rng.random::<f64>() < probability
}

/// Checks that a value lies within bounds; the error names it.
fn within(option: &str, value: f64, low: f64, high: f64) -> Result<()> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => {
            let expected = format!("a number from {low} to {high}");
            Err(Error::option(option, expected, value.to_string()))
        }
    }
}

/// Checks that a list is not empty and all its values lie within bounds.
fn all_within(option: &str, values: &[f64], low: f64, high: f64) -> Result<()> {
    if values.is_empty() {
        return Err(Error::option(
            option,
            "at least one number",
            "an empty list",
        ));
    }
    (values.iter()).try_for_each(|&value| within(option, value, low, high))
}
