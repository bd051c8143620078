//! Adversarial losses: of an encoder against a classifier, and of generative adversarial networks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::classification::{cross_entropy, uniform_cross_entropy};
use crate::dataset::labels::NO_LABEL;

/// Identity forwards, `-weight` times the gradient backwards (Ganin et al. 2016, eq. 13). Any shape.
///
/// No custom autograd function is needed: `(1 + w) detach(x) - w x` has the value of `x` and the derivative `-w`.
pub fn reverse_gradient(x: &Tensor, weight: f64) -> Tensor {
    x.detach() * (1.0 + weight) - x * weight
}

/// Loss of an encoder against an adversary that is trained in alternation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncoderLoss {
    /// Negated cross-entropy of the classifier, bounded at chance, `ln(classes)` nats. Without the bound the encoder
    /// would gain by making the classifier confidently wrong.
    #[default]
    NegatedCe,
    /// Cross-entropy of the classifier's output against the uniform distribution (domain confusion, Tzeng et al. 2015,
    /// eq. 4).
    Uniform,
    /// Cross-entropy against the next class in place of the right one; for two classes the flipped label (Goodfellow et
    /// al. 2014, section 3).
    FlippedLabels,
}

impl EncoderLoss {
    /// The encoder's loss, from logits `[batch, classes]` or `[batch, classes, frames]` and targets `[batch]` or
    /// `[batch, frames]`; targets [`NO_LABEL`] are ignored.
    pub fn loss(self, logits: &Tensor, targets: &Tensor) -> Tensor {
        let classes = logits.size()[1];
        match self {
            Self::NegatedCe => cross_entropy(logits, targets, 0.0)
                .clamp_max((classes as f64).ln())
                .neg(),
            Self::Uniform => uniform_cross_entropy(logits, targets),
            Self::FlippedLabels => {
                let next = (targets + 1).remainder(classes);
                let counts = targets.ne(NO_LABEL);
                let other = next.where_self(&counts, &targets.full_like(NO_LABEL));
                cross_entropy(logits, &other, 0.0)
            }
        }
    }
}

/// Loss of a generative adversarial network. Scores are logits of any shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GanLoss {
    /// Cross-entropy, non-saturating for the generator (Goodfellow et al. 2014).
    #[default]
    Vanilla,
    /// Squared distance to 1 (real) and 0 (generated) (Mao et al. 2017).
    LeastSquares,
    /// Hinge loss at +1 and -1 (Lim and Ye 2017).
    Hinge,
    /// Difference of mean scores (Arjovsky et al. 2017), with a gradient penalty.
    Wasserstein,
}

impl GanLoss {
    /// The discriminator's loss.
    pub fn discriminator(self, real: &Tensor, made: &Tensor) -> Tensor {
        match self {
            Self::Vanilla => mean(&softplus(&real.neg())) + mean(&softplus(made)),
            Self::LeastSquares => mean(&(real - 1.0).square()) + mean(&made.square()),
            Self::Hinge => mean(&(real.neg() + 1.0).relu()) + mean(&(made + 1.0).relu()),
            Self::Wasserstein => mean(made) - mean(real),
        }
    }

    /// The generator's loss.
    pub fn generator(self, made: &Tensor) -> Tensor {
        match self {
            Self::Vanilla => mean(&softplus(&made.neg())),
            Self::LeastSquares => mean(&(made - 1.0).square()),
            Self::Hinge | Self::Wasserstein => mean(&made.neg()),
        }
    }
}

/// Mean squared distance to 1 of the norm of the critic's gradient at random points between `real` and `made` (Gulrajani et
/// al. 2017, eq. 3), both `[batch, ..]` and of the same shape. The critic must not mix the samples of a batch, so it has no
/// batch normalisation.
pub fn gradient_penalty(
    real: &Tensor,
    made: &Tensor,
    critic: impl Fn(&Tensor) -> Tensor,
) -> Tensor {
    let mut shape = vec![1; real.dim()];
    shape[0] = real.size()[0];
    let share = Tensor::rand(&shape[..], (Kind::Float, real.device()));
    let between = (made + (real - made) * share)
        .detach()
        .set_requires_grad(true);
    let score = critic(&between).sum(Kind::Float);
    let gradient = Tensor::run_backward(&[score], &[&between], true, true).remove(0);
    let norm = (gradient.square().flatten(1, -1))
        .sum_dim_intlist(&[1i64][..], false, Kind::Float)
        // The derivative of the root at 0 is infinite.
        .clamp_min(1e-12)
        .sqrt();
    mean(&(norm - 1.0).square())
}

fn mean(x: &Tensor) -> Tensor {
    x.mean(Kind::Float)
}

