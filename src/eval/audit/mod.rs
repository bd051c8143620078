//! Any representation through every measure: probes, attacks, ABX, factors and units, beside log-mel where there is audio.
//!
//! Features, `utt2spk` and whatever else there is go in. Rows of one table come out, and what could not be measured, with what
//! is missing for it.

mod inputs;
mod measures;
mod rows;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::abx::AbxOptions;
use super::attack::{AttackOptions, AttackReport};
use super::factors::Disentanglement;
use super::probe::{ProbeOptions, ProbeResult};
use super::units::KmeansOptions;
use crate::error::{Error, Result, check_within};
use inputs::Inputs;
pub use rows::{AuditRow, Missing, Subject};

/// The name of the baseline.
pub const LOG_MEL: &str = "log-mel";

/// What is measured, and what is known of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuditData {
    /// Name of the representation.
    pub name: String,
    /// A list or a read specifier with lookups.
    pub features: String,
    /// The speaker of each utterance.
    pub utt2spk: PathBuf,
    /// The words of each utterance.
    pub text: Option<PathBuf>,
    /// Times of phones.
    pub alignments: Option<PathBuf>,
    /// Tier of TextGrids that has the phones.
    pub tier: String,
    /// Recordings, for log-mel.
    pub wav_scp: Option<PathBuf>,
    /// Segments of the recordings.
    pub segments: Option<PathBuf>,
    /// Units of another program, one per frame; a list or a read specifier with lookups.
    pub units: Option<String>,
    /// From one frame to the next.
    pub frame_shift_ms: f64,
    /// Centre of the first frame; half a shift without it.
    pub first_frame_ms: Option<f64>,
}

/// How it is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditOptions {
    /// Of probes.
    pub probe: ProbeOptions,
    /// Folds of their cross-validation.
    pub folds: usize,
    /// Of attacks.
    pub attack: AttackOptions,
    /// Of ABX.
    pub abx: AbxOptions,
    /// Clusters of k-means units; 0 for none.
    pub clusters: usize,
    /// Of the choice of the attack's training speakers, and of all other choices.
    pub seed: u64,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            probe: ProbeOptions {
                seeds: 1,
                min_steps: 300,
                ..ProbeOptions::default()
            },
            folds: 5,
            attack: AttackOptions::default(),
            abx: AbxOptions {
                max_items: 10,
                max_speakers: 5,
                ..AbxOptions::default()
            },
            clusters: KmeansOptions::default().clusters,
            seed: 0,
        }
    }
}

impl AuditOptions {
    fn check(&self) -> Result<()> {
        self.probe.check()?;
        self.attack.check()?;
        check_within("--folds", self.folds, 2..=1000)?;
        check_within("--clusters", self.clusters, 0..=1 << 16)
    }
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditReport {
    /// What was measured.
    pub data: AuditData,
    /// How.
    pub options: AuditOptions,
    /// Speakers.
    pub speakers: usize,
    /// Utterances.
    pub utterances: usize,
    /// Frames of all utterances.
    pub frames: usize,
    /// Values per frame.
    pub dims: usize,
    /// The table.
    pub rows: Vec<AuditRow>,
    /// What could not be measured.
    pub missing: Vec<Missing>,
    /// What was left out of measurements that were made.
    pub notes: Vec<String>,
    /// Every probe.
    pub probes: Vec<ProbeResult>,
    /// Every attack; none for too few speakers.
    pub attack: Option<AttackReport>,
    /// Factors by representation.
    pub factors: Vec<(String, Disentanglement)>,
}

impl AuditReport {
    fn new(data: &AuditData, options: &AuditOptions, inputs: &Inputs) -> Self {
        Self {
            data: data.clone(),
            options: options.clone(),
            speakers: inputs.speakers.names().len(),
            utterances: inputs.speakers.len(),
            frames: inputs.frames.iter().sum(),
            dims: inputs.dims,
            rows: Vec::new(),
            missing: Vec::new(),
            notes: inputs.notes.clone(),
            probes: Vec::new(),
            attack: None,
            factors: Vec::new(),
        }
    }

    fn lacks(&mut self, what: &str, why: impl Into<String>) {
        let missing = Missing {
            what: what.into(),
            why: why.into(),
        };
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }

    /// By subject; the representations of a measure stand together.
    fn sort(&mut self) {
        let mut measures: Vec<String> = Vec::new();
        for row in &self.rows {
            if !measures.contains(&row.measure) {
                measures.push(row.measure.clone());
            }
        }
        self.rows.sort_by_key(|row| {
            let place = measures.iter().position(|measure| *measure == row.measure);
            (row.subject, place)
        });
    }

    /// Keeps a result, or names what it failed for where the data alone is to blame.
    fn keep<T>(&mut self, what: &str, found: Result<T>) -> Result<Option<T>> {
        match found {
            Ok(value) => Ok(Some(value)),
            Err(Error::Option {
                expected, found, ..
            })
            | Err(Error::Format {
                expected, found, ..
            }) => {
                self.lacks(what, format!("expected {expected}, found {found}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Measures everything. `progress` gets the name of each stage before it begins. Runs on the threads of rayon's current pool.
///
/// # Errors
/// [`Error::Option`] for options out of range and for a frame shift that alignments contradict by more than 5 %;
/// [`Error::Format`] for fewer than 2 speakers or constant features; [`Error::Key`] for a speaker of one utterance, an utterance
/// without features or text, features that are not finite, phones after an utterance's end; whatever reading the files says.
pub fn audit(
    data: &AuditData,
    options: &AuditOptions,
    mut progress: impl FnMut(&str),
) -> Result<AuditReport> {
    options.check()?;
    progress("reading features");
    let mut inputs = Inputs::open(data, options.seed)?;
    let mut report = AuditReport::new(data, options, &inputs);
    let measured = measure(&mut inputs, &mut report, &mut progress);
    measured.map_err(|error| inputs.without_folder(error))?;
    report.sort();
    Ok(report)
}

fn measure(
    inputs: &mut Inputs,
    report: &mut AuditReport,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    match report.data.wav_scp.clone() {
        Some(wav_scp) => {
            progress("log-mel");
            inputs.add_log_mel(&wav_scp, report.data.segments.as_deref())?;
        }
        None => report.lacks(LOG_MEL, "no --wav-scp"),
    }
    // Attacks leave libtorch with one thread.
    for stage in [
        measures::probes,
        measures::abx,
        measures::factors,
        measures::units,
        measures::attacks,
    ] {
        stage(inputs, report, progress)?;
    }
    Ok(())
}
