//! Noise that keeps logarithms of digital silence finite, as Kaldi adds it to every frame.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Gaussian noise. A frame's noise is drawn from seed and place alone, so that the same samples give the same
/// features in any order, whole or streamed, and on every thread.
#[derive(Debug, Clone)]
pub(super) struct Dither {
    deviation: f32,
    rng: ChaCha8Rng,
}

impl Dither {
    /// Noise of a standard deviation in units of the samples (full scale 1); none for 0.
    pub(super) fn new(deviation: f32, seed: u64) -> Option<Self> {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        (deviation > 0.0).then_some(Self { deviation, rng })
    }

    /// Writes `frame`, number `index` of its signal, with its noise into `noisy` of the same length.
    pub(super) fn add(&self, index: usize, frame: &[f32], noisy: &mut [f32]) {
        let mut rng = self.rng.clone();
        rng.set_stream(index as u64);
        for (to, from) in noisy.iter_mut().zip(frame) {
            let noise: f32 = StandardNormal.sample(&mut rng);
            *to = from + self.deviation * noise;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_deviation_and_repeats() {
        let noise = |seed, index| {
            let mut frame = vec![0.0; 20_000];
            let dither = Dither::new(2.0, seed).unwrap();
            dither.add(index, &vec![0.0; 20_000], &mut frame);
            frame
        };
        let first = noise(3, 5);
        assert_eq!(first, noise(3, 5));
        assert_ne!(first, noise(3, 6));
        assert_ne!(first, noise(4, 5));
        let mean = first.iter().sum::<f32>() / 20_000.0;
        let variance = first.iter().map(|x| x * x).sum::<f32>() / 20_000.0;
        assert!(
            mean.abs() < 0.06 && (variance - 4.0).abs() < 0.2,
            "{mean} {variance}"
        );
        assert!(Dither::new(0.0, 1).is_none());
    }
}
