//! A change of sample rate by rubato's synchronous FFT resampler: linear phase, band-limited to the lower
//! of the two Nyquist frequencies, delay taken out.

use std::borrow::Cow;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

use crate::error::{Error, Result};

/// Input samples an FFT works on, at least: long enough for a transition band of a few percent of Nyquist.
const MIN_FFT_INPUT: usize = 1024;
/// The rates in use, with room: beyond them a header or an option lies.
const RATES_HZ: std::ops::RangeInclusive<u32> = 100..=1_000_000;

/// Resamples `samples` from `from_hz` to `to_hz`. Returns `ceil(samples * to / from)` samples, sample `i`
/// of which lies at time `i / to_hz` of the input; equal rates give the input back untouched.
///
/// # Errors
/// [`Error::Option`] for a rate outside 100 Hz to 1 MHz.
pub fn resample(samples: &[f32], from_hz: u32, to_hz: u32) -> Result<Cow<'_, [f32]>> {
    for rate in [from_hz, to_hz] {
        if !RATES_HZ.contains(&rate) {
            let found = format!("{rate} Hz");
            return Err(Error::option("sample rate", "100 to 1000000 Hz", found));
        }
    }
    if from_hz == to_hz || samples.is_empty() {
        return Ok(Cow::Borrowed(samples));
    }
    let failed = |reason: String| {
        let expected = "rates that rubato can resample between";
        let found = format!("{from_hz} to {to_hz} Hz ({reason})");
        Error::option("sample rate", expected, found)
    };
    let (from, to) = (from_hz as usize, to_hz as usize);
    let mut resampler = Fft::<f32>::new(from, to, fft_input(from, to), 1, FixedSync::Both)
        .map_err(|error| failed(error.to_string()))?;
    let input = InterleavedSlice::new(samples, 1, samples.len())
        .map_err(|error| failed(error.to_string()))?;
    let output = (resampler.process_all(&input, samples.len(), None))
        .map_err(|error| failed(error.to_string()))?;
    let mut output = output.take_data();
    // The ratio is a float in rubato: its length may be one off the exact one.
    output.resize((samples.len() * to).div_ceil(from), 0.0);
    Ok(Cow::Owned(output))
}

/// The FFT's input length: an even multiple of the reduced rate. Of an odd one rubato's filter is centred
/// between two samples and the output comes half an input sample late (seen at 44100 to 16000 Hz).
fn fft_input(from: usize, to: usize) -> usize {
    let (mut a, mut b) = (from, to);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    MIN_FFT_INPUT.next_multiple_of(2 * from / a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(frequency_hz: f64, rate_hz: u32, length: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * frequency_hz / f64::from(rate_hz);
        (0..length)
            .map(|i| (step * i as f64).sin() as f32)
            .collect()
    }

    /// Root mean square away from the edges, where the filter reaches beyond the signal.
    fn middle_rms(samples: &[f32]) -> f64 {
        let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
        (middle.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / middle.len() as f64).sqrt()
    }

    const PAIRS: [(u32, u32); 6] = [
        (8000, 16000),
        (16000, 8000),
        (44100, 16000),
        (22050, 16000),
        (48000, 16000),
        (16000, 17600),
    ];

    #[test]
    fn a_sine_keeps_gain_phase_and_length() {
        for (from, to) in PAIRS {
            let input = sine(1000.0, from, from as usize + 7);
            let output = resample(&input, from, to).unwrap();
            let length = (input.len() * to as usize).div_ceil(from as usize);
            assert_eq!(output.len(), length, "{from} to {to}");
            let ideal = sine(1000.0, to, length);
            let error: Vec<f32> = output.iter().zip(&ideal).map(|(a, b)| a - b).collect();
            assert!(
                middle_rms(&error) < 1e-4,
                "{from} to {to}: {}",
                middle_rms(&error)
            );
        }
    }

    #[test]
    fn what_lies_above_the_new_nyquist_is_gone() {
        for (from, to, tone) in [(16000, 8000, 5000.0), (44100, 16000, 9000.0)] {
            let input = sine(tone, from, from as usize);
            let output = resample(&input, from, to).unwrap();
            assert!(
                middle_rms(&output) < 1e-4,
                "{from} to {to}: {}",
                middle_rms(&output)
            );
        }
    }

    #[test]
    fn short_and_equal_inputs() {
        let one = [0.5f32];
        assert_eq!(resample(&one, 8000, 16000).unwrap().len(), 2);
        assert_eq!(&*resample(&one, 8000, 8000).unwrap(), one);
        assert!(resample(&[], 8000, 16000).unwrap().is_empty());
        for (from, to) in [(0, 8000), (8000, 0), (8000, 2_000_000)] {
            let error = resample(&one, from, to).unwrap_err().to_string();
            assert!(error.contains("expected 100 to 1000000 Hz"), "{error}");
        }
    }
}
