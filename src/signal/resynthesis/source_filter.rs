//! A voice from an envelope and a pitch contour: harmonics and noise of a flat spectrum, filtered by the envelope (the
//! harmonic-plus-noise model of Stylianou 2001, with the minimum-phase filters of a channel vocoder).
//!
//! ```text
//! Y(t, k) = H(t, k) (p(k) S(t, k) + sqrt(1 - v(t) p(k)^2) N(t, k))
//! ```
//!
//! `S` and `N` are spectra of harmonics and noise (`excitation.rs`) under a Hann window of two frame shifts, whose copies sum to
//! 1, `v` is 1 in voiced frames and else 0, and `p` falls from 1 to 0 over the band in which harmonics give way to noise. The
//! size of `H` is that of the envelope, smoothed over F0 so that harmonics in the features themselves do not stand twice in the
//! result; its phase is the smallest that goes with that size (Oppenheim and Schafer, Discrete-Time Signal Processing, 12.1).

use std::sync::Arc;

use ndarray::{Array2, ArrayView1};
use num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::excitation::Excitation;
use super::stft::Stft;
use crate::signal::pitch::F0Contour;

/// In Hz, where noise begins to take the place of harmonics in voiced frames, and where there is nothing but noise.
const NOISE_FROM_HZ: f64 = 3000.0;
const NOISE_ALONE_HZ: f64 = 6000.0;
/// Magnitudes below the largest of a frame by more than this (80 dB) are raised to it: a logarithm is taken.
const LEAST_MAGNITUDE: f64 = 1e-4;

/// The generator for one kind of frame.
pub(super) struct SourceFilter<'a> {
    stft: &'a Stft,
    rate_hz: f64,
    /// Of two shifts, from 0.
    window: Vec<f64>,
    /// Share of harmonics in each bin.
    harmonic: Vec<f64>,
    forward: Arc<dyn RealToComplex<f64>>,
    backward: Arc<dyn ComplexToReal<f64>>,
}

impl<'a> SourceFilter<'a> {
    /// For magnitudes under `stft` of audio at `rate_hz`.
    pub(super) fn new(stft: &'a Stft, rate_hz: f64) -> Self {
        let shift = stft.grid().shift;
        // Room for a window and for a filter's response behind it.
        let length = (2 * stft.fft_length()).max(4 * shift).next_power_of_two();
        let mut planner = RealFftPlanner::new();
        let turn = |n: usize| std::f64::consts::PI * n as f64 / shift as f64;
        let share = |bin: usize| {
            let hz = bin as f64 * rate_hz / length as f64;
            let along = (hz - NOISE_FROM_HZ) / (NOISE_ALONE_HZ - NOISE_FROM_HZ);
            (0.5 + 0.5 * (std::f64::consts::PI * along.clamp(0.0, 1.0)).cos()).sqrt()
        };
        Self {
            stft,
            rate_hz,
            window: (0..2 * shift).map(|n| 0.5 - 0.5 * turn(n).cos()).collect(),
            harmonic: (0..=length / 2).map(share).collect(),
            forward: planner.plan_fft_forward(length),
            backward: planner.plan_fft_inverse(length),
        }
    }

