//! A signal whose spectrogram has given magnitudes (Griffin and Lim 1984), with the acceleration of Perraudin, Balazs and
//! Søndergaard (2013). With `P1` the projection to spectrograms of signals and `P2` that to the magnitudes:
//!
//! ```text
//! c(n) = P1(P2(t(n-1))),   t(n) = c(n) + alpha (c(n) - c(n-1))                           (their algorithm 2)
//! ```

use std::sync::Arc;

use ndarray::{Array2, ArrayView1};
use num_complex::Complex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::ResynthesisOptions;
use crate::signal::front_end::frames::FrameGrid;

/// Frames, their window and their FFT.
pub(super) struct GriffinLim {
    grid: FrameGrid,
    window: Vec<f64>,
    forward: Arc<dyn RealToComplex<f64>>,
    backward: Arc<dyn ComplexToReal<f64>>,
}

impl std::fmt::Debug for GriffinLim {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("GriffinLim")
            .field("grid", &self.grid)
            .finish_non_exhaustive()
    }
}

/// A spectrogram, frame after frame.
type Spectrogram = Vec<Vec<Complex<f64>>>;

impl GriffinLim {
    /// For frames on `grid` with `window`, each as long as a frame of it, under an FFT of `fft_length`.
    pub(super) fn new(grid: FrameGrid, fft_length: usize, window: &[f64]) -> Self {
        let mut planner = RealFftPlanner::new();
        Self {
            grid,
            window: window.to_vec(),
            forward: planner.plan_fft_forward(fft_length),
            backward: planner.plan_fft_inverse(fft_length),
        }
    }

    /// Magnitudes `[frames, bins]` to samples; bins that are missing (Kaldi's filters leave the last out) are 0.
    pub(super) fn signal(
        &self,
        magnitudes: &Array2<f64>,
        options: &ResynthesisOptions,
    ) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let bins = self.forward.make_output_vec().len();
        let mut at: Spectrogram = (0..magnitudes.nrows())
            .map(|_| {
                let turn =
                    |_| Complex::from_polar(1.0, rng.random::<f64>() * std::f64::consts::TAU);
                (0..bins).map(turn).collect()
            })
            .collect();
        let mut last: Option<Spectrogram> = None;
        let mut samples = Vec::new();
        for _ in 0..options.iterations {
            for (frame, magnitudes) in at.iter_mut().zip(magnitudes.rows()) {
                set_magnitudes(frame, magnitudes);
            }
            samples = self.overlap(&at);
            let found = self.spectrogram(&samples, at.len());
            if let Some(last) = &last {
                for ((to, now), before) in at.iter_mut().zip(&found).zip(last) {
                    for ((to, now), before) in to.iter_mut().zip(now).zip(before) {
                        *to = now + (now - before) * options.momentum;
                    }
                }
            } else {
                at.clone_from(&found);
            }
            last = Some(found);
        }
        samples
    }

    /// Samples that the frames cover, from the first that is part of the signal.
    fn length(&self, frames: usize) -> usize {
        let end = (frames - 1) * self.grid.shift + self.grid.length;
        // Frames that begin before the signal end beyond it by as much.
        (end as isize + 2 * self.grid.first).max(1) as usize
    }

    fn spectrogram(&self, samples: &[f64], frames: usize) -> Spectrogram {
        let mut buffer = self.forward.make_input_vec();
        let mut scratch = self.forward.make_scratch_vec();
        (0..frames)
            .map(|frame| {
                buffer.fill(0.0);
                for (n, weight) in self.window.iter().enumerate() {
                    if let Some(sample) = self.place(frame, n, samples.len()) {
                        buffer[n] = samples[sample] * weight;
                    }
                }
                let mut spectrum = self.forward.make_output_vec();
                // The buffers were made by this FFT.
                let _ =
                    (self.forward).process_with_scratch(&mut buffer, &mut spectrum, &mut scratch);
                spectrum
            })
            .collect()
    }

    /// Frames' signals under the window once more, over the sum of its squares: least squares (their eq. 6).
    fn overlap(&self, spectrogram: &Spectrogram) -> Vec<f64> {
        let length = self.length(spectrogram.len());
        let (mut sum, mut weights) = (vec![0.0; length], vec![0.0; length]);
        let mut buffer = self.backward.make_output_vec();
        let mut scratch = self.backward.make_scratch_vec();
        let scale = 1.0 / buffer.len() as f64;
        for (frame, spectrum) in spectrogram.iter().enumerate() {
            let mut spectrum = spectrum.clone();
            let _ = (self.backward).process_with_scratch(&mut spectrum, &mut buffer, &mut scratch);
            for (n, weight) in self.window.iter().enumerate() {
                if let Some(sample) = self.place(frame, n, length) {
                    sum[sample] += buffer[n] * scale * weight;
                    weights[sample] += weight * weight;
                }
            }
        }
        let even = |(sum, weight): (&f64, &f64)| sum / weight.max(1e-3);
        sum.iter().zip(&weights).map(even).collect()
    }

    /// The sample at place `n` of a frame, where there is one.
    fn place(&self, frame: usize, n: usize, length: usize) -> Option<usize> {
        let at = (frame * self.grid.shift + n) as isize + self.grid.first;
        usize::try_from(at).ok().filter(|&at| at < length)
    }
}

/// Keeps phases. The first and the last bin of a real signal's spectrum are real.
fn set_magnitudes(frame: &mut [Complex<f64>], magnitudes: ArrayView1<f64>) {
    for (bin, value) in frame.iter_mut().enumerate() {
        let magnitude = magnitudes.get(bin).copied().unwrap_or(0.0);
        let length = value.norm();
        *value = match length > 1e-12 {
            true => *value * (magnitude / length),
            false => Complex::new(magnitude, 0.0),
        };
    }
    for bin in [0, frame.len() - 1] {
        frame[bin].im = 0.0;
    }
}