/// `ln(1 + e^x)`, stable for large `x`.
fn softplus(x: &Tensor) -> Tensor {
    x.clamp_min(0.0) + (x.abs().neg().exp()).log1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn reversal_keeps_the_value_and_negates_the_gradient() {
        let x = Tensor::from_slice(&[1f32, -2.0, 3.0]).set_requires_grad(true);
        let y = reverse_gradient(&x, 0.3);
        assert!((&y - &x).abs().max().double_value(&[]) < 1e-6);
        (y * Tensor::from_slice(&[1f32, 2.0, 4.0]))
            .sum(Kind::Float)
            .backward();
        let gap = x.grad() - Tensor::from_slice(&[-0.3f32, -0.6, -1.2]);
        assert!(gap.abs().max().double_value(&[]) < 1e-6);
    }

    /// Logits of two classes with a difference of `by`; the first class is right.
    fn answer(by: f64) -> (Tensor, Tensor) {
        let logits = Tensor::from_slice(&[by as f32, 0.0]).reshape([1, 2]);
        (logits.set_requires_grad(true), Tensor::from_slice(&[0i64]))
    }

    #[test]
    fn every_encoder_loss_reduces_confidence() {
        for encoder_loss in [
            EncoderLoss::NegatedCe,
            EncoderLoss::Uniform,
            EncoderLoss::FlippedLabels,
        ] {
            let (logits, targets) = answer(2.0);
            encoder_loss.loss(&logits, &targets).backward();
            assert!(
                logits.grad().double_value(&[0, 0]) > 0.0,
                "{encoder_loss:?}"
            );
        }
    }

    #[test]
    fn only_flipped_labels_reward_confident_errors() {
        for (encoder_loss, sign) in [
            (EncoderLoss::NegatedCe, 0.0),
            (EncoderLoss::Uniform, -1.0),
            (EncoderLoss::FlippedLabels, 1.0),
        ] {
            let (logits, targets) = answer(-2.0);
            encoder_loss.loss(&logits, &targets).backward();
            let gradient = logits.grad().double_value(&[0, 0]);
            let found = if gradient == 0.0 {
                0.0
            } else {
                gradient.signum()
            };
            assert_eq!(found, sign, "{encoder_loss:?}");
        }
    }

    #[test]
    fn frames_without_a_label_are_ignored() {
        let logits = Tensor::from_slice(&[3f32, 9.0, 0.0, 1.0]).reshape([1, 2, 2]);
        let targets = Tensor::from_slice(&[0, NO_LABEL]).reshape([1, 2]);
        let (alone, own) = (logits.narrow(2, 0, 1), targets.narrow(1, 0, 1));
        for encoder_loss in [
            EncoderLoss::NegatedCe,
            EncoderLoss::Uniform,
            EncoderLoss::FlippedLabels,
        ] {
            let gap = encoder_loss.loss(&logits, &targets) - encoder_loss.loss(&alone, &own);
            assert!(gap.abs().double_value(&[]) < 1e-6, "{encoder_loss:?}");
        }
    }

    #[test]
    fn gan_losses_follow_their_formulae() {
        let (real, made) = (Tensor::from_slice(&[2f32]), Tensor::from_slice(&[-0.5f32]));
        let plus = |x: f64| (1.0 + x.exp()).ln();
        for (loss, discriminator, generator) in [
            (GanLoss::Vanilla, plus(-2.0) + plus(-0.5), plus(0.5)),
            (GanLoss::LeastSquares, 1.0 + 0.25, 2.25),
            (GanLoss::Hinge, 0.5, 0.5),
            (GanLoss::Wasserstein, -2.5, 0.5),
        ] {
            let found = loss.discriminator(&real, &made).double_value(&[]);
            assert!((found - discriminator).abs() < 1e-6, "{loss:?} {found}");
            let found = loss.generator(&made).double_value(&[]);
            assert!((found - generator).abs() < 1e-6, "{loss:?} {found}");
        }
    }

    #[test]
    fn the_penalty_is_the_squared_distance_of_the_gradient_norm_to_one() {
        let real = Tensor::randn([4, 3], (Kind::Float, Device::Cpu));
        let weight = Tensor::from_slice(&[2f32, 0.0, 0.0]).set_requires_grad(true);
        let penalty = gradient_penalty(&real, &real.neg(), |x| x.matmul(&weight));
        assert!((penalty.double_value(&[]) - 1.0).abs() < 1e-5);
        penalty.backward();
        let gradient = weight.grad().double_value(&[0]);
        assert!((gradient - 2.0).abs() < 1e-4, "{gradient}");
    }
}
