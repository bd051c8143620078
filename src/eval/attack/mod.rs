//! What is left of the speaker, as an attacker finds it.
//!
//! Representations of training and test speakers go in. Attackers compare what is pooled over an utterance's frames, or train
//! networks on the training speakers. Each sees means of several utterances on both sides. On training speakers that are held
//! out the strongest is chosen; it is measured on the test speakers, with the others beside it.

pub mod attacker;
pub mod d_sys;
pub mod encoder;
pub mod lid;
pub mod linkability;
pub mod measures;
pub mod pooled;
mod report;
pub mod rocch;
pub mod singling_out;
pub mod source;
pub mod speakers;
pub mod srd;
mod stage;
mod trained;
pub mod zebra;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check_within};
use encoder::EncoderOptions;
pub use report::{AttackReport, AttackRow, Chance, Worst};
use source::{Source, View};
use stage::Stage;

/// How many utterances are averaged where nothing is said, and are there: and all.
const LENGTHS: [usize; 3] = [1, 3, 10];

/// How attacks are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttackOptions {
    /// Utterances averaged on each side; empty takes those of 1, 3 and 10 that every test speaker has twice. Half of all that
    /// a speaker has is always added.
    pub utterances: Vec<usize>,
    /// Draws of utterances.
    pub draws: usize,
    /// Share of the training speakers on which the strongest attacker is chosen.
    pub dev_share: f64,
    /// Seed of draws, of held-out speakers, of noise and of encoders.
    pub seed: u64,
    /// How encoders are trained.
    pub encoder: EncoderOptions,
}

impl Default for AttackOptions {
    fn default() -> Self {
        Self {
            utterances: Vec::new(),
            draws: 20,
            dev_share: 0.25,
            seed: 0,
            encoder: EncoderOptions::default(),
        }
    }
}

impl AttackOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the option.
    pub fn check(&self) -> Result<()> {
        check_within("--draws", self.draws, 1..=10_000)?;
        check_within("--dev-share", self.dev_share, 0.0..=1.0)?;
        self.encoder.check()?;
        self.utterances
            .iter()
            .try_for_each(|&count| check_within("--utterances", count, 1..=1 << 20))
    }
}

/// What is attacked.
#[derive(Debug, Clone)]
pub struct Representation {
    /// Its name in tables.
    pub name: String,
    /// Of the training speakers.
    pub train: Source,
    /// Of the test speakers.
    pub test: Source,
}

/// Where everything lies.
#[derive(Debug, Clone, Default)]
pub struct AttackData {
    /// `utt2spk` of the training speakers, or their data directory.
    pub train: PathBuf,
    /// The same of the test speakers.
    pub test: PathBuf,
    /// The first is under attack; the others, and what is made of it, stand beside it.
    pub representations: Vec<Representation>,
    /// The one of raw features, if any: an encoder trained on it attacks the others of as many values per frame.
    pub raw: Option<String>,
    /// Trials of the test utterances, measured beside the draws.
    pub trials: Option<PathBuf>,
}

