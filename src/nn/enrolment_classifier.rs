//! The classifier that is enrolled: of which speaker are these utterances, given others of each?

use tch::nn::{Init, Path};
use tch::{Kind, Tensor};

use super::classifier::{Answer, Classifier, ClassifierOptions};
use super::mask::Mask;

/// The same network summarises each sequence. Summaries are centred over the batch and averaged over the sequences of a
/// set, as an attacker does who has several utterances. The logits of two sets are their cosine times a trained scale.
#[derive(Debug)]
pub struct EnrolmentClassifier {
    summary: Classifier,
    log_scale: Tensor,
}

impl EnrolmentClassifier {
    /// For codes of `code_dim`.
    pub fn new(path: Path, code_dim: i64, options: &ClassifierOptions) -> Self {
        let channels = options.channels;
        Self {
            summary: Classifier::new(
                &path / "summary",
                code_dim,
                channels,
                Answer::Sequence,
                options,
            ),
            log_scale: path.var("log_scale", &[1], Init::Const(10f64.ln())),
        }
    }

    /// Codes `[batch, code_dim, codes]` to summaries `[batch, channels]`.
    pub fn summaries(&self, codes: &Tensor, mask: &Mask, train: bool) -> Tensor {
        self.summary.forward(codes, mask, train)
    }

    /// Summaries `[batch, channels]` to logits `[sets, sets]` of test against enrolment; row `i` of `enrolled` and of
    /// `tested`, both `[sets, batch]`, has the weight of each sequence in set `i`.
    pub fn compare(&self, summaries: &Tensor, enrolled: &Tensor, tested: &Tensor) -> Tensor {
        let centred = summaries - summaries.mean_dim(&[0i64][..], true, Kind::Float);
        let mean = |weights: &Tensor| unit_length(&weights.matmul(&centred));
        mean(tested).matmul(&mean(enrolled).transpose(0, 1)) * self.log_scale.exp()
    }
}

fn unit_length(vectors: &Tensor) -> Tensor {
    let squares = vectors
        .square()
        .sum_dim_intlist(&[1i64][..], true, Kind::Float);
    // Bounded before the root, whose derivative at 0 is infinite.
    vectors / squares.clamp_min(1e-12).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn::VarStore};

    #[test]
    fn a_set_that_is_enrolled_and_tested_alike_is_the_most_similar() {
        tch::manual_seed(1);
        let store = VarStore::new(Device::Cpu);
        let classifier = EnrolmentClassifier::new(store.root(), 8, &Default::default());
        let codes = Tensor::randn([4, 8, 6], (Kind::Float, Device::Cpu));
        let mask = Mask::new(&[6, 3, 4, 5], Device::Cpu);
        let summaries = classifier.summaries(&codes, &mask, true);
        let sets = Tensor::from_slice(&[0.5f32, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]).reshape([2, 4]);
        let logits = classifier.compare(&summaries, &sets, &sets);
        assert_eq!(logits.size(), [2, 2]);
        assert_eq!(
            logits.argmax(1, false),
            Tensor::arange(2, (Kind::Int64, Device::Cpu))
        );
        assert!((logits.diag(0) - 10.0).abs().max().double_value(&[]) < 1e-4);
    }
}
