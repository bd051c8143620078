//! Telephone speech: 8 kHz, 300 to 3400 Hz, and optionally quantisation by mu-law.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{convolve, within};
use crate::error::{Error, Result};
use crate::io::audio::g711::{mu_law_decoded, mu_law_encoded};
use crate::signal::resample::resample;

/// The telephone's sample rate.
const TELEPHONE_HZ: u32 = 8000;
/// Taps of the band's filter at 8 kHz, an odd number: 32 ms, transitions of about 100 Hz.
const TAPS: usize = 257;

/// What a telephone does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CodecOptions {
    /// The chance that an utterance goes through it.
    pub probability: f64,
    /// Where its band begins, in Hz (ITU-T G.712: 300).
    pub low_hz: f64,
    /// Where its band ends, in Hz (ITU-T G.712: 3400).
    pub high_hz: f64,
    /// Whether samples are quantised by mu-law (ITU-T G.711).
    pub mu_law: bool,
}

impl Default for CodecOptions {
    fn default() -> Self {
        Self {
            probability: 1.0,
            low_hz: 300.0,
            high_hz: 3400.0,
            mu_law: false,
        }
    }
}

impl CodecOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Option`] for a probability outside 0 to 1 or a band that is none within 0 to 4000 Hz.
    pub fn check(&self) -> Result<()> {
        within("codec.probability", self.probability, 0.0, 1.0)?;
        let nyquist = f64::from(TELEPHONE_HZ) / 2.0;
        within("codec.low_hz", self.low_hz, 0.0, nyquist)?;
        within("codec.high_hz", self.high_hz, 0.0, nyquist)?;
        if self.low_hz >= self.high_hz {
            let expected = format!("less than codec.high_hz, {}", self.high_hz);
            return Err(Error::option(
                "codec.low_hz",
                expected,
                self.low_hz.to_string(),
            ));
        }
        Ok(())
    }
}

/// The speech through a telephone and back at its sample rate and length, without delay.
///
/// # Errors
/// As [`resample`].
pub fn telephone(speech: &[f32], sample_rate_hz: u32, options: &CodecOptions) -> Result<Vec<f32>> {
    let narrow = resample(speech, sample_rate_hz, TELEPHONE_HZ)?;
    let mut banded = convolve(&narrow, &band_pass(options.low_hz, options.high_hz));
    banded.drain(..(TAPS / 2).min(banded.len()));
    banded.truncate(narrow.len());
    if options.mu_law {
        for sample in &mut banded {
            let whole = (*sample * 32768.0).round().clamp(-32768.0, 32767.0) as i16;
            *sample = f32::from(mu_law_decoded(mu_law_encoded(whole))) / 32768.0;
        }
    }
    let mut wide = resample(&banded, TELEPHONE_HZ, sample_rate_hz)?.into_owned();
    wide.resize(speech.len(), 0.0);
    Ok(wide)
}

/// A linear-phase band-pass at 8 kHz: the difference of two sincs under a Blackman window.
fn band_pass(low_hz: f64, high_hz: f64) -> Vec<f32> {
    let cut = |hz: f64, t: f64| {
        let x = 2.0 * hz / f64::from(TELEPHONE_HZ);
        match t {
            0.0 => x,
            t => (std::f64::consts::PI * x * t).sin() / (std::f64::consts::PI * t),
        }
    };
    let taps = (0..TAPS).map(|i| {
        let t = i as f64 - (TAPS / 2) as f64;
        let phase = std::f64::consts::TAU * (i + 1) as f64 / (TAPS + 1) as f64;
        let window = 0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos();
        ((cut(high_hz, t) - cut(low_hz, t)) * window) as f32
    });
    taps.collect()
}

#[cfg(test)]
mod tests {
    use super::super::power;
    use super::*;

    fn tone(hz: f64) -> Vec<f32> {
        (0..16_000)
            .map(|i| (0.3 * (std::f64::consts::TAU * hz * f64::from(i) / 16000.0).sin()) as f32)
            .collect()
    }

    fn gain_db(hz: f64, options: &CodecOptions) -> f64 {
        let (before, after) = (tone(hz), telephone(&tone(hz), 16000, options).unwrap());
        10.0 * (power(&after[4000..12_000]) / power(&before[4000..12_000])).log10()
    }

    #[test]
    fn the_band_is_the_telephones() {
        let options = CodecOptions::default();
        for hz in [400.0, 1000.0, 2000.0, 3300.0] {
            assert!(
                gain_db(hz, &options).abs() < 0.05,
                "{hz}: {}",
                gain_db(hz, &options)
            );
        }
        for hz in [50.0, 150.0, 3600.0, 5000.0, 7000.0] {
            assert!(
                gain_db(hz, &options) < -60.0,
                "{hz}: {}",
                gain_db(hz, &options)
            );
        }
    }

    #[test]
    fn time_and_length_stay() {
        let (before, after) = (
            tone(1000.0),
            telephone(&tone(1000.0), 16000, &CodecOptions::default()),
        );
        let after = after.unwrap();
        assert_eq!(after.len(), before.len());
        for (a, b) in after[4000..12_000].iter().zip(&before[4000..]) {
            assert!((a - b).abs() < 1e-3);
        }
    }

    /// G.711 keeps about 38 dB between a tone and the noise of its steps (ITU-T G.712, figure 6: at least 33).
    #[test]
    fn mu_law_leaves_its_noise() {
        let options = CodecOptions {
            mu_law: true,
            ..CodecOptions::default()
        };
        let (before, after) = (
            tone(1000.0),
            telephone(&tone(1000.0), 16000, &options).unwrap(),
        );
        let noise: Vec<f32> = before.iter().zip(&after).map(|(a, b)| a - b).collect();
        let snr = 10.0 * (power(&before[4000..12_000]) / power(&noise[4000..12_000])).log10();
        assert!((33.0..50.0).contains(&snr), "{snr} dB");
    }
}
