//! The speaker constraint: embeddings of one speaker alike, of different speakers apart.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// How speaker embeddings are held together and apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SpeakerConstraint {
    /// Supervised contrastive (Khosla et al. 2020, eq. 2): every other embedding of the batch is a candidate,
    /// those of the same speaker are the right ones.
    SupervisedContrastive {
        /// Divides the cosines.
        temperature: f64,
    },
    /// Pairwise margin (Hadsell et al. 2006): squared distance for a pair of one speaker, squared hinge
    /// `max(0, margin - distance)` for a pair of two; the mean over both kinds of pairs.
    PairwiseMargin {
        /// Distance (of vectors of length 1, so at most 2) beyond which two speakers are left alone.
        margin: f64,
    },
}

impl Default for SpeakerConstraint {
    fn default() -> Self {
        Self::SupervisedContrastive { temperature: 0.1 }
    }
}

impl SpeakerConstraint {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(self, name: &str) -> Result<()> {
        let (key, value) = match self {
            Self::SupervisedContrastive { temperature } => ("temperature", temperature),
            Self::PairwiseMargin { margin } => ("margin", margin),
        };
        if value.is_finite() && value > 0.0 {
            return Ok(());
        }
        let found = value.to_string();
        Err(Error::option(format!("{name}.{key}"), "more than 0", found))
    }

    /// The loss of embeddings `[batch, dim]` of length 1 whose speakers are `[batch]`. A batch in which no
    /// speaker stands twice has no pairs to pull together; only the others push then.
    pub fn loss(self, embeds: &Tensor, speakers: &Tensor) -> Tensor {
        let same = speakers.unsqueeze(0).eq_tensor(&speakers.unsqueeze(1));
        let itself = Tensor::eye(embeds.size()[0], (Kind::Bool, embeds.device()));
        let positive = same.logical_and(&itself.logical_not()).to_kind(Kind::Float);
        let cosines = embeds.matmul(&embeds.tr());
        match self {
            Self::SupervisedContrastive { temperature } => {
                let log_probability = (cosines / temperature)
                    .masked_fill(&itself, -1e9)
                    .log_softmax(1, Kind::Float);
                mean_where(&log_probability.neg(), &positive)
            }
            Self::PairwiseMargin { margin } => {
                let negative = same.logical_not().to_kind(Kind::Float);
                // |a - b|^2 = 2 - 2 cos; the floor keeps the root's slope finite.
                let squared: Tensor = (cosines.neg() * 2.0 + 2.0).clamp_min(1e-8);
                let hinge: Tensor = (squared.sqrt().neg() + margin).relu();
                mean_where(&squared, &positive) + mean_where(&(&hinge * &hinge), &negative)
            }
        }
    }
}

/// Mean of the entries where `weights` is one, 0 when there are none.
fn mean_where(values: &Tensor, weights: &Tensor) -> Tensor {
    (values * weights).sum(Kind::Float) / weights.sum(Kind::Float).clamp_min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::speaker_encoder::normalise;
    use tch::Device;

    const BOTH: [SpeakerConstraint; 2] = [
        SpeakerConstraint::SupervisedContrastive { temperature: 0.1 },
        SpeakerConstraint::PairwiseMargin { margin: 1.0 },
    ];

    #[test]
    fn contrastive_follows_its_formula() {
        let embeds = Tensor::from_slice(&[1f64, 0.0, 0.6, 0.8, 0.0, 1.0]).reshape([3, 2]);
        let speakers = Tensor::from_slice(&[0i64, 0, 1]);
        let loss = SpeakerConstraint::SupervisedContrastive { temperature: 0.5 };
        // Cosines: 01: 0.6, 02: 0, 12: 0.8. Anchors 0 and 1 have one positive each.
        let anchor0 = -(1.2f64 - (1.2f64.exp() + 0f64.exp()).ln());
        let anchor1 = -(1.2f64 - (1.2f64.exp() + 1.6f64.exp()).ln());
        let found = loss.loss(&embeds, &speakers).double_value(&[]);
        assert!((found - (anchor0 + anchor1) / 2.0).abs() < 1e-6, "{found}");
    }

    #[test]
    fn the_right_grouping_costs_less() {
        tch::manual_seed(0);
        let centres = Tensor::randn([2, 8], (Kind::Float, Device::Cpu));
        let noise = Tensor::randn([8, 8], (Kind::Float, Device::Cpu)) * 0.1;
        let embeds = normalise(&(centres.repeat_interleave_self_int(4, 0, None) + noise));
        let right = Tensor::from_slice(&[0i64, 0, 0, 0, 1, 1, 1, 1]);
        let wrong = Tensor::from_slice(&[0i64, 1, 0, 1, 0, 1, 0, 1]);
        for constraint in BOTH {
            let (low, high) = (
                constraint.loss(&embeds, &right),
                constraint.loss(&embeds, &wrong),
            );
            assert!(
                low.double_value(&[]) < high.double_value(&[]),
                "{constraint:?}"
            );
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        tch::manual_seed(1);
        let speakers = Tensor::from_slice(&[0i64, 0, 1, 1, 2]);
        let x = Tensor::randn([5, 4], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        for constraint in BOTH {
            let value = |x: &Tensor| constraint.loss(&normalise(x), &speakers);
            let grad = Tensor::run_backward(&[value(&x)], &[&x], false, false).remove(0);
            let h = 1e-4;
            for index in [0i64, 7, 19] {
                let step = Tensor::zeros_like(&x.detach()).view([-1]);
                let _ = step.get(index).fill_(h);
                let step = step.view([5, 4]);
                let slope = (value(&(x.detach() + &step)) - value(&(x.detach() - &step)))
                    .double_value(&[])
                    / (2.0 * h);
                let found = grad.view([-1]).double_value(&[index]);
                // The sums run in f32, which bounds what a difference can show.
                assert!(
                    (slope - found).abs() < 5e-3 * (1.0 + found.abs()),
                    "{slope} {found}"
                );
            }
        }
    }
}
