//! A classifier of images: convolutions to a feature vector, and heads that read it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::Path;

use super::conv_net::check_layers;
use super::{Activation, ConvLayer, ConvNet, Mlp};
use crate::error::Result;
use crate::nn::check_size;
use crate::nn::layer::Linear;

/// A convolutional classifier. The default is the network of Ganin et al. (2016) for digits, with batch normalisation
/// and dropout of feature maps added; without these DANN does not adapt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ImageClassifierOptions")]
pub struct ImageClassifierOptions {
    /// Convolutions.
    pub layers: Vec<ConvLayer>,
    /// Use the mean of each feature map in place of all its values.
    pub mean: bool,
    /// Widths of the hidden layers of the classifier head.
    pub hidden: Vec<i64>,
}

impl Default for ImageClassifierOptions {
    fn default() -> Self {
        let layer = |channels, dropout| ConvLayer {
            channels,
            kernel: 5,
            padding: 0,
            pool: true,
            dropout,
            ..ConvLayer::default()
        };
        Self {
            layers: vec![layer(32, 0.0), layer(48, 0.5)],
            mean: false,
            hidden: vec![100, 100],
        }
    }
}

impl ImageClassifierOptions {
    /// Checks every value against the images; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming the key.
    pub fn check(&self, name: &str, shape: [i64; 3]) -> Result<()> {
        check_layers(&format!("{name}.layers"), shape, &self.layers)?;
        check_hidden(&format!("{name}.hidden"), &self.hidden)
    }
}

/// Checks the widths of a [`Head`].
///
/// # Errors
/// [`crate::Error::Option`] naming the key.
pub fn check_hidden(name: &str, hidden: &[i64]) -> Result<()> {
    let mut numbered = hidden.iter().enumerate();
    numbered.try_for_each(|(number, &width)| check_size(format!("{name}.{number}"), width, 1))
}

/// From images to feature vectors.
#[derive(Debug)]
pub struct Extractor {
    maps: ConvNet,
    mean: bool,
}

impl Extractor {
    /// For images of `[channels, height, width]`.
    pub fn new(path: &Path, shape: [i64; 3], options: &ImageClassifierOptions) -> Self {
        Self {
            maps: ConvNet::new(path, shape, &options.layers, Activation::Relu),
            mean: options.mean,
        }
    }

    /// Dimensions of a feature vector.
    pub fn dims(&self) -> i64 {
        match self.mean {
            true => self.maps.output()[0],
            false => self.maps.output_dim(),
        }
    }

    /// `[batch, channels, height, width]` in 0..1 to `[batch, dims]`.
    pub fn forward(&self, images: &Tensor, train: bool) -> Tensor {
        let maps = self.maps.forward(&(images * 2.0 - 1.0), train);
        match self.mean {
            true => maps.mean_dim(&[2i64, 3][..], false, tch::Kind::Float),
            false => maps.flatten(1, -1),
        }
    }
}

/// Features to logits, through hidden layers.
#[derive(Debug)]
pub struct Head {
    hidden: Mlp,
    output: Linear,
}

impl Head {
    /// From `inputs` values to `classes`.
    pub fn new(path: &Path, inputs: i64, hidden: &[i64], classes: i64) -> Self {
        let last = hidden.last().copied().unwrap_or(inputs);
        Self {
            hidden: Mlp::new(&(path / "hidden"), inputs, hidden, 0, Activation::Relu),
            output: Linear::new(path / "output", last, classes),
        }
    }

    /// The input of the output layer, `[batch, last width]`.
    pub fn features(&self, x: &Tensor, train: bool) -> Tensor {
        self.hidden.forward(x, train)
    }

    /// `[batch, inputs]` to logits `[batch, classes]`.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        self.output.forward(&self.features(x, train))
    }
}
