//! Cross-entropy and accuracy over utterances or frames.

use tch::{Kind, Reduction, Tensor};

use crate::dataset::labels::NO_LABEL;

/// Mean cross-entropy in nats of logits `[batch, classes]` against `[batch]`, or of `[batch, classes, frames]`
/// against `[batch, frames]`; targets [`NO_LABEL`] are ignored. Zero without other targets.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor, label_smoothing: f64) -> Tensor {
    let sum = logits.cross_entropy_loss::<Tensor>(
        targets,
        None,
        Reduction::Sum,
        NO_LABEL,
        label_smoothing,
    );
    sum / counted(targets).clamp_min(1.0)
}

/// Mean cross-entropy of logits against the uniform distribution, shapes as in [`cross_entropy`]. Its minimum,
/// `ln(classes)`, is where all classes are equally probable.
pub fn uniform_cross_entropy(logits: &Tensor, targets: &Tensor) -> Tensor {
    let terms = logits.log_softmax(1, Kind::Float).neg();
    let counts = targets.ne(NO_LABEL).to_kind(Kind::Float);
    let mean = terms.mean_dim(&[1i64][..], false, Kind::Float);
    (mean * counts).sum(Kind::Float) / counted(targets).clamp_min(1.0)
}

/// Share of targets with the highest logit, without [`NO_LABEL`], as a scalar tensor in [0, 1].
pub fn accuracy(logits: &Tensor, targets: &Tensor) -> Tensor {
    let right = logits.argmax(1, false).eq_tensor(targets);
    right.to_kind(Kind::Float).sum(Kind::Float) / counted(targets).clamp_min(1.0)
}

/// Mean of the entries where `weights` is 1; 0 if there are none.
pub fn mean_where(values: &Tensor, weights: &Tensor) -> Tensor {
    (values * weights).sum(Kind::Float) / weights.sum(Kind::Float).clamp_min(1.0)
}

fn counted(targets: &Tensor) -> Tensor {
    targets.ne(NO_LABEL).to_kind(Kind::Float).sum(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_without_label_are_ignored() {
        let logits = Tensor::from_slice(&[2f32, 0.0, 0.0, 5.0]).reshape([2, 2]);
        let targets = Tensor::from_slice(&[0i64, NO_LABEL]);
        let expected = (1.0 + (-2f64).exp()).ln();
        assert!((cross_entropy(&logits, &targets, 0.0).double_value(&[]) - expected).abs() < 1e-6);
        assert_eq!(accuracy(&logits, &targets).double_value(&[]), 1.0);
        let none = Tensor::from_slice(&[NO_LABEL, NO_LABEL]);
        assert_eq!(cross_entropy(&logits, &none, 0.0).double_value(&[]), 0.0);
    }
}
