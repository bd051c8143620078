//! Codes that stay the same when the input is perturbed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::classification::cross_entropy;
use super::reconstruction::Reconstruction;
use crate::dataset::labels::NO_LABEL;
use crate::error::{Error, Result};
use crate::nn::Mask;

/// Distance between the codes of two views of an utterance.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Invariance {
    /// Mean absolute difference.
    #[default]
    Regression,
    /// Contrastive loss (ContentVec, Qian et al. 2022, eq. 2): by cosine, identify each code among all codes of the
    /// other view of the utterance.
    Contrastive {
        /// Divides the cosines; lower values weight the hardest negatives more.
        temperature: f64,
    },
}

impl Invariance {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(self, name: &str) -> Result<()> {
        match self {
            Self::Contrastive { temperature }
                if !(temperature > 0.0 && temperature.is_finite()) =>
            {
                let key = format!("{name}.temperature");
                Err(Error::option(key, "more than 0", temperature.to_string()))
            }
            Self::Regression | Self::Contrastive { .. } => Ok(()),
        }
    }

    /// The loss between two views, both `[batch, code_dim, codes]`.
    pub fn loss(self, one: &Tensor, other: &Tensor, mask: &Mask) -> Tensor {
        match self {
            Self::Regression => Reconstruction::L1.loss(one, other, mask),
            Self::Contrastive { temperature } => {
                let unit = |x: &Tensor| {
                    let norm = x.square().sum_dim_intlist(&[1i64][..], true, Kind::Float);
                    x / norm.clamp_min(1e-12).sqrt()
                };
                // [batch, codes of the other view, codes of this view]: classes come second.
                let mut cosines = unit(other).transpose(1, 2).matmul(&unit(one)) / temperature;
                let frames = mask.frames();
                let mut own = Tensor::arange(frames, (Kind::Int64, one.device()))
                    .unsqueeze(0)
                    .repeat([one.size()[0], 1]);
                if let Some(real) = mask.real() {
                    let padding = real.logical_not();
                    cosines = cosines.masked_fill(&padding.transpose(1, 2), -1e9);
                    own = own.masked_fill(&padding.squeeze_dim(1), NO_LABEL);
                }
                cross_entropy(&cosines, &own, 0.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn equal_codes_have_a_lower_loss_than_reversed_ones() {
        let codes = Tensor::randn([2, 16, 9], (Kind::Float, Device::Cpu));
        let mask = Mask::new(&[9, 5], Device::Cpu);
        let codes = mask.apply(codes);
        for kind in [
            Invariance::Regression,
            Invariance::Contrastive { temperature: 0.1 },
        ] {
            let loss = |other: &Tensor| kind.loss(&codes, other, &mask).double_value(&[]);
            let reversed = mask.reverse(&codes);
            assert!(loss(&codes) < 0.5 * loss(&reversed), "{kind:?}");
        }
    }

    #[test]
    fn padding_is_neither_a_query_nor_a_candidate() {
        let codes = Tensor::randn([1, 4, 5], (Kind::Float, Device::Cpu));
        let kind = Invariance::Contrastive { temperature: 0.5 };
        let alone = kind.loss(&codes, &codes, &Mask::new(&[5], Device::Cpu));
        let longer = Tensor::randn([1, 4, 8], (Kind::Float, Device::Cpu));
        let batch = Tensor::cat(&[codes.constant_pad_nd([0, 3]), longer.shallow_clone()], 0);
        let both = kind.loss(&batch, &batch, &Mask::new(&[5, 8], Device::Cpu));
        let other = kind.loss(&longer, &longer, &Mask::new(&[8], Device::Cpu));
        let expected = (alone * 5.0 + other * 8.0) / 13.0;
        assert!((expected - both).abs().double_value(&[]) < 1e-5);
    }
}
