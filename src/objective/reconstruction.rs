//! Reconstruction losses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::nn::Mask;

/// Distance between decoded and original features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reconstruction {
    /// Mean absolute difference.
    #[default]
    L1,
    /// Mean squared difference.
    L2,
}

impl Reconstruction {
    /// Mean over all bins of all frames without padding. Both tensors are `[batch, bins, frames]`, with zeros in the
    /// padding.
    pub fn loss(self, decoded: &Tensor, feats: &Tensor, mask: &Mask) -> Tensor {
        let gap = decoded - feats;
        let terms = match self {
            Self::L1 => gap.abs(),
            Self::L2 => &gap * &gap,
        };
        let frames: i64 = mask.lengths().iter().sum();
        terms.sum(Kind::Float) / ((frames * feats.size()[1]).max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn padding_does_not_change_the_mean() {
        let feats = Tensor::zeros([2, 3, 4], (Kind::Float, Device::Cpu));
        let mask = Mask::new(&[4, 2], Device::Cpu);
        let decoded = mask.apply(Tensor::full([2, 3, 4], 2.0, (Kind::Float, Device::Cpu)));
        for (distance, expected) in [(Reconstruction::L1, 2.0), (Reconstruction::L2, 4.0)] {
            assert_eq!(
                distance.loss(&decoded, &feats, &mask).double_value(&[]),
                expected
            );
        }
    }
}
