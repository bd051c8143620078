//! Shared by the image methods: the usual optimiser of adversarial networks, and the accuracy of a discriminator.

use tch::{Kind, Tensor};

use crate::train::OptimiserOptions;

/// Default number of steps for which a discriminator may be right on every item.
pub(super) const DISCRIMINATOR_PATIENCE: u64 = 2000;

/// Adam as in Radford et al. (2016): `beta1` = 0.5, without clipping.
pub(super) fn gan_optimiser(lr: f64) -> OptimiserOptions {
    OptimiserOptions {
        lr,
        beta1: 0.5,
        clip_norm: 0.0,
        ..OptimiserOptions::default()
    }
}

/// Accuracy on real and generated samples, each with half the weight, from logits of any shape: a scalar in 0..1.
pub(super) fn discriminator_accuracy(real: &Tensor, made: &Tensor) -> Tensor {
    let right = |answers: &Tensor| answers.to_kind(Kind::Float).mean(Kind::Float);
    (right(&real.gt(0.0)) + right(&made.le(0.0))) * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_equal_weight() {
        let real = Tensor::from_slice(&[1f32, 2.0, -1.0, 3.0]);
        let made = Tensor::from_slice(&[-1f32, 1.0]);
        let right = discriminator_accuracy(&real, &made).double_value(&[]);
        assert!((right - (0.75 + 0.5) / 2.0).abs() < 1e-6);
    }
}
