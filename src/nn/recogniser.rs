//! The network of a recogniser: from features to logits of labels and of the blank.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::Path;

use super::layer::Conv1d;
use super::mask::Mask;
use super::phonetic_encoder::{Backbone, PhoneticEncoder, PhoneticEncoderOptions};
use crate::error::{Error, Result};

/// The recogniser's network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecogniserNetworkOptions {
    /// Width of all layers.
    pub channels: i64,
    /// Kernel width of convolutions in frames, odd.
    pub kernel: i64,
    /// Frames per output: 1, 2, 4 or 8. CTC needs at least as many outputs as labels.
    pub subsampling: i64,
    /// Layers after subsampling.
    pub backbone: Backbone,
    /// Probability of dropping a value before the last layer in training.
    pub dropout: f64,
}

impl Default for RecogniserNetworkOptions {
    fn default() -> Self {
        Self {
            channels: 128,
            kernel: 5,
            subsampling: 1,
            backbone: Backbone::Recurrent { layers: 2 },
            dropout: 0.3,
        }
    }
}

impl RecogniserNetworkOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.dropout) {
            let found = self.dropout.to_string();
            return Err(Error::option("network.dropout", "0 <= p < 1", found));
        }
        let renamed = |error| match error {
            Error::Option {
                option,
                expected,
                found,
            } => Error::option(
                option.replace("phonetic_encoder", "network"),
                expected,
                found,
            ),
            other => other,
        };
        self.encoder().check().map_err(renamed)
    }

    fn encoder(&self) -> PhoneticEncoderOptions {
        PhoneticEncoderOptions {
            channels: self.channels,
            kernel: self.kernel,
            subsampling: self.subsampling,
            backbone: self.backbone,
            code_dim: self.channels,
            // The mean over time distinguishes short words.
            instance_norm: false,
            ..PhoneticEncoderOptions::default()
        }
    }
}

/// Strided convolutions and a backbone, as in a phonetic encoder, and a layer of kernel width 1.
#[derive(Debug)]
pub struct RecogniserNetwork {
    encoder: PhoneticEncoder,
    output: Conv1d,
    dropout: f64,
}

impl RecogniserNetwork {
    /// For features of `bins` and a number of `outputs`.
    pub fn new(path: &Path, bins: i64, outputs: i64, options: &RecogniserNetworkOptions) -> Self {
        Self {
            encoder: PhoneticEncoder::new(path / "encoder", bins, &options.encoder()),
            output: Conv1d::new(path / "output", options.channels, outputs, 1),
            dropout: options.dropout,
        }
    }

    /// Features `[batch, bins, frames]` to logits `[batch, outputs, ceil(frames / subsampling)]` and their mask.
    pub fn forward(&self, feats: &Tensor, mask: &Mask, train: bool) -> (Tensor, Mask) {
        let encoded = self.encoder.forward(feats, mask, train);
        let hidden = encoded.codes.relu().dropout(self.dropout, train);
        (self.output.forward(&hidden), encoded.mask)
    }
}
