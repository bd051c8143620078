//! Fully connected networks: plain, and with a condition that each layer reads.

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::Activation;
use crate::nn::layer::{BatchNorm, Linear};

/// Linear layers, each with its normalisation.
type Layers = Vec<(Linear, Option<BatchNorm>)>;

/// Layers of `widths`, each of which reads `beside` values in addition to the output of the layer before.
fn layers(
    path: &Path,
    (inputs, beside): (i64, i64),
    widths: &[i64],
    normed: impl Fn(usize) -> bool,
) -> Layers {
    let before = [inputs].into_iter().chain(widths.iter().copied());
    let sizes = before.zip(widths).enumerate();
    sizes
        .map(|(number, (inputs, &width))| {
            let path = path / format!("layer{number}");
            let linear = Linear::new(&path / "linear", inputs + beside, width);
            let norm = normed(number).then(|| BatchNorm::new(&path / "norm", width));
            (linear, norm)
        })
        .collect()
}

/// Linear maps, each with batch normalisation by option and a nonlinearity.
#[derive(Debug)]
pub struct Mlp {
    layers: Layers,
    activation: Activation,
}

impl Mlp {
    /// From `inputs` values through layers of `widths`; of those the first `plain` have no batch normalisation.
    pub fn new(
        path: &Path,
        inputs: i64,
        widths: &[i64],
        plain: usize,
        activation: Activation,
    ) -> Self {
        let layers = layers(path, (inputs, 0), widths, |number| number >= plain);
        Self { layers, activation }
    }

    /// `[batch, inputs]` to `[batch, last width]`.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        self.layers
            .iter()
            .fold(x.shallow_clone(), |x, (linear, norm)| {
                let y = linear.forward(&x);
                let y = norm
                    .as_ref()
                    .map_or(y.shallow_clone(), |n| n.forward(&y, train));
                self.activation.apply(&y)
            })
    }
}

/// A fully connected network with a condition: each layer, including the last, reads the condition in addition to the
/// output of the layer before.
#[derive(Debug)]
pub struct ConditionedMlp {
    layers: Layers,
    output: Linear,
    activation: Activation,
    /// Standard deviation of the noise on the input and on each hidden layer, in training.
    noise: (f64, f64),
}

impl ConditionedMlp {
    /// From `inputs` values and a condition of `condition` values through layers of `widths` to `outputs` values; with
    /// batch normalisation after the activation if `normed`.
    pub fn new(
        path: &Path,
        (inputs, condition, outputs): (i64, i64, i64),
        widths: &[i64],
        normed: bool,
        activation: Activation,
    ) -> Self {
        let last = widths.last().copied().unwrap_or(inputs);
        Self {
            layers: layers(path, (inputs, condition), widths, |_| normed),
            output: Linear::new(path / "output", last + condition, outputs),
            activation,
            noise: (0.0, 0.0),
        }
    }

    /// Sets the standard deviation of Gaussian noise on the input and on hidden layers.
    pub fn noise(self, input: f64, hidden: f64) -> Self {
        Self {
            noise: (input, hidden),
            ..self
        }
    }

    /// `[batch, inputs]` and `[batch, condition]` to `[batch, outputs]`.
    pub fn forward(&self, x: &Tensor, condition: &Tensor, train: bool) -> Tensor {
        let mut x = noisy(x, self.noise.0, train);
        for (linear, norm) in &self.layers {
            let y = self
                .activation
                .apply(&linear.forward(&Tensor::cat(&[&x, condition], 1)));
            let y = norm
                .as_ref()
                .map_or(y.shallow_clone(), |n| n.forward(&y, train));
            x = noisy(&y, self.noise.1, train);
        }
        self.output.forward(&Tensor::cat(&[&x, condition], 1))
    }
}

fn noisy(x: &Tensor, deviation: f64, train: bool) -> Tensor {
    match train && deviation > 0.0 {
        true => x + Tensor::randn_like(x) * deviation,
        false => x.shallow_clone(),
    }
}

/// Uniform noise in -1..1, `[batch, dims]`.
pub fn uniform(batch: i64, dims: i64, device: tch::Device) -> Tensor {
    Tensor::rand([batch, dims], (Kind::Float, device)) * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn::VarStore};

    #[test]
    fn every_layer_reads_the_condition() {
        let store = VarStore::new(Device::Cpu);
        let net = ConditionedMlp::new(
            &store.root(),
            (5, 3, 2),
            &[8, 8],
            true,
            Activation::Leaky(0.2),
        );
        let x = Tensor::randn([4, 5], (Kind::Float, Device::Cpu));
        let (a, b) = (
            Tensor::zeros([4, 3], (Kind::Float, Device::Cpu)),
            Tensor::ones([4, 3], (Kind::Float, Device::Cpu)),
        );
        assert_eq!(net.forward(&x, &a, false).size(), [4, 2]);
        assert_ne!(net.forward(&x, &a, false), net.forward(&x, &b, false));
        let widths: Vec<i64> = store.variables()["layer1.linear.weight"].size();
        assert_eq!(widths, [8, 11]);
    }

    #[test]
    fn noise_is_only_for_training() {
        let store = VarStore::new(Device::Cpu);
        let net = ConditionedMlp::new(&store.root(), (5, 3, 2), &[8], false, Activation::Relu)
            .noise(0.3, 0.5);
        let x = Tensor::randn([4, 5], (Kind::Float, Device::Cpu));
        let y = Tensor::zeros([4, 3], (Kind::Float, Device::Cpu));
        assert_eq!(net.forward(&x, &y, false), net.forward(&x, &y, false));
        assert_ne!(net.forward(&x, &y, true), net.forward(&x, &y, true));
    }
}
