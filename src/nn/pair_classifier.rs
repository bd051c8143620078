//! The pairwise classifier: are two code sequences of the same speaker?

use tch::Tensor;
use tch::nn::Path;

use super::classifier::{Answer, Classifier, ClassifierOptions};
use super::layer::Linear;
use super::mask::Mask;

/// The same network summarises each sequence. Products and absolute differences of two summaries (`a * b`, `|a - b|`)
/// go through a hidden layer to the output, which does not depend on their order.
#[derive(Debug)]
pub struct PairClassifier {
    summary: Classifier,
    hidden: Linear,
    output: Linear,
}

impl PairClassifier {
    /// For codes of `code_dim`, with `answers` outputs per pair.
    pub fn new(path: Path, code_dim: i64, answers: i64, options: &ClassifierOptions) -> Self {
        let (channels, spectral) = (options.channels, options.spectral_norm);
        let summary = &path / "summary";
        Self {
            summary: Classifier::new(summary, code_dim, channels, Answer::Sequence, options),
            hidden: Linear::new(&path / "hidden", 2 * channels, channels).spectral(spectral),
            output: Linear::new(&path / "output", channels, answers).spectral(spectral),
        }
    }

    /// Codes `[batch, code_dim, codes]` to summaries `[batch, channels]`.
    pub fn summaries(&self, codes: &Tensor, mask: &Mask, train: bool) -> Tensor {
        self.summary.forward(codes, mask, train)
    }

    /// Two lists of summaries `[pairs, channels]` to `[pairs, answers]`.
    pub fn compare(&self, left: &Tensor, right: &Tensor) -> Tensor {
        let pair = Tensor::cat(&[left * right, (left - right).abs()], 1);
        self.output.forward(&self.hidden.forward(&pair).relu())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, nn::VarStore};

    #[test]
    fn the_order_of_a_pair_does_not_matter() {
        let store = VarStore::new(Device::Cpu);
        let classifier = PairClassifier::new(store.root(), 8, 2, &Default::default());
        let codes = Tensor::randn([4, 8, 5], (Kind::Float, Device::Cpu));
        let summaries = classifier.summaries(&codes, &Mask::new(&[5, 3, 1, 5], Device::Cpu), true);
        let flipped = summaries.flip([0]);
        let there = classifier.compare(&summaries, &flipped);
        assert_eq!(there.size(), [4, 2]);
        assert_eq!(there, classifier.compare(&flipped, &summaries));
    }
}
