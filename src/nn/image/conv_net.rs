//! Convolutional networks: from images to feature maps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::Path;

use super::{Activation, channels_last};
use crate::error::{Error, Result};
use crate::nn::layer::{BatchNorm, Conv2d};
use crate::nn::{check_size, check_small};

/// A convolution, followed by batch normalisation, activation, pooling and dropout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConvLayer {
    /// Feature maps.
    pub channels: i64,
    /// Width of the square kernel, in pixels.
    pub kernel: i64,
    /// Stride of the kernel, in pixels.
    pub stride: i64,
    /// Zero padding on each side, in pixels.
    pub padding: i64,
    /// Batch normalisation.
    pub norm: bool,
    /// Maximum pooling over 2 by 2 pixels.
    pub pool: bool,
    /// Probability of dropping a whole feature map in training.
    pub dropout: f64,
}

impl Default for ConvLayer {
    fn default() -> Self {
        Self {
            channels: 32,
            kernel: 3,
            stride: 1,
            padding: 1,
            norm: true,
            pool: false,
            dropout: 0.0,
        }
    }
}

impl ConvLayer {
    /// A convolution that halves height and width.
    pub fn halving(channels: i64, norm: bool) -> Self {
        Self {
            channels,
            kernel: 4,
            stride: 2,
            padding: 1,
            norm,
            ..Self::default()
        }
    }

    /// Height or width after this layer.
    fn side(&self, side: i64) -> i64 {
        let side = (side + 2 * self.padding - self.kernel).div_euclid(self.stride) + 1;
        if self.pool { side / 2 } else { side }
    }

    /// Checks every value; `name` is the list that holds it.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        check_size(format!("{name}.channels"), self.channels, 1)?;
        for (key, value, least) in [
            ("kernel", self.kernel, 1),
            ("stride", self.stride, 1),
            ("padding", self.padding, 0),
        ] {
            check_small(format!("{name}.{key}"), value, least)?;
        }
        match (0.0..1.0).contains(&self.dropout) {
            true => Ok(()),
            false => {
                let key = format!("{name}.dropout");
                Err(Error::option(key, "0 <= p < 1", self.dropout.to_string()))
            }
        }
    }
}

/// The network.
#[derive(Debug)]
pub struct ConvNet {
    layers: Vec<(Conv2d, Option<BatchNorm>, ConvLayer)>,
    activation: Activation,
    output: [i64; 3],
}

impl ConvNet {
    /// For images of `[channels, height, width]`.
    pub fn new(path: &Path, input: [i64; 3], layers: &[ConvLayer], activation: Activation) -> Self {
        let mut channels = input[0];
        let built = layers
            .iter()
            .enumerate()
            .map(|(number, layer)| {
                let path = path / format!("conv{number}");
                let conv = Conv2d::new(&path / "conv", channels, layer.channels, layer.kernel)
                    .stride(layer.stride)
                    .padding(layer.padding);
                channels = layer.channels;
                let norm = layer.norm;
                let norm = norm.then(|| BatchNorm::new(&path / "norm", channels));
                (conv, norm, layer.clone())
            })
            .collect();
        Self {
            layers: built,
            activation,
            output: output_shape(input, layers),
        }
    }

    /// Channels, height and width of the output of [`ConvNet::forward`].
    pub fn output(&self) -> [i64; 3] {
        self.output
    }

    /// Dimensions of the output of [`ConvNet::vectors`].
    pub fn output_dim(&self) -> i64 {
        self.output.iter().product()
    }

    /// `[batch, channels, height, width]` to `[batch, ..output]`.
    pub fn forward(&self, images: &Tensor, train: bool) -> Tensor {
        let mut x = channels_last(images);
        for (number, (conv, norm, layer)) in self.layers.iter().enumerate() {
            x = conv.forward(&x);
            if number == 0 {
                // With a single channel the memory order is ambiguous, and later layers would not recognise it.
                x = channels_last(&x);
            }
            if let Some(norm) = norm {
                x = norm.forward(&x, train);
            }
            x = self.activation.apply(&x);
            if layer.pool {
                x = x.max_pool2d(2, 2, 0, 1, false);
            }
            if layer.dropout > 0.0 && train {
                x = x.feature_dropout(layer.dropout, true);
            }
        }
        x
    }

    /// The same, with the maps of an image as one vector `[batch, output_dim]`.
    pub fn vectors(&self, images: &Tensor, train: bool) -> Tensor {
        self.forward(images, train).flatten(1, -1)
    }
}

/// Channels, height and width after `layers`; sides below 1 mean that there are too many layers.
pub fn output_shape(input: [i64; 3], layers: &[ConvLayer]) -> [i64; 3] {
    layers.iter().fold(input, |[_, height, width], layer| {
        [layer.channels, layer.side(height), layer.side(width)]
    })
}

/// Checks layers against the images that they read.
///
/// # Errors
/// [`Error::Option`] naming the key.
pub fn check_layers(name: &str, input: [i64; 3], layers: &[ConvLayer]) -> Result<()> {
    for (number, layer) in layers.iter().enumerate() {
        layer.check(&format!("{name}.{number}"))?;
        let [_, height, width] = output_shape(input, &layers[..=number]);
        if height < 1 || width < 1 {
            let expected = format!("layers that fit into {input:?}");
            let found = format!("no pixels left after layer {number}");
            return Err(Error::option(name, expected, found));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, nn::VarStore};

    #[test]
    fn the_output_shape_is_computed_in_advance() {
        let store = VarStore::new(Device::Cpu);
        let layers = [
            ConvLayer {
                kernel: 5,
                padding: 0,
                pool: true,
                ..Default::default()
            },
            ConvLayer::halving(48, false),
        ];
        let net = ConvNet::new(&store.root(), [3, 28, 30], &layers, Activation::Leaky(0.2));
        let images = Tensor::rand([2, 3, 28, 30], (Kind::Float, Device::Cpu));
        let maps = net.forward(&images, true);
        assert_eq!(maps.size()[1..], net.output());
        assert_eq!(net.vectors(&images, false).size(), [2, net.output_dim()]);
    }

    #[test]
    fn too_many_layers_are_refused() {
        let layers = vec![ConvLayer::halving(8, true); 4];
        check_layers("layers", [1, 16, 16], &layers).unwrap();
        let error = check_layers("layers", [1, 8, 8], &layers).unwrap_err();
        assert!(error.to_string().starts_with("layers: expected"), "{error}");
        let wrong = ConvLayer {
            dropout: 1.0,
            ..Default::default()
        };
        let error = check_layers("layers", [1, 8, 8], &[wrong]).unwrap_err();
        assert!(error.to_string().starts_with("layers.0.dropout"), "{error}");
    }
}
