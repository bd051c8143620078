//! What is probed, and how.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::result::{Family, Target};
use crate::dataset::batch::SpeechBatch;
use crate::dataset::labels::{Labels, NO_LABEL};
use crate::error::{Result, check_within};
use crate::eval::grouping::Grouping;
use crate::nn::classifier::Answer;
use crate::nn::device::DeviceChoice;
use crate::train::schedule::MAX_STEPS;

/// Options of the training of probes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeOptions {
    /// Families; the strongest on its development split is reported.
    pub families: Vec<Family>,
    /// Seeds per family.
    pub seeds: u64,
    /// Epochs.
    pub epochs: u64,
    /// The fewest steps, for small sets.
    pub min_steps: u64,
    /// Utterances per step.
    pub batch: usize,
    /// Longest window in training, in frames.
    pub crop_frames: usize,
    /// Share of the training utterances in the development split, which chooses the best epoch.
    pub dev_share: f64,
    /// Whether probes are trained on features with masks and noise. For probes that are tested on decoded features, which are
    /// smoother than the real ones of training.
    pub robust: bool,
    /// Whether to record accuracies during training, at the cost of evaluating the test set each time.
    pub curve: bool,
    /// The device of training.
    pub device: DeviceChoice,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self {
            families: vec![Family::Linear, Family::Mlp, Family::Cnn],
            seeds: 3,
            epochs: 20,
            min_steps: 1000,
            batch: 64,
            crop_frames: 100,
            dev_share: 0.1,
            robust: false,
            curve: false,
            device: DeviceChoice::default(),
        }
    }
}

impl ProbeOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        check_within("seeds", self.seeds, 1..=1000)?;
        check_within("epochs", self.epochs, 1..=1_000_000)?;
        check_within("min_steps", self.min_steps, 0..=MAX_STEPS)?;
        check_within("batch", self.batch, 1..=1 << 16)?;
        check_within("crop_frames", self.crop_frames, 0..=1 << 24)?;
        check_within("dev_share", self.dev_share, 0.0..=1.0)
    }
}

/// What probes learn from and what they are tested on; a set is a data directory and its feature list.
#[derive(Debug, Clone, Copy)]
pub enum ProbeSets<'a> {
    /// One set to learn from, another to test on.
    Apart {
        /// To learn from.
        train: (&'a Path, &'a Path),
        /// To test on.
        test: (&'a Path, &'a Path),
    },
    /// Cross-validation: every utterance is tested by probes that learned from the other folds. Each speaker's utterances
    /// are spread over the folds.
    Folds {
        /// The set.
        of: (&'a Path, &'a Path),
        /// Number of folds, at least 2.
        folds: usize,
    },
}

/// Where the frozen features and their labels lie.
#[derive(Debug, Clone, Copy)]
pub struct ProbeData<'a> {
    /// The sets.
    pub sets: ProbeSets<'a>,
    /// Groupings of the test utterances, in the order of their data directory.
    pub by: &'a [Grouping],
}

impl Target {
    pub(super) fn labels(self) -> Labels {
        match self {
            Target::Speaker => Labels::None,
            Target::Text => Labels::UtteranceClass,
            Target::Frames => Labels::Alignment,
            Target::Phones => Labels::PhoneSequence,
        }
    }

    pub(super) fn of(self, batch: &SpeechBatch) -> Tensor {
        match (self, &batch.labels) {
            (Target::Speaker, _) => batch.speakers.shallow_clone(),
            (_, Some(labels)) => labels.shallow_clone(),
            (_, None) => batch.speakers.full_like(NO_LABEL),
        }
    }

    pub(super) fn answer(self) -> Answer {
        match self {
            Target::Frames | Target::Phones => Answer::Frames,
            Target::Speaker | Target::Text => Answer::Sequence,
        }
    }
}