/// Attacks every representation. `progress` gets the name of each that is done.
///
/// # Errors
/// [`Error::Format`] for fewer than 2 test or 4 training speakers, or constant features; [`Error::Key`] for a test speaker of one
/// utterance, one who is also in training, utterances that one side lacks, and numbers that are not finite; [`Error::Option`] for
/// more utterances than there are; as [`crate::eval::trials::TrialReader`] for trials.
pub fn attack(
    data: &AttackData,
    options: &AttackOptions,
    mut progress: impl FnMut(&str),
) -> Result<AttackReport> {
    options.check()?;
    data.check()?;
    let stage = Stage::open(data, options)?;
    // What cannot be read should not cost a training first.
    let given = data
        .representations
        .iter()
        .map(|one| stage.pool(one))
        .collect::<Result<Vec<_>>>()?;
    let raw = stage.raw(data, &given, options)?;
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for (representation, pools) in data.representations.iter().zip(&given) {
        let mut attacks = stage.pooled_attacks(representation, pools, &mut notes)?;
        if options.encoder.steps > 0 {
            let how = (raw.as_ref(), &options.encoder);
            attacks.extend(stage.encoder_attacks(representation, pools, how, &mut notes)?);
        }
        rows.extend(stage.rows(&representation.name, &attacks)?);
        progress(&representation.name);
    }
    let has_durations = given.first().is_some_and(|(train, _)| train.has_durations);
    for control in data.controls(options.seed, has_durations, &mut notes) {
        match stage.pool(&control) {
            Ok(pools) => {
                let attacks = stage.pooled_attacks(&control, &pools, &mut notes)?;
                rows.extend(stage.rows(&control.name, &attacks)?);
            }
            // Nobody asked for words or phones, which may lack an utterance.
            Err(error) => notes.push(format!("{}: left out: {error}", control.name)),
        }
        progress(&control.name);
    }
    Ok(AttackReport {
        options: options.clone(),
        chance: Chance::of(stage.test.names().len()),
        train_speakers: stage.fit.len(),
        dev_speakers: stage.dev.len(),
        test_speakers: stage.test.names().len(),
        utterances: (stage.train.len(), stage.test.len()),
        notes,
        rows,
    })
}

impl AttackData {
    /// Every name once, and that of the raw features among them.
    fn check(&self) -> Result<()> {
        if let Some(raw) = &self.raw
            && !self.representations.iter().any(|one| one.name == *raw)
        {
            return Err(Error::option(
                "--raw",
                "the name of a representation",
                raw.clone(),
            ));
        }
        let mut names: Vec<&str> = self
            .representations
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(()),
            Some(pair) => {
                let expected = "a name per representation";
                Err(Error::option(
                    "--representation",
                    expected,
                    format!("{} twice", pair[0]),
                ))
            }
        }
    }

    /// Noise in the first representation's place, what its durations say, and words and phones where both folders have them.
    fn controls(
        &self,
        seed: u64,
        has_durations: bool,
        notes: &mut Vec<String>,
    ) -> Vec<Representation> {
        let mut controls = Vec::new();
        if let Some(first) = self.representations.first() {
            controls.push(first.seen("random codes", View::Random { seed }));
            if has_durations {
                let without = format!("{} without durations", first.name);
                controls.push(first.seen(&without, View::WithoutDurations));
                controls.push(first.seen("durations alone", View::Durations));
            }
        }
        let open = |path: &Path| match path.ends_with("text") {
            true => Ok(Source::words(path)),
            // Each phone once, however long.
            false => Source::open(&path.display().to_string())
                .map(|source| source.seen(View::WithoutDurations)),
        };
        for (file, name) in [("text", "words alone"), ("ali.scp", "phones alone")] {
            let (train, test) = (self.train.join(file), self.test.join(file));
            if !(train.is_file() && test.is_file()) {
                continue;
            }
            match open(&train).and_then(|train| Ok((train, open(&test)?))) {
                Ok((train, test)) => controls.push(Representation {
                    name: name.into(),
                    train,
                    test,
                }),
                Err(error) => notes.push(format!("{name}: left out: {error}")),
            }
        }
        controls
    }
}

impl Representation {
    fn seen(&self, name: &str, view: View) -> Self {
        Self {
            name: name.into(),
            train: self.train.seen(view),
            test: self.test.seen(view),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::eval::trials::{Detection, ScoredTrials};

    /// Trials of both kinds, sorted.
    pub(super) fn detection(targets: &[f64], others: &[f64]) -> Detection {
        let mut scored = ScoredTrials::default();
        scored.extend(targets.iter().map(|&score| (score, true)));
        scored.extend(others.iter().map(|&score| (score, false)));
        scored.detection(Path::new("t")).unwrap()
    }
}
