//! Help from labels: a head that reads words, phones by frame or strings from codes, and learns with their
//! encoder.

use tch::{Device, Tensor};

use crate::dataset::batch::SpeechBatch;
use crate::dataset::labels::Labels;
use crate::nn::classifier::Answer;
use crate::nn::{Classifier, ClassifierOptions, Mask};
use crate::objective::classification::{accuracy, cross_entropy};
use crate::objective::ctc::ctc;
use crate::train::{OptimiserOptions, Player, Scalars};

/// The head with its player.
#[derive(Debug)]
pub struct LabelHelp {
    kind: Labels,
    player: Player,
    head: Classifier,
    /// Frames per code.
    subsampling: i64,
}

/// What the head stands on.
#[derive(Debug, Clone, Copy)]
pub struct LabelShape {
    /// The kind of labels.
    pub kind: Labels,
    /// How many there are.
    pub labels: i64,
    /// Values per code.
    pub code_dim: i64,
    /// Frames per code.
    pub subsampling: i64,
}

impl LabelHelp {
    /// A fresh head.
    pub fn new(
        shape: LabelShape,
        options: &ClassifierOptions,
        optimiser: &OptimiserOptions,
        device: Device,
    ) -> Self {
        // A string has a blank beside its labels.
        let (answer, classes) = match shape.kind {
            Labels::None | Labels::Text => (Answer::Sequence, shape.labels),
            Labels::Frames => (Answer::Frames, shape.labels),
            Labels::Phones | Labels::Words | Labels::Characters => {
                (Answer::Frames, shape.labels + 1)
            }
        };
        let (player, head) = Player::new("label_head", device, optimiser, |path| {
            Classifier::new(path, shape.code_dim, classes, answer, options)
        });
        Self {
            kind: shape.kind,
            player,
            head,
            subsampling: shape.subsampling,
        }
    }

    /// The head's player.
    pub fn player(&mut self) -> &mut Player {
        &mut self.player
    }

    /// What head and encoder minimise, a scalar; none where the batch has no labels.
    pub fn loss(
        &self,
        codes: &Tensor,
        mask: &Mask,
        batch: &SpeechBatch,
        train: bool,
        scalars: &mut Scalars,
    ) -> Option<Tensor> {
        let labels = batch.labels.as_ref()?;
        let logits = self.head.forward(codes, mask, train);
        if self.kind.are_strings() {
            let loss = ctc(&logits, mask, labels);
            scalars.add("label_head/ctc", &loss);
            return Some(loss);
        }
        let labels = match self.kind {
            // The label of the first frame of each code.
            Labels::Frames => labels.slice(1, 0, None, self.subsampling),
            _ => labels.shallow_clone(),
        };
        let loss = cross_entropy(&logits, &labels, 0.0);
        scalars.add("label_head/cross_entropy", &loss);
        scalars.add("label_head/accuracy", &accuracy(&logits, &labels));
        Some(loss)
    }
}