    /// Magnitudes `[frames, bins]` and as many frames of a contour to samples.
    pub(super) fn signal(
        &self,
        magnitudes: &Array2<f64>,
        contour: &F0Contour,
        seed: u64,
    ) -> Vec<f64> {
        let (grid, frames) = (self.stft.grid(), magnitudes.nrows());
        let length = self.stft.length(frames);
        let excitation = Excitation::new(contour, grid, self.rate_hz, length, seed);
        let (shift, middle) = (grid.shift as isize, grid.first + (grid.length / 2) as isize);
        // Frames before the first and behind the last complete the sum of windows at the ends.
        let (from, to) = (
            (-middle).div_euclid(shift),
            (length as isize - middle) / shift + 2,
        );
        let mut samples = vec![0.0; length];
        let mut buffer = self.backward.make_output_vec();
        for index in from..to {
            let frame = index.clamp(0, frames as isize - 1) as usize;
            let start = middle + (index - 1) * shift;
            let filter = self.filter(magnitudes.row(frame), contour, frame);
            let voiced = f64::from(u8::from(contour.voiced()[frame]));
            let harmonics = self.spectrum(&excitation.harmonics, start);
            let noise = self.spectrum(&excitation.noise, start);
            let mut spectrum: Vec<_> = (filter.iter().zip(&self.harmonic))
                .zip(harmonics.iter().zip(&noise))
                .map(|((filter, share), (harmonics, noise))| {
                    let rest = (1.0 - voiced * share * share).sqrt();
                    filter * (harmonics * *share + noise * rest)
                })
                .collect();
            self.back(&mut spectrum, &mut buffer);
            for (n, value) in buffer.iter().enumerate() {
                let at = usize::try_from(start + n as isize).ok();
                if let Some(sample) = at.and_then(|at| samples.get_mut(at)) {
                    *sample += value;
                }
            }
        }
        samples
    }

    /// The spectrum of a window's worth of a signal from `start`.
    fn spectrum(&self, signal: &[f64], start: isize) -> Vec<Complex<f64>> {
        let mut buffer = self.forward.make_input_vec();
        for (n, (x, weight)) in buffer.iter_mut().zip(&self.window).enumerate() {
            let at = usize::try_from(start + n as isize).ok();
            *x = at.and_then(|at| signal.get(at)).unwrap_or(&0.0) * weight;
        }
        self.there(&mut buffer)
    }

    /// The minimum-phase filter of a frame: its log size is made a cepstrum, whose second half is laid on its first.
    fn filter(
        &self,
        magnitudes: ArrayView1<f64>,
        contour: &F0Contour,
        frame: usize,
    ) -> Vec<Complex<f64>> {
        let power: Vec<f64> = magnitudes.iter().map(|x| x * x).collect();
        let bin_hz = self.rate_hz / self.stft.fft_length() as f64;
        let power = match contour.voiced()[frame] {
            true => smoothed(&power, contour.hz(frame) / bin_hz),
            false => power,
        };
        let floor = power.iter().copied().fold(0.0, f64::max) * LEAST_MAGNITUDE.powi(2);
        if floor == 0.0 {
            return vec![Complex::ZERO; self.harmonic.len()];
        }
        let noise_power = self.stft.noise_power();
        let logs: Vec<f64> = (power.iter())
            .map(|power| 0.5 * (power.max(floor) / noise_power).ln())
            .collect();
        let ratio = self.stft.fft_length() as f64 / self.forward.len() as f64;
        let mut sizes: Vec<_> = (0..self.harmonic.len())
            .map(|bin| Complex::from(line(&logs, bin as f64 * ratio)))
            .collect();
        let mut cepstrum = self.backward.make_output_vec();
        self.back(&mut sizes, &mut cepstrum);
        let half = cepstrum.len() / 2;
        cepstrum[1..half].iter_mut().for_each(|x| *x *= 2.0);
        cepstrum[half + 1..].fill(0.0);
        let logs = self.there(&mut cepstrum);
        logs.into_iter().map(Complex::exp).collect()
    }

    fn there(&self, buffer: &mut [f64]) -> Vec<Complex<f64>> {
        let mut spectrum = self.forward.make_output_vec();
        // The buffers were made by this FFT.
        let _ = self.forward.process(buffer, &mut spectrum);
        spectrum
    }

    fn back(&self, spectrum: &mut [Complex<f64>], buffer: &mut [f64]) {
        for bin in [0, spectrum.len() - 1] {
            spectrum[bin].im = 0.0;
        }
        let _ = self.backward.process(spectrum, buffer);
        let scale = 1.0 / buffer.len() as f64;
        buffer.iter_mut().for_each(|x| *x *= scale);
    }
}

