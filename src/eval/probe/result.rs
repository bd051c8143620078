//! What probes found, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a probe reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The speaker, from `utt2spk`.
    Speaker,
    /// The utterance's line in `text`: a word, for single words.
    Text,
    /// The class of every frame, from `ali.scp`: phones.
    Frames,
    /// The phone sequence of the utterance, from `utt2phones`, by CTC. Accuracy is 1 minus the phone error rate, which is 0
    /// for a probe that outputs nothing.
    Phones,
}

impl Target {
    /// Its name in tables, files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Speaker => "speaker",
            Self::Text => "text",
            Self::Frames => "frames",
            Self::Phones => "phones",
        }
    }
}

/// The networks that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Logistic regression on mean and deviation over time (on the frame itself, for frame classes).
    Linear,
    /// Two hidden layers on the same input.
    Mlp,
    /// Convolutions over the sequence.
    Cnn,
}

/// Accuracies of a probe during training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Training steps.
    pub step: u64,
    /// Accuracy on its development split.
    pub dev: f64,
    /// Accuracy on the test set.
    pub test: f64,
}

/// One trained probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeRun {
    /// Its network.
    pub family: Family,
    /// Its seed.
    pub seed: u64,
    /// Accuracy on its development split at its best epoch.
    pub dev: f64,
    /// Accuracy on the test set at that epoch.
    pub test: f64,
    /// The best epoch, and the number of epochs: if the best is the last, longer training may help.
    pub best_epoch: (u64, u64),
    /// Cross-entropy of its test labels in bits per label, calibrated on its development split.
    #[serde(default)]
    pub cross_entropy: f64,
    /// Temperature of that calibration: above 1 for an overconfident probe.
    #[serde(default)]
    pub temperature: f64,
    /// Accuracies during training, where they are asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<CurvePoint>,
}

/// The result of probing a representation for a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// Name of the representation.
    #[serde(alias = "strand")]
    pub representation: String,
    /// The target.
    pub target: Target,
    /// Family of the strongest probe on its development split.
    pub probe: Family,
    /// Mean test accuracy of its seeds.
    pub accuracy: f64,
    /// Lowest and highest test accuracy of its seeds.
    pub range: (f64, f64),
    /// 95 % bootstrap interval over test utterances.
    pub interval: (f64, f64),
    /// Accuracy of always answering the most frequent class of the test set; 0 for phone sequences.
    pub chance: f64,
    /// Information in bits per label: the entropy of the labels minus the probe's cross-entropy, mean over seeds, at least
    /// 0. A lower bound on the mutual information of representation and target (Barber and Agakov 2003).
    #[serde(default)]
    pub bits: f64,
    /// Entropy of the test labels in bits, the upper bound of `bits`. 0 for phone sequences, which are not classes.
    #[serde(default)]
    pub entropy: f64,
    /// Number of classes.
    pub classes: usize,
    /// Training and test utterances.
    pub utterances: (usize, usize),
    /// Accuracy per group of test utterances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupResult>,
    /// Every probe.
    pub runs: Vec<ProbeRun>,
}

/// Accuracy of the strongest probe on one group of the test utterances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupResult {
    /// Name of the grouping.
    pub by: String,
    /// Name of the group.
    pub value: String,
    /// Mean accuracy of the seeds.
    pub accuracy: f64,
    /// 95 % bootstrap interval over the group's utterances.
    pub interval: (f64, f64),
    /// Test utterances in the group.
    pub utterances: usize,
}
