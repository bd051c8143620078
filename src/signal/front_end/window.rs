//! Shapes of windows.

use serde::{Deserialize, Serialize};

/// Window shapes, by Kaldi's names. `n` is the frame length, `i` counts from 0 to `n-1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowType {
    /// `(0.5 - 0.5 cos(2 pi i/(n-1)))^0.85`: near Hamming, but falling to zero at the edges.
    #[default]
    Povey,
    /// `0.54 - 0.46 cos(2 pi i/(n-1))`.
    Hamming,
    /// `0.5 - 0.5 cos(2 pi i/(n-1))`.
    Hanning,
    /// `sin(pi i/(n-1))`.
    Sine,
    /// `c - 0.5 cos(2 pi i/(n-1)) + (0.5-c) cos(4 pi i/(n-1))` with `c` the `blackman_coeff`.
    Blackman,
    /// 1.
    Rectangular,
}

impl WindowType {
    /// The window of `length` samples that ends as it begins, as Kaldi's do.
    pub fn symmetric(self, length: usize, blackman_coeff: f64) -> Vec<f64> {
        self.sampled(length, length - 1, blackman_coeff)
    }

    /// One period of the window repeated: what scipy and PyTorch take for spectra (`fftbins`, `periodic`).
    pub fn periodic(self, length: usize) -> Vec<f64> {
        self.sampled(length, length, 0.42)
    }

    fn sampled(self, length: usize, period: usize, blackman_coeff: f64) -> Vec<f64> {
        let step = std::f64::consts::TAU / period as f64;
        let shape = |i: usize| {
            let angle = step * i as f64;
            match self {
                Self::Povey => (0.5 - 0.5 * angle.cos()).powf(0.85),
                Self::Hamming => 0.54 - 0.46 * angle.cos(),
                Self::Hanning => 0.5 - 0.5 * angle.cos(),
                Self::Sine => (0.5 * angle).sin(),
                Self::Blackman => {
                    let twice = (0.5 - blackman_coeff) * (2.0 * angle).cos();
                    blackman_coeff - 0.5 * angle.cos() + twice
                }
                Self::Rectangular => 1.0,
            }
        };
        (0..length).map(shape).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symmetric_or_periodic() {
        let hann = WindowType::Hanning.symmetric(5, 0.42);
        assert!((hann[0] - hann[4]).abs() < 1e-15 && (hann[2] - 1.0).abs() < 1e-15);
        let hann = WindowType::Hanning.periodic(4);
        for (found, expected) in hann.iter().zip([0.0, 0.5, 1.0, 0.5]) {
            assert!((found - expected).abs() < 1e-15);
        }
    }
}
