//! A signal whose spectrogram has given magnitudes (Griffin and Lim 1984), with the acceleration of Perraudin, Balazs and
//! Søndergaard (2013). With `P1` the projection to spectrograms of signals and `P2` that to the magnitudes:
//!
//! ```text
//! c(n) = P1(P2(t(n-1))),   t(n) = c(n) + alpha (c(n) - c(n-1))                           (their algorithm 2)
//! ```

use ndarray::{Array2, ArrayView1};
use num_complex::Complex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::ResynthesisOptions;
use super::stft::{Spectrogram, Stft};

/// Magnitudes `[frames, bins]` to samples; bins that are missing (Kaldi's filters leave the last out) are 0.
pub(super) fn griffin_lim(
    stft: &Stft,
    magnitudes: &Array2<f64>,
    options: &ResynthesisOptions,
) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut at: Spectrogram = (0..magnitudes.nrows())
        .map(|_| {
            let turn = |_| Complex::from_polar(1.0, rng.random::<f64>() * std::f64::consts::TAU);
            (0..stft.bins()).map(turn).collect()
        })
        .collect();
    let mut last: Option<Spectrogram> = None;
    let mut samples = Vec::new();
    for _ in 0..options.iterations {
        for (frame, magnitudes) in at.iter_mut().zip(magnitudes.rows()) {
            set_magnitudes(frame, magnitudes);
        }
        samples = stft.overlap(&at);
        let found = stft.spectrogram(&samples, at.len());
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
