//! Supervision of the codes: a head that predicts classes of utterances or frames, or label sequences, trained together
//! with the encoder.

use tch::{Device, Tensor, no_grad};

use super::adversary::StepContext;
use crate::dataset::labels::{Labels, NO_LABEL};
use crate::nn::classifier::Answer;
use crate::nn::{Classifier, ClassifierOptions};
use crate::objective::classification::{accuracy, cross_entropy};
use crate::objective::ctc::ctc;
use crate::train::{OptimiserOptions, Scalars, Trainable};

/// The head as a trainable module.
#[derive(Debug)]
pub struct Supervision {
    kind: Labels,
    trainable: Trainable,
    head: Classifier,
    /// Frames per code.
    subsampling: i64,
    patience: Option<Patience>,
}

/// Input and output of the head.
#[derive(Debug, Clone, Copy)]
pub struct LabelShape {
    /// The kind of labels.
    pub kind: Labels,
    /// Number of labels.
    pub labels: i64,
    /// Values per code.
    pub code_dim: i64,
    /// Frames per code.
    pub subsampling: i64,
}

impl Supervision {
    /// A new head. With `threshold` above 0 it counts the steps since its loss stayed below that value
    /// ([`Supervision::steps_since_found`]).
    pub fn new(
        shape: LabelShape,
        options: &ClassifierOptions,
        threshold: f64,
        optimiser: &OptimiserOptions,
        device: Device,
    ) -> Self {
        // CTC has a blank in addition to the labels.
        let (answer, classes) = match shape.kind {
            Labels::None | Labels::UtteranceClass => (Answer::Sequence, shape.labels),
            Labels::Alignment => (Answer::Frames, shape.labels),
            Labels::PhoneSequence | Labels::WordSequence | Labels::CharacterSequence => {
                (Answer::Frames, shape.labels + 1)
            }
        };
        let (trainable, (head, patience)) =
            Trainable::new("label_head", device, optimiser, |path| {
                let patience = (threshold > 0.0).then(|| Patience {
                    below: threshold,
                    counts: path.zeros_no_train("patience", &[2]),
                });
                let head = Classifier::new(path, shape.code_dim, classes, answer, options);
                (head, patience)
            });
        Self {
            kind: shape.kind,
            trainable,
            head,
            subsampling: shape.subsampling,
            patience,
        }
    }

    /// Training steps since the loss stayed below the threshold, 0 before; none without a threshold.
    pub fn steps_since_found(&self) -> Option<u64> {
        (self.patience.as_ref()).map(|patience| patience.counts.double_value(&[1]) as u64)
    }

    /// The head's trainable module.
    pub fn trainable(&mut self) -> &mut Trainable {
        &mut self.trainable
    }

    /// The loss of head and encoder, a scalar; none for a batch without labels. Where input is masked, only labels there count.
    pub fn loss(&self, context: &StepContext, scalars: &mut Scalars) -> Option<Tensor> {
        let labels = context.batch.labels.as_ref()?;
        let (mask, train) = (context.code_mask(), context.train);
        let logits = (self.head).forward(context.codes(), mask, self.trainable.trains(train));
        let loss = if self.kind.are_strings() {
            let loss = ctc(&logits, mask, labels);
            scalars.add("label_head/ctc", &loss);
            loss
        } else {
            let masked = context.masked.as_ref();
            let of_codes = |labels: &Tensor| match self.kind {
                // The label of the first frame of each code.
                Labels::Alignment => labels.slice(1, 0, None, self.subsampling),
                _ => labels.shallow_clone(),
            };
            let counted = masked.map(|masked| masked.only(labels));
            let counted = of_codes(counted.as_ref().unwrap_or(labels));
            let loss = cross_entropy(&logits, &counted, 0.0);
            scalars.add("label_head/cross_entropy", &loss);
            scalars.add("label_head/accuracy", &accuracy(&logits, &counted));
            match masked.and_then(|masked| masked.others(labels)) {
                None => loss,
                Some((others, weight)) => {
                    loss + cross_entropy(&logits, &of_codes(&others), 0.0) * weight
                }
            }
        };
        if let (Some(patience), true) = (&self.patience, train) {
            let labelled = labels.ne(NO_LABEL).any().int64_value(&[]) != 0;
            patience.count(labelled.then_some(&loss));
        }
        Some(loss)
    }
}

/// Steps in a row below the threshold until adversaries start.
const IN_A_ROW: f64 = 10.0;

/// Counts steps until the head's loss stays below a threshold, and since then.
#[derive(Debug)]
struct Patience {
    below: f64,
    /// Steps in a row below the threshold, and steps since there were enough of them, `[2]`; saved with the weights.
    counts: Tensor,
}

impl Patience {
    /// Counts a training step by its loss; none if no utterance of the batch had labels.
    fn count(&self, loss: Option<&Tensor>) {
        let (row, since) = (
            self.counts.double_value(&[0]),
            self.counts.double_value(&[1]),
        );
        let (row, since) = match loss.map(|loss| loss.double_value(&[]) < self.below) {
            _ if since > 0.0 => (row, since + 1.0),
            None => (row, since),
            Some(true) => (row + 1.0, f64::from(row + 1.0 >= IN_A_ROW)),
            Some(false) => (0.0, 0.0),
        };
        let counts = Tensor::from_slice(&[row as f32, since as f32]);
        no_grad(|| self.counts.shallow_clone().copy_(&counts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn ten_low_losses_in_a_row_reach_the_threshold() {
        let patience = Patience {
            below: 2.0,
            counts: Tensor::zeros([2], (Kind::Float, Device::Cpu)),
        };
        let count = |loss: f64, times: usize| {
            for _ in 0..times {
                patience.count(Some(&Tensor::from(loss as f32)));
            }
            patience.counts.double_value(&[1])
        };
        assert_eq!(count(1.9, 9), 0.0);
        assert_eq!(count(f64::NAN, 1), 0.0, "the row is broken");
        assert_eq!(count(1.9, 9), 0.0);
        patience.count(None);
        assert_eq!(count(1.9, 1), 1.0, "a batch without labels is ignored");
        assert_eq!(count(5.0, 7), 8.0, "a high loss does not undo the start");
        patience.count(None);
        assert_eq!(count(5.0, 1), 10.0, "steps count with labels and without");
    }
}
