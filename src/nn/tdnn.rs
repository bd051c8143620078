//! The x-vector's layers over time (Snyder et al. 2018): width 5, then 3 at dilation 2 and 3, then 1.

use tch::Tensor;
use tch::nn::Path;

use super::layer::{BatchNorm, Conv1d};
use super::mask::Mask;
use super::norm_act::{Norm, NormAct};

/// Kernel width and dilation of each layer.
pub(crate) const LAYERS: [(i64, i64); 4] = [(5, 1), (3, 2), (3, 3), (1, 1)];

/// Dilated convolutions, each with a rectifier and batch normalisation.
#[derive(Debug)]
pub struct Tdnn {
    layers: Vec<(Conv1d, BatchNorm)>,
}

impl Tdnn {
    /// From `inputs` to `channels`.
    pub fn new(path: &Path, inputs: i64, channels: i64) -> Self {
        let layers = LAYERS
            .into_iter()
            .enumerate()
            .map(|(index, (kernel, dilation))| {
                let path = path / format!("tdnn{index}");
                let inputs = if index == 0 { inputs } else { channels };
                let conv = Conv1d::new(&path / "conv", inputs, channels, kernel).dilation(dilation);
                (conv, BatchNorm::new(&path / "norm", channels))
            })
            .collect();
        Self { layers }
    }

    /// `[batch, inputs, frames]` to `[batch, channels, frames]`.
    pub fn forward(&self, x: Tensor, mask: &Mask, train: bool) -> Tensor {
        self.layers.iter().fold(x, |x, (conv, norm)| {
            let norm_act = NormAct {
                norm: Norm::Batch(norm, train),
                rectify_first: true,
                ..NormAct::default()
            };
            norm_act.forward(&conv.activations(&x), mask)
        })
    }
}
