//! Vectors to images: a linear map to small feature maps, then transposed convolutions that double them.

use tch::Tensor;
use tch::nn::Path;

use super::{Activation, channels_last};
use crate::error::{Error, Result};
use crate::nn::layer::{BatchNorm, Doubling, Linear};

/// The network. What it gives has no nonlinearity yet.
#[derive(Debug)]
pub struct UpNet {
    input: Linear,
    norms: Vec<BatchNorm>,
    doublings: Vec<Doubling>,
    first: [i64; 3],
    activation: Activation,
}

impl UpNet {
    /// From `inputs` values to images of `[channels, height, width]`, with feature maps of `widths`, the smallest first;
    /// each is half as high and wide as the next, and the last one half of the image. Normalised over the batch, but for the
    /// image itself.
    pub fn new(
        path: &Path,
        inputs: i64,
        output: [i64; 3],
        widths: &[i64],
        activation: Activation,
    ) -> Self {
        let halved = 1 << widths.len();
        let first = [widths[0], output[1] / halved, output[2] / halved];
        let outputs = widths.iter().skip(1).chain([&output[0]]);
        let doublings = widths.iter().zip(outputs).enumerate();
        Self {
            input: Linear::new(path / "input", inputs, first.iter().product()),
            norms: widths
                .iter()
                .enumerate()
                .map(|(number, &width)| BatchNorm::new(path / format!("norm{number}"), width))
                .collect(),
            doublings: doublings
                .map(|(number, (&from, &to))| {
                    Doubling::new(path / format!("doubling{number}"), from, to)
                })
                .collect(),
            first,
            activation,
        }
    }

    /// `[batch, inputs]` to `[batch, channels, height, width]`.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let [channels, height, width] = self.first;
        let mut x = self.input.forward(x).reshape([-1, channels, height, width]);
        x = channels_last(&x);
        for (norm, doubling) in self.norms.iter().zip(&self.doublings) {
            x = doubling.forward(&self.activation.apply(&norm.forward(&x, train)));
        }
        x
    }
}

/// Checks that images of `[channels, height, width]` can be made by doubling `widths.len()` times.
///
/// # Errors
/// [`Error::Option`] naming `name`.
pub fn check_widths(name: &str, output: [i64; 3], widths: &[i64]) -> Result<()> {
    for (number, &width) in widths.iter().enumerate() {
        crate::nn::check_size(format!("{name}.{number}"), width, 1)?;
    }
    let divisor = 1i64.checked_shl(widths.len() as u32).unwrap_or(i64::MAX);
    if widths.is_empty() || output[1] % divisor != 0 || output[2] % divisor != 0 {
        let expected = format!(
            "widths for as many doublings as images of {} x {} allow",
            output[1], output[2]
        );
        let found = format!("{} of them", widths.len());
        return Err(Error::option(name, expected, found));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, nn::VarStore};

    #[test]
    fn images_have_their_size() {
        let store = VarStore::new(Device::Cpu);
        for (size, widths) in [(28, vec![16, 8]), (32, vec![16, 8, 4])] {
            let path = &store.root() / size;
            let net = UpNet::new(&path, 10, [3, size, size], &widths, Activation::Relu);
            let z = Tensor::randn([4, 10], (Kind::Float, Device::Cpu));
            assert_eq!(net.forward(&z, true).size(), [4, 3, size, size]);
        }
    }

    #[test]
    fn what_cannot_be_doubled_is_refused() {
        check_widths("widths", [1, 28, 28], &[8, 4]).unwrap();
        for widths in [vec![8, 4, 2], vec![], vec![0]] {
            let error = check_widths("widths", [1, 28, 28], &widths).unwrap_err();
            assert!(error.to_string().starts_with("widths"), "{error}");
        }
    }
}
