//! Another voice that says the same: formants, pitch and its range are moved by factors of their own, and length and words stay
//! (the perturbation of NANSY, Choi et al. 2021, with which ContentVec and Spin make the second view of an utterance; there
//! Praat's "Change gender" does it, here the same steps).
//!
//! Played faster, a recording has higher formants. Its pulses, found by its pitch, are then laid at the distances of the new pitch,
//! as often as the old length needs.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::psola::overlap_add;
use super::speed::change_speed;
use super::within;
use crate::error::Result;
use crate::signal::pitch::{F0Contour, LogF0Statistics, PitchComputer, PitchOptions};

/// How far a voice is moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VoiceOptions {
    /// The chance that an utterance is perturbed.
    pub probability: f64,
    /// Formants are moved by a factor of 1 to this, or by its reciprocal.
    pub formants: f64,
    /// Pitch likewise.
    pub pitch: f64,
    /// The range of the pitch around its mean likewise.
    pub range: f64,
}

impl Default for VoiceOptions {
    fn default() -> Self {
        Self {
            probability: 1.0,
            formants: 1.4,
            pitch: 2.0,
            range: 1.5,
        }
    }
}

/// Factors of a voice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VoiceFactors {
    /// Of its formants' frequencies.
    pub formants: f64,
    /// Of its pitch.
    pub pitch: f64,
    /// Of the deviation of its pitch, by the logarithm.
    pub range: f64,
}

impl VoiceOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`crate::Error::Option`] for a probability outside 0 to 1 or factors outside 1 to 2.
    pub fn check(&self) -> Result<()> {
        within("voice.probability", self.probability, 0.0, 1.0)?;
        within("voice.formants", self.formants, 1.0, 2.0)?;
        within("voice.pitch", self.pitch, 1.0, 2.0)?;
        within("voice.range", self.range, 1.0, 2.0)
    }

    /// Draws factors: between 1 and the largest with the same chance, and up or down with the same.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> VoiceFactors {
        let mut factor = |most: f64| {
            let factor = 1.0 + (most - 1.0) * rng.random::<f64>();
            match rng.random::<bool>() {
                true => factor,
                false => 1.0 / factor,
            }
        };
        VoiceFactors {
            formants: factor(self.formants),
            pitch: factor(self.pitch),
            range: factor(self.range),
        }
    }
}