/// The mean of a spectrum over a band of `width` bins around each bin, as far as there are bins.
fn smoothed(power: &[f64], width: f64) -> Vec<f64> {
    let mut sums = vec![0.0];
    for (bin, value) in power.iter().enumerate() {
        sums.push(sums[bin] + value);
    }
    let end = power.len() as f64;
    (0..power.len())
        .map(|bin| {
            let middle = bin as f64 + 0.5;
            let from = (middle - width / 2.0).max(0.0);
            let to = (middle + width / 2.0).min(end);
            (line(&sums, to) - line(&sums, from)) / (to - from)
        })
        .collect()
}

/// The value at a place between two values; behind the last, the last.
fn line(values: &[f64], place: f64) -> f64 {
    let last = values.len() - 1;
    let before = (place as usize).min(last);
    let share = (place - before as f64).min(1.0);
    values[before] * (1.0 - share) + values[(before + 1).min(last)] * share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::front_end::frames::FrameGrid;

    fn stft() -> Stft {
        let window: Vec<f64> = (0..400)
            .map(|n| 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / 400.0).cos())
            .collect();
        Stft::new(FrameGrid::kaldi(400, 160, false), 512, &window)
    }

    fn contour(frames: usize, voiced: bool, hz: f32) -> F0Contour {
        let pitch = Array2::from_shape_fn((frames, 2), |(_, column)| match column {
            0 => f32::from(u8::from(voiced)),
            _ => hz,
        });
        F0Contour::new(pitch.view()).unwrap()
    }

    /// A tilted envelope: each frame of what comes out has its power in bands of three harmonics.
    #[test]
    fn the_power_is_that_of_the_envelope() {
        let stft = stft();
        let generator = SourceFilter::new(&stft, 16000.0);
        let of = |bin: usize| 10.0 * (-(bin as f64) / 100.0).exp();
        let magnitudes = Array2::from_shape_fn((100, 257), |(_, bin)| of(bin));
        for voiced in [true, false] {
            let samples = generator.signal(&magnitudes, &contour(100, voiced, 125.0), 3);
            let found = stft.spectrogram(&samples, 100);
            for band in [8..20, 40..52, 120..132, 200..212] {
                let wanted: f64 = band.clone().map(|bin| of(bin).powi(2)).sum();
                let mean: f64 = (10..90)
                    .map(|t| {
                        found[t][band.clone()]
                            .iter()
                            .map(Complex::norm_sqr)
                            .sum::<f64>()
                    })
                    .sum::<f64>()
                    / 80.0;
                let decibels = 10.0 * (mean / wanted).log10();
                assert!(decibels.abs() < 1.0, "{voiced} {band:?}: {decibels} dB");
            }
        }
    }

    #[test]
    fn voiced_frames_have_harmonics_of_f0() {
        let stft = stft();
        let generator = SourceFilter::new(&stft, 16000.0);
        let magnitudes = Array2::from_elem((60, 257), 1.0);
        let samples = generator.signal(&magnitudes, &contour(60, true, 250.0), 0);
        let found = stft.spectrogram(&samples, 60);
        // Harmonics every 8 bins, nothing between them below the noise.
        for k in 1..10 {
            let [on, off] = [8 * k, 8 * k + 4].map(|bin| found[30][bin].norm());
            assert!(on > 20.0 * off, "{k}: {on} {off}");
        }
    }

    #[test]
    fn a_frame_and_silence() {
        let stft = stft();
        let generator = SourceFilter::new(&stft, 16000.0);
        let one = generator.signal(&Array2::ones((1, 257)), &F0Contour::unvoiced(1), 0);
        assert_eq!(one.len(), stft.length(1));
        assert!(one.iter().all(|x| x.is_finite()) && one.iter().any(|&x| x != 0.0));
        let silent = generator.signal(&Array2::zeros((5, 257)), &contour(5, true, 100.0), 0);
        assert!(silent.iter().all(|&x| x == 0.0));
    }
}
