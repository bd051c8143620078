//! A spectrogram for pictures: one spectrum per pixel column, one level per pixel row.

use realfft::RealFftPlanner;

use super::super::picture::LEVELS;
use crate::io::audio::Waveform;

/// Length of the window in seconds, which resolves the harmonics of low-pitched speakers.
const WINDOW_S: f64 = 0.025;
/// Pre-emphasis: raises high frequencies by up to 6 dB per octave.
const PREEMPHASIS: f32 = 0.97;
/// Levels this far below the maximum are dark.
pub(super) const RANGE_DB: f64 = 70.0;
/// Speech has little energy above this.
const MOST_HZ: f64 = 8000.0;

/// The highest frequency that is shown, in Hz.
pub(super) fn top_hz(waveform: &Waveform) -> f64 {
    (f64::from(waveform.sample_rate_hz) / 2.0).min(MOST_HZ)
}

/// Levels `columns * rows`, row after row, the highest frequency first; dB below the loudest pixel, over
/// [`RANGE_DB`]. Silence is dark.
pub(super) fn levels(waveform: &Waveform, columns: usize, rows: usize) -> Vec<u8> {
    let decibels = decibels(waveform, columns, rows);
    let loudest = decibels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    decibels
        .iter()
        .map(|value| {
            let part = 1.0 - (loudest - value) / RANGE_DB;
            match part.is_finite() {
                true => (part.clamp(0.0, 1.0) * (LEVELS - 1) as f64).round() as u8,
                false => 0,
            }
        })
        .collect()
}

/// Power in dB, minus infinity for none.
fn decibels(waveform: &Waveform, columns: usize, rows: usize) -> Vec<f64> {
    let rate = f64::from(waveform.sample_rate_hz);
    let length = ((WINDOW_S * rate) as usize).max(2);
    // Padded so far that neighbouring rows see different bins.
    let padded = length.max(2 * rows).next_power_of_two();
    let window: Vec<f32> = (0..length)
        .map(|i| {
            let angle = std::f64::consts::TAU * (i as f64 + 0.5) / length as f64;
            (0.5 - 0.5 * angle.cos()) as f32
        })
        .collect();
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(padded);
    let (mut frame, mut spectrum) = (fft.make_input_vec(), fft.make_output_vec());
    let mut scratch = fft.make_scratch_vec();
    let mut out = vec![f64::NEG_INFINITY; columns * rows];
    for column in 0..columns {
        let centre = (column as f64 + 0.5) / columns as f64 * waveform.samples.len() as f64;
        frame.fill(0.0);
        gather(
            &waveform.samples,
            centre as isize - length as isize / 2,
            &window,
            &mut frame,
        );
        fft.process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
            .expect("the buffers were made by this FFT");
        for row in 0..rows {
            let hz = top_hz(waveform) * (1.0 - (row as f64 + 0.5) / rows as f64);
            let place = hz / rate * padded as f64;
            let (bin, part) = (place as usize, place.fract());
            let above = spectrum[(bin + 1).min(spectrum.len() - 1)].norm_sqr();
            let power =
                f64::from(spectrum[bin].norm_sqr()) * (1.0 - part) + f64::from(above) * part;
            out[row * columns + column] = 10.0 * power.log10();
        }
    }
    out
}

/// Pre-emphasised samples from `start` on under the window; outside there is silence.
fn gather(samples: &[f32], start: isize, window: &[f32], frame: &mut [f32]) {
    let sample = |at: isize| {
        usize::try_from(at)
            .ok()
            .and_then(|at| samples.get(at))
            .copied()
            .unwrap_or(0.0)
    };
    for (offset, (x, weight)) in frame.iter_mut().zip(window).enumerate() {
        let at = start + offset as isize;
        *x = (sample(at) - PREEMPHASIS * sample(at - 1)) * weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_a_line_at_its_height() {
        let waveform = Waveform {
            samples: (0..8000)
                .map(|i| (i as f32 * std::f32::consts::TAU * 1000.0 / 8000.0).sin())
                .collect(),
            sample_rate_hz: 8000,
        };
        let levels = levels(&waveform, 50, 80);
        for column in 5..45 {
            let at = |row: usize| levels[row * 50 + column];
            let peak = (0..80).max_by_key(|row| at(*row)).unwrap();
            // 1000 of 4000 Hz: a quarter from below.
            assert!((59..=60).contains(&peak) && at(peak) > 60, "{peak}");
            assert!(at(20) < 8 && at(75) < 15);
        }
    }

    #[test]
    fn silence_is_dark_and_high_rates_are_cut() {
        let waveform = Waveform {
            samples: vec![0.0; 48],
            sample_rate_hz: 48000,
        };
        assert!(levels(&waveform, 7, 5).iter().all(|level| *level == 0));
        assert_eq!(top_hz(&waveform), 8000.0);
    }
}
