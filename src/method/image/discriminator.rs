//! What the image methods share: the optimiser of their literature, and how often a discriminator is right.

use tch::{Kind, Tensor};

use crate::train::OptimiserOptions;

/// Steps for which a discriminator may be right in every answer, where a configuration says nothing else.
pub const DISCRIMINATOR_PATIENCE: u64 = 2000;

/// Adam as Radford et al. (2016) have it for adversarial networks: a short memory of gradients, no clipping.
pub fn gan_optimiser(lr: f64) -> OptimiserOptions {
    OptimiserOptions {
        lr,
        beta1: 0.5,
        clip_norm: 0.0,
        ..OptimiserOptions::default()
    }
}

/// Share of right answers over real and made samples alike, from scores before the sigmoid, any shape: a scalar in 0..1.
pub fn discriminator_accuracy(real: &Tensor, made: &Tensor) -> Tensor {
    let right = |answers: &Tensor| answers.to_kind(Kind::Float).mean(Kind::Float);
    (right(&real.gt(0.0)) + right(&made.le(0.0))) * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_count_alike() {
        let real = Tensor::from_slice(&[1f32, 2.0, -1.0, 3.0]);
        let made = Tensor::from_slice(&[-1f32, 1.0]);
        let right = discriminator_accuracy(&real, &made).double_value(&[]);
        assert!((right - (0.75 + 0.5) / 2.0).abs() < 1e-6);
    }
}
