//! What a source-filter generator filters: harmonics of F0 and white noise, both of a flat spectrum and of power 1.

use std::f64::consts::TAU;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::signal::front_end::frames::FrameGrid;
use crate::signal::pitch::F0Contour;

/// The two parts of an excitation, sample by sample.
pub(super) struct Excitation {
    /// Cosines of all multiples of F0 below the Nyquist frequency where there is voice, else 0.
    pub harmonics: Vec<f64>,
    /// Gaussian noise, everywhere.
    pub noise: Vec<f64>,
}

impl Excitation {
    /// For so many samples, of which the frames of `contour` lie on `grid`. Between the middles of frames ln F0 lies on a
    /// line, and so does the amplitude where voice begins and ends.
    pub(super) fn new(
        contour: &F0Contour,
        grid: FrameGrid,
        rate_hz: f64,
        samples: usize,
        seed: u64,
    ) -> Self {
        let first = grid.first as f64 + grid.length as f64 / 2.0;
        let mut phase = 0.0;
        let harmonics = (0..samples)
            .map(|sample| {
                let place = (sample as f64 - first) / grid.shift as f64;
                let hz = contour.log_hz_at(place).exp().min(rate_hz / 2.0);
                phase = (phase + TAU * hz / rate_hz) % TAU;
                match contour.voicing_at(place) {
                    0.0 => 0.0,
                    voicing => voicing * pulse(phase, hz, rate_hz),
                }
            })
            .collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let noise = (0..samples).map(|_| StandardNormal.sample(&mut rng));
        Self {
            harmonics,
            noise: noise.collect(),
        }
    }
}

/// The sum of cosines of all multiples of `phase` below the Nyquist frequency. Each has the power of the white noise of power 1
/// in a band as wide as F0: amplitude `2 sqrt(F0 / rate)`.
fn pulse(phase: f64, hz: f64, rate_hz: f64) -> f64 {
    let count = (rate_hz / 2.0 / hz).ceil() as usize - 1;
    // cos(k x) = 2 cos(x) cos((k - 1) x) - cos((k - 2) x)
    let step = 2.0 * phase.cos();
    let (mut before, mut now, mut sum) = (1.0, phase.cos(), 0.0);
    for _ in 0..count {
        sum += now;
        (before, now) = (now, step * now - before);
    }
    2.0 * (hz / rate_hz).sqrt() * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// A second in frames of 10 ms, voiced at 128 Hz but for its last half.
    fn excitation() -> Excitation {
        let pitch = Array2::from_shape_fn((100, 2), |(frame, column)| match column {
            0 => f32::from(u8::from(frame < 50)),
            _ => 128.0,
        });
        let contour = F0Contour::new(pitch.view()).unwrap();
        let grid = FrameGrid::kaldi(400, 160, false);
        Excitation::new(&contour, grid, 16000.0, 16000, 7)
    }

    #[test]
    fn both_parts_have_power_1() {
        let Excitation { harmonics, noise } = excitation();
        let power =
            |samples: &[f64]| samples.iter().map(|x| x * x).sum::<f64>() / samples.len() as f64;
        // 62 harmonics, of a band that is as wide as 62.5.
        let found = power(&harmonics[..7680]);
        assert!((found - 62.0 / 62.5).abs() < 1e-2, "{found}");
        assert!((power(&noise) - 1.0).abs() < 0.05);
        assert!(harmonics[8160..].iter().all(|&x| x == 0.0));
    }

    #[test]
    fn harmonics_repeat_with_the_period() {
        let harmonics = excitation().harmonics;
        for n in 0..7000 {
            assert!((harmonics[n] - harmonics[n + 125]).abs() < 1e-6, "{n}");
        }
    }
}
