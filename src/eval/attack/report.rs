//! What attacks found, as it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::AttackOptions;
use super::measures::{Detected, Identified, Intervals};
use super::singling_out::CHANCE;

/// All rows, and what they are to be read against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttackReport {
    /// How it was made.
    pub options: AttackOptions,
    /// What guessing gives.
    pub chance: Chance,
    /// Training speakers to learn from.
    pub train_speakers: usize,
    /// Training speakers on whom the strongest attacker was chosen.
    pub dev_speakers: usize,
    /// Test speakers.
    pub test_speakers: usize,
    /// Training and test utterances.
    pub utterances: (usize, usize),
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// By representation, number of utterances and attacker.
    pub rows: Vec<AttackRow>,
}

/// What guessing gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Chance {
    /// Identification and linkability: one over the test speakers.
    pub identification: f64,
    /// Equal error rate.
    pub rocch_eer: f64,
    /// Singling-out, of large groups.
    pub singling_out: f64,
    /// True positive rate at its false positive rate.
    pub tpr: f64,
}

impl Chance {
    /// Of so many test speakers.
    pub fn of(speakers: usize) -> Self {
        Self {
            identification: 1.0 / speakers as f64,
            rocch_eer: 0.5,
            singling_out: CHANCE,
            tpr: super::measures::FALSE_ALARM,
        }
    }
}

/// The test speaker who is found most often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// The name.
    pub speaker: String,
    /// The identification rate of this speaker.
    pub identification: f64,
}

impl Worst {
    /// The first of the greatest.
    pub(super) fn of(names: &[String], by_speaker: &[f64]) -> Option<Self> {
        let most = by_speaker.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let place = by_speaker.iter().position(|share| *share == most)?;
        Some(Self {
            speaker: names[place].clone(),
            identification: most,
        })
    }
}

/// One attacker on one representation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttackRow {
    /// Name of the representation.
    pub representation: String,
    /// The attacker.
    pub attacker: String,
    /// Utterances averaged on each side, or `all` (half of what a speaker has), or `trials` (those of a list).
    pub utterances: String,
    /// The same as a number, on average; none for trials.
    pub mean_utterances: Option<f64>,
    /// Whether the attacker is the representation's strongest on the development speakers, over all numbers of utterances.
    pub headline: bool,
    /// Identification rate on the development speakers.
    pub dev_identification: Option<f64>,
    /// What ranks measure; none for trials.
    pub identified: Option<Identified>,
    /// What trials measure.
    pub detected: Detected,
    /// Over test speakers, 95 %.
    pub intervals: Intervals,
    /// The test speaker who is found most often.
    pub worst: Option<Worst>,
    /// Identification rate of every test speaker.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_speaker: BTreeMap<String, f64>,
    /// Linkability among 2, 3, ... candidates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linkability_by_candidates: Vec<f64>,
}

impl AttackRow {
    /// A row of a list of trials, without names.
    pub(super) fn of_trials(detected: Detected) -> Self {
        Self {
            representation: String::new(),
            attacker: String::new(),
            utterances: "trials".into(),
            mean_utterances: None,
            headline: false,
            dev_identification: None,
            identified: None,
            detected,
            intervals: Intervals::default(),
            worst: None,
            by_speaker: BTreeMap::new(),
            linkability_by_candidates: Vec::new(),
        }
    }
}
