//! Probes: classifiers trained from scratch on frozen features, which measure the information in a representation. The
//! strongest of several is reported (a linear and an MLP probe on statistics, a convolutional one on sequences), each
//! trained to convergence with its own development split. The accuracy of an adversary in training is no such measurement.

mod calibration;
mod folds;
mod network;
mod task;

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::grouping::Grouping;
use super::interval::{bootstrap, weighted_mean};
use crate::dataset::batch::SpeechBatch;
use crate::dataset::labels::{Labels, NO_LABEL};
use crate::error::{Error, Result, check_within};
use crate::nn::classifier::Answer;
use crate::nn::device::DeviceChoice;
use crate::train::schedule::MAX_STEPS;
use task::{Task, UtteranceResult};

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

    fn labels(self) -> Labels {
        match self {
            Target::Speaker => Labels::None,
            Target::Text => Labels::UtteranceClass,
            Target::Frames => Labels::Alignment,
            Target::Phones => Labels::PhoneSequence,
        }
    }

    fn of(self, batch: &SpeechBatch) -> Tensor {
        match (self, &batch.labels) {
            (Target::Speaker, _) => batch.speakers.shallow_clone(),
            (_, Some(labels)) => labels.shallow_clone(),
            (_, None) => batch.speakers.full_like(NO_LABEL),
        }
    }

    fn answer(self) -> Answer {
        match self {
            Target::Frames | Target::Phones => Answer::Frames,
            Target::Speaker | Target::Text => Answer::Sequence,
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
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        check_within("seeds", self.seeds, 1..=1000)?;
        check_within("epochs", self.epochs, 1..=1_000_000)?;
        check_within("min_steps", self.min_steps, 0..=MAX_STEPS)?;
        check_within("batch", self.batch, 1..=1 << 16)?;
        check_within("crop_frames", self.crop_frames, 0..=1 << 24)?;
        check_within("dev_share", self.dev_share, 0.0..=1.0)
    }
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
    /// Accuracies during training, with [`ProbeOptions::curve`].
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

/// Trains all probes on `data` and reports the strongest family. `progress` is called after each probe.
///
/// # Errors
/// Errors of reading the data; [`Error::Key`] for a test label that the training set lacks; [`Error::Format`] when there is
/// a single class.
pub fn probe(
    representation: &str,
    target: Target,
    data: ProbeData,
    options: &ProbeOptions,
    mut progress: impl FnMut(&ProbeRun),
) -> Result<ProbeResult> {
    options.check()?;
    let task = Task::open(target, data.sets, options)?;
    let mut runs = Vec::new();
    let mut tests: Vec<(Family, Vec<UtteranceResult>)> = Vec::new();
    for &family in &options.families {
        if family == Family::Cnn && task.train.holds_vectors() {
            continue; // A vector has no time axis for convolutions; the MLP is its strongest probe.
        }
        for seed in 0..options.seeds {
            let (run, test) = task.cross_validate(family, seed, options)?;
            progress(&run);
            runs.push(run);
            tests.push((family, test));
        }
    }
    summarise((representation, data.by), &task, runs, &tests)
}

fn summarise(
    (representation, groupings): (&str, &[Grouping]),
    task: &Task,
    runs: Vec<ProbeRun>,
    tests: &[(Family, Vec<UtteranceResult>)],
) -> Result<ProbeResult> {
    let mean = |family: Family, value: fn(&ProbeRun) -> f64| {
        let own = runs.iter().filter(|run| run.family == family);
        weighted_mean(own.map(|run| (value(run), 1.0)))
    };
    let strongest = runs
        .iter()
        .map(|run| run.family)
        .max_by(|&a, &b| mean(a, |r| r.dev).total_cmp(&mean(b, |r| r.dev)))
        .ok_or_else(|| Error::option("probe families", "one that fits the features", "none"))?;
    let of_strongest = || {
        runs.iter()
            .filter(|run| run.family == strongest)
            .map(|run| run.test)
    };
    // The mean over seeds per utterance, so that the interval belongs to the reported accuracy.
    let chosen: Vec<&Vec<UtteranceResult>> = tests
        .iter()
        .filter(|(family, _)| *family == strongest)
        .map(|(_, test)| test)
        .collect();
    let by_utterance: Vec<(f64, f64)> = (0..chosen.first().map_or(0, |test| test.len()))
        .map(|u| {
            let right: f64 = chosen.iter().map(|test| test[u].right).sum();
            (right / chosen.len() as f64, chosen[0][u].counted)
        })
        .collect();
    if by_utterance.iter().all(|(_, labels)| *labels == 0.0) {
        let expected = format!("{representation}: test utterances with labels");
        return Err(Error::option("--target", expected, "none"));
    }
    let spread = task.spread()?;
    Ok(ProbeResult {
        representation: representation.to_string(),
        target: task.target,
        probe: strongest,
        accuracy: mean(strongest, |run| run.test),
        range: (
            of_strongest().fold(f64::INFINITY, f64::min),
            of_strongest().fold(f64::NEG_INFINITY, f64::max),
        ),
        interval: bootstrap(&by_utterance, 0),
        chance: spread.chance,
        bits: (spread.entropy - mean(strongest, |run| run.cross_entropy)).max(0.0),
        entropy: spread.entropy,
        classes: task.classes as usize,
        utterances: task.utterances(),
        groups: groupings
            .iter()
            .flat_map(|by| by_group(by, &by_utterance))
            .collect(),
        runs,
    })
}

/// The groups of a grouping, in the order of their names; a group without labels has no accuracy and is left out.
fn by_group(grouping: &Grouping, by_utterance: &[(f64, f64)]) -> Vec<GroupResult> {
    let mut groups: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for (value, &counts) in grouping.values.iter().zip(by_utterance) {
        groups.entry(value).or_default().push(counts);
    }
    groups
        .into_iter()
        .filter(|(_, counts)| counts.iter().any(|(_, labels)| *labels > 0.0))
        .map(|(value, counts)| GroupResult {
            by: grouping.name.clone(),
            value: value.to_string(),
            accuracy: weighted_mean(counts.iter().copied()),
            interval: bootstrap(&counts, 0),
            utterances: counts.len(),
        })
        .collect()
}
