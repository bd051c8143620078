//! The short-time Fourier transform of a front-end's frames, and the signal nearest to a spectrogram.

use std::sync::Arc;

use num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::signal::front_end::frames::FrameGrid;

/// A spectrogram, frame after frame.
pub(super) type Spectrogram = Vec<Vec<Complex<f64>>>;

/// Frames, their window and their FFT.
pub(super) struct Stft {
    grid: FrameGrid,
    window: Vec<f64>,
    forward: Arc<dyn RealToComplex<f64>>,
    backward: Arc<dyn ComplexToReal<f64>>,
}

impl std::fmt::Debug for Stft {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Stft")
            .field("grid", &self.grid)
            .finish_non_exhaustive()
    }
}

impl Stft {
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

    /// Where frames lie.
    pub(super) fn grid(&self) -> FrameGrid {
        self.grid
    }

    /// Length of the FFT.
    pub(super) fn fft_length(&self) -> usize {
        self.forward.len()
    }

    /// Bins of a spectrum.
    pub(super) fn bins(&self) -> usize {
        self.fft_length() / 2 + 1
    }

    /// The mean power of a bin for white noise of power 1: the sum of the window's squares.
    pub(super) fn noise_power(&self) -> f64 {
        self.window.iter().map(|weight| weight * weight).sum()
    }

    /// Samples that the frames cover, from the first that is part of the signal.
    pub(super) fn length(&self, frames: usize) -> usize {
        let end = (frames - 1) * self.grid.shift + self.grid.length;
        // Frames that begin before the signal end beyond it by as much.
        (end as isize + 2 * self.grid.first).max(1) as usize
    }

    /// Spectra of so many frames of a signal, which is 0 beyond its ends.
    pub(super) fn spectrogram(&self, samples: &[f64], frames: usize) -> Spectrogram {
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

    /// Frames' signals under the window once more, over the sum of its squares: least squares (Griffin and Lim 1984, eq. 6).
    pub(super) fn overlap(&self, spectrogram: &Spectrogram) -> Vec<f64> {
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
