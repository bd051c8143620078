//! Diagonal Gaussians of variational autoencoders.

use tch::Tensor;
use tch::nn::Path;

use super::layer::Linear;
use super::mask::Mask;
use super::recurrent::Recurrent;

/// A Gaussian of each value, of any shape.
#[derive(Debug)]
pub struct Gaussian {
    /// Mean.
    pub mean: Tensor,
    /// Logarithm of the variance, of the same shape.
    pub log_variance: Tensor,
}

impl Gaussian {
    /// From the two outputs of a network. The logarithm is held within bounds beyond which `exp` would leave the range of f32.
    pub fn new(mean: Tensor, log_variance: &Tensor) -> Self {
        let log_variance = log_variance.clamp(-20.0, 20.0);
        Self { mean, log_variance }
    }

    /// From outputs `[batch, 2 * values, ..]`, means first.
    pub fn of_halves(x: &Tensor) -> Self {
        let mut halves = x.chunk(2, 1);
        let log_variance = halves.swap_remove(1);
        Self::new(halves.swap_remove(0), &log_variance)
    }

    /// A sample in training, else the mean.
    pub fn draw(&self, train: bool) -> Tensor {
        match train {
            true => &self.mean + self.log_variance.g_mul_scalar(0.5).exp() * self.mean.randn_like(),
            false => self.mean.shallow_clone(),
        }
    }

    /// The divergence of each value from N(0, 1) in nats.
    pub fn divergence(&self) -> Tensor {
        (self.log_variance.exp() + self.mean.square() - 1.0 - &self.log_variance) * 0.5
    }

    /// The divergence of each value from its Gaussian of `prior`, in nats.
    pub fn divergence_from(&self, prior: &Gaussian) -> Tensor {
        let log_ratio = &self.log_variance - &prior.log_variance;
        let gap = (&self.mean - &prior.mean).square() / prior.log_variance.exp();
        (log_ratio.exp() + gap - 1.0 - log_ratio) * 0.5
    }
}

/// A prior of sequences that predicts each vector from those before it.
#[derive(Debug)]
pub struct SequencePrior {
    recurrent: Recurrent,
    output: Linear,
}

impl SequencePrior {
    /// For vectors of `dim`, through `channels` gated recurrent units. Before it is trained each vector is N(0, 1).
    pub fn new(path: Path, dim: i64, channels: i64) -> Self {
        Self {
            recurrent: Recurrent::new(&path / "gru", dim, channels, 1, true),
            output: Linear::zeros(&path / "output", channels, 2 * dim),
        }
    }

    /// The Gaussian of each vector of `[batch, dim, frames]`, given those before it.
    pub fn forward(&self, x: &Tensor, mask: &Mask) -> Gaussian {
        let before = x.narrow(2, 0, x.size()[2] - 1).constant_pad_nd([1, 0]);
        let states = self.recurrent.forward(&before, mask).transpose(1, 2);
        Gaussian::of_halves(&self.output.forward(&states).transpose(1, 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, nn::VarStore, no_grad};

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    #[test]
    fn divergences_are_those_of_gaussians() {
        let value = |x: f32| Tensor::from_slice(&[x]);
        let q = Gaussian::new(value(1.0), &value(0.3));
        let prior = Gaussian::new(value(0.5), &value(-1.4));
        let ratio = (0.3f64 + 1.4).exp() + 0.25 / (-1.4f64).exp();
        let expected = 0.5 * (ratio - 1.0 - 1.7);
        let found = q.divergence_from(&prior).double_value(&[]);
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        let standard = Gaussian::new(value(0.0), &value(0.0));
        let gap = q.divergence() - q.divergence_from(&standard);
        assert!(gap.abs().double_value(&[]) < 1e-6);
        assert_eq!(standard.divergence().double_value(&[]), 0.0);
    }

    #[test]
    fn samples_have_their_mean_and_variance() {
        tch::manual_seed(1);
        let q = Gaussian::new(
            Tensor::full([100_000], 3.0, CPU),
            &Tensor::full([100_000], 4f64.ln(), CPU),
        );
        let drawn = q.draw(true);
        assert!((drawn.mean(Kind::Float).double_value(&[]) - 3.0).abs() < 0.05);
        assert!((drawn.std(true).double_value(&[]) - 2.0).abs() < 0.05);
        assert_eq!(q.draw(false), q.mean);
    }

    #[test]
    fn a_prior_reads_earlier_vectors_alone() {
        let store = VarStore::new(Device::Cpu);
        let prior = SequencePrior::new(store.root(), 3, 8);
        no_grad(|| {
            for mut weight in store.trainable_variables() {
                let _ = weight.normal_(0.0, 0.5);
            }
        });
        let x = Tensor::randn([1, 3, 6], CPU);
        let mask = Mask::new(&[6], Device::Cpu);
        let found = prior.forward(&x, &mask).mean;
        let changed = x.copy();
        let _ = changed.narrow(2, 3, 1).fill_(2.0);
        let after = prior.forward(&changed, &mask).mean;
        let gap = |frame: i64| {
            let gap = (&found - &after).select(2, frame).abs().max();
            gap.double_value(&[])
        };
        assert!((0..=3).all(|frame| gap(frame) == 0.0));
        assert!(gap(4) > 1e-3 && gap(5) > 1e-3);
    }
}
