//! Calibration of a probe's logits on its development split, and the distribution of labels. Together they give a lower
//! bound on the information about a target in a representation.

use tch::{Kind, Tensor};

use crate::dataset::labels::NO_LABEL;

/// Logits to probabilities: softmax at a temperature (Guo et al. 2017), mixed with a uniform distribution. With a
/// temperature alone, one confident error in the test set after a split without errors would have an unbounded cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Calibration {
    pub(super) temperature: f64,
    /// Weight of the uniform distribution.
    pub(super) doubt: f64,
}

impl Calibration {
    /// Plain softmax.
    pub(super) const NONE: Self = Self {
        temperature: 1.0,
        doubt: 0.0,
    };

    /// Temperatures from e^-3 to e^3 in steps of a factor e^0.1, within which cross-entropy is flat; the uniform distribution
    /// has the weight of one more utterance beside the `utterances` that the temperature is fitted on.
    pub(super) fn candidates(utterances: usize) -> Vec<Self> {
        (-30..=30)
            .map(|tenth| Self {
                temperature: (f64::from(tenth) / 10.0).exp(),
                doubt: 1.0 / (utterances as f64 + 1.0),
            })
            .collect()
    }

    /// Cross-entropy in nats of `targets` `[batch]` or `[batch, frames]` under logits `[batch, classes]` or
    /// `[batch, classes, frames]`; of the targets' shape, 0 where there is no label.
    pub(super) fn nats(&self, logits: &Tensor, targets: &Tensor) -> Tensor {
        let classes = logits.size()[1] as f64;
        let places = targets.clamp_min(0).unsqueeze(1);
        let scaled = logits.to_kind(Kind::Double) / self.temperature;
        let sure = scaled
            .softmax(1, Kind::Double)
            .gather(1, &places, false)
            .squeeze_dim(1);
        let likelihood = sure * (1.0 - self.doubt) + self.doubt / classes;
        -likelihood.clamp_min(f64::MIN_POSITIVE).log() * targets.ne(NO_LABEL).to_kind(Kind::Double)
    }
}

/// The distribution of labels over classes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Spread {
    /// Share of the most frequent class.
    pub(super) chance: f64,
    /// Entropy in bits.
    pub(super) entropy: f64,
}

impl Spread {
    pub(super) fn of(counts: &[f64]) -> Self {
        let total: f64 = counts.iter().sum();
        let shares = || {
            counts
                .iter()
                .map(|count| count / total)
                .filter(|&share| share > 0.0)
        };
        Self {
            chance: shares().fold(0.0, f64::max),
            entropy: -shares().map(|share| share * share.log2()).sum::<f64>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_labels_have_the_greatest_entropy() {
        let spread = Spread::of(&[5.0, 5.0, 5.0, 5.0, 0.0]);
        assert_eq!((spread.chance, spread.entropy), (0.25, 2.0));
        let spread = Spread::of(&[3.0, 1.0]);
        assert!(
            (spread.entropy - 0.811_278_124_459).abs() < 1e-9,
            "{spread:?}"
        );
    }

    #[test]
    fn cross_entropy_by_hand() {
        // Softmax of ln 3 and 0 is 3/4 and 1/4; at a temperature of 1/2 it is 9/10 and 1/10.
        let logits = Tensor::from_slice(&[3f32.ln(), 0.0, 3f32.ln(), 0.0]).reshape([2, 2]);
        let targets = Tensor::from_slice(&[0i64, 1]);
        let nats = |temperature, doubt| -> Vec<f64> {
            let calibration = Calibration { temperature, doubt };
            Vec::try_from(calibration.nats(&logits, &targets)).unwrap()
        };
        for (found, likelihoods) in [
            (nats(1.0, 0.0), [0.75, 0.25]),
            (nats(0.5, 0.0), [0.9, 0.1]),
            (nats(0.5, 0.5), [0.7, 0.3]),
        ] {
            for (found, likelihood) in found.iter().zip(likelihoods) {
                assert!(
                    (found + f64::ln(likelihood)).abs() < 1e-6,
                    "{found} {likelihood}"
                );
            }
        }
    }

    #[test]
    fn frames_without_label_cost_nothing() {
        let logits = Tensor::zeros([1, 4, 3], (Kind::Float, tch::Device::Cpu));
        let targets = Tensor::from_slice(&[0i64, NO_LABEL, 3]).reshape([1, 3]);
        let nats = Calibration::NONE.nats(&logits, &targets).reshape([-1]);
        let nats: Vec<f64> = Vec::try_from(nats).unwrap();
        assert!((nats[0] - 4f64.ln()).abs() < 1e-12 && nats[1] == 0.0 && nats[2] == nats[0]);
    }
}