/// The speech by another voice, as long as before. What is too short to have a pitch is not voiced.
///
/// # Errors
/// As [`change_speed`]; errors of the pitch tracker for a sample rate below 2 kHz.
pub fn change_voice(
    speech: &[f32],
    sample_rate_hz: u32,
    factors: VoiceFactors,
) -> Result<Vec<f32>> {
    let rate = f64::from(sample_rate_hz);
    let tracker = PitchComputer::new(&PitchOptions {
        sample_frequency: rate,
        snip_edges: false,
        ..PitchOptions::default()
    })?;
    let contour = F0Contour::new(tracker.compute(speech)?.view())?;
    let played = change_speed(speech, sample_rate_hz, factors.formants)?;
    let Some(heard) = contour.statistics() else {
        let unvoiced = |_| None;
        return Ok(overlap_add(
            &played,
            sample_rate_hz,
            speech.len(),
            unvoiced,
            |_, period| period,
        ));
    };
    let new = contour.moved(
        heard,
        LogF0Statistics {
            mean: heard.mean + factors.pitch.ln(),
            deviation: heard.deviation * factors.range,
        },
    );
    // Where a place of what is played lies in the contour, in frames, the first of which has its middle at half a shift.
    let shift = tracker.options().frame_shift / 1000.0 * rate;
    let frame = |place: f64| place * factors.formants / shift - 0.5;
    let period = |contour: &F0Contour, place: f64| rate / contour.log_hz_at(frame(place)).exp();
    Ok(overlap_add(
        &played,
        sample_rate_hz,
        speech.len(),
        |place| {
            let voiced = contour.voicing_at(frame(place)) >= 0.5;
            voiced.then(|| period(&contour, place) / factors.formants)
        },
        |place, _| period(&new, place),
    ))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const RATE: u32 = 16_000;

    /// A second of pulses at 125 Hz through a resonance at 1000 Hz.
    fn vowel() -> Vec<f32> {
        let (mut before, mut last) = (0.0, 0.0);
        let turn = (std::f64::consts::TAU * 1000.0 / f64::from(RATE)).cos();
        let speech = (0..RATE).map(|n| {
            let pulse = f64::from(u8::from(n % 128 == 0));
            let sample = pulse + 2.0 * 0.97 * turn * last - 0.97 * 0.97 * before;
            (before, last) = (last, sample);
            (0.1 * sample) as f32
        });
        speech.collect()
    }

    /// The strongest frequency, in Hz.
    fn strongest(samples: &[f32]) -> f64 {
        let turn = std::f32::consts::PI / samples.len() as f32;
        let windowed = samples.iter().enumerate();
        let mut windowed: Vec<f32> = windowed.map(|(n, x)| x * (n as f32 * turn).sin()).collect();
        let fft = realfft::RealFftPlanner::new().plan_fft_forward(windowed.len());
        let mut spectrum = fft.make_output_vec();
        fft.process(&mut windowed, &mut spectrum).unwrap();
        let bins = 0..spectrum.len();
        let peak = bins.max_by(|&a, &b| spectrum[a].norm().total_cmp(&spectrum[b].norm()));
        peak.unwrap_or(0) as f64 * f64::from(RATE) / samples.len() as f64
    }

    #[test]
    fn formants_and_pitch_move_on_their_own() {
        let speech = vowel();
        for (formants, pitch) in [
            (1.0, 1.0),
            (1.3, 1.0),
            (0.8, 1.0),
            (1.0, 1.6),
            (1.0, 0.8),
            (1.3, 0.8),
        ] {
            let factors = VoiceFactors {
                formants,
                pitch,
                range: 1.0,
            };
            let found = change_voice(&speech, RATE, factors).unwrap();
            assert_eq!(found.len(), speech.len());
            let middle = &found[4000..12_000];
            let alike = |lag: usize| -> f32 {
                let pairs = middle.iter().zip(&middle[lag..]);
                pairs.map(|(a, b)| a * b).sum::<f32>()
            };
            let period = (128.0 / pitch).round() as usize;
            let (own, most) = (alike(period), alike(0));
            assert!(own > 0.8 * most, "{factors:?}: {own} of {most}");
            // Less than a period is less alike, but for rounding to samples.
            let shorter = (30..period - 2).map(alike).fold(0.0, f32::max);
            assert!(shorter < 0.9 * own, "{factors:?}: {shorter} and {own}");
            // The harmonic next to the formant.
            let (peak, expected) = (strongest(middle), 1000.0 * formants);
            assert!(
                (peak - expected).abs() < 125.0 * pitch,
                "{factors:?}: {peak} Hz"
            );
        }
    }

    #[test]
    fn factors_go_up_and_down_as_often() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let options = VoiceOptions::default();
        let drawn: Vec<_> = (0..1000).map(|_| options.draw(&mut rng)).collect();
        let up = drawn.iter().filter(|factors| factors.pitch > 1.0).count();
        assert!((400..600).contains(&up), "{up}");
        let within = |x: f64, most: f64| (1.0 / most..=most).contains(&x);
        assert!(
            drawn
                .iter()
                .all(|f| within(f.formants, 1.4) && within(f.pitch, 2.0))
        );
    }

    #[test]
    fn silence_and_short_pieces_stay_what_they_are() {
        let factors = VoiceFactors {
            formants: 1.2,
            pitch: 1.5,
            range: 1.0,
        };
        for length in [0, 1, 30, 2000] {
            let found = change_voice(&vec![0.0; length], RATE, factors).unwrap();
            assert_eq!(found, vec![0.0; length]);
        }
    }
}
