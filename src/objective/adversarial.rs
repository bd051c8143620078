//! What sets two networks against each other: a critic that learns, an encoder that learns to defeat it.

use tch::Tensor;

/// Identity forwards, `-weight` times the gradient backwards (Ganin et al. 2016, eq. 13). Any shape.
///
/// No custom autograd function is needed: `(1 + w) detach(x) - w x` has the value of `x` and the slope `-w`.
pub fn reverse_gradient(x: &Tensor, weight: f64) -> Tensor {
    x.detach() * (1.0 + weight) - x * weight
}

/// What an encoder gains by defeating a classifier in its own turn: the critic's cross-entropy, counted up to
/// chance. Without the bound an encoder is paid for fooling the critic into confident error, and the ascent
/// never ends; at `ln(classes)` the critic knows nothing, which is all that is asked.
pub fn bounded_confusion(critic_cross_entropy: &Tensor, classes: i64) -> Tensor {
    critic_cross_entropy.clamp_max((classes as f64).ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn reversal_keeps_the_value_and_turns_the_slope() {
        let x = Tensor::from_slice(&[1f32, -2.0, 3.0]).set_requires_grad(true);
        let y = reverse_gradient(&x, 0.3);
        assert!((&y - &x).abs().max().double_value(&[]) < 1e-6);
        (y * Tensor::from_slice(&[1f32, 2.0, 4.0]))
            .sum(Kind::Float)
            .backward();
        let gap = x.grad() - Tensor::from_slice(&[-0.3f32, -0.6, -1.2]);
        assert!(gap.abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn confusion_pays_up_to_chance_and_no_further() {
        for (value, slope) in [(0.5f32, 1.0), (3.0, 0.0)] {
            let loss = Tensor::from(value).set_requires_grad(true);
            bounded_confusion(&loss, 6).backward();
            assert_eq!(loss.grad().double_value(&[]), slope);
        }
    }
}
