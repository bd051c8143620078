//! Speakers, draws of their utterances, and attacks on one representation after the other.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis};

use super::attacker::{Discriminant, Prepared};
use super::measures::{Detected, DrawScores, Scores};
use super::pooled::{Pooled, Statistic};
use super::report::{AttackRow, Worst};
use super::speakers::{Draw, SpeakerSet, draws};
use super::{AttackData, AttackOptions, LENGTHS, Representation, lid};
use crate::error::{Error, Result};
use crate::eval::backend::{Calibration, ScoringKind};
use crate::eval::trials::{Detection, ScoredTrials, TrialReader};

/// How many utterances are averaged, and by which draws.
struct Length {
    name: String,
    /// On each side, on average over the test speakers.
    utterances: f64,
    dev: Vec<Draw>,
    test: Vec<Draw>,
}

/// A list of trials, as places of utterances.
pub(super) struct Trials {
    path: PathBuf,
    /// Enrolment, test, and whether they are of one speaker.
    pairs: Vec<(u32, u32, bool)>,
}

impl Trials {
    fn read(path: &Path, set: &SpeakerSet) -> Result<Self> {
        let mut reader = TrialReader::open(path)?;
        let mut pairs = Vec::new();
        while let Some(block) = reader.next_block()? {
            for index in 0..block.len() {
                let trial = block.trial(index)?;
                let place = |key: &str| {
                    let expected = format!("utterances of {}", set.path().display());
                    let found = || block.fault(index, expected, format!("'{key}'"));
                    set.position(key)
                        .map(|place| place as u32)
                        .ok_or_else(found)
                };
                let target = trial.target.ok_or_else(|| {
                    block.fault(index, "whether it is a target, or 1 or 0", "neither")
                })?;
                pairs.push((place(trial.enrolment)?, place(trial.test)?, target));
            }
        }
        let targets = pairs.iter().filter(|(_, _, target)| *target).count();
        if targets == 0 || targets == pairs.len() {
            let expected = "both target and nontarget trials";
            let found = format!(
                "{targets} target and {} nontarget trials",
                pairs.len() - targets
            );
            return Err(Error::format(path, expected, found));
        }
        let path = path.to_path_buf();
        Ok(Self { path, pairs })
    }

    fn scored_by(&self, attack: &Prepared) -> Result<Detection> {
        let mut scored = ScoredTrials::default();
        let score =
            |&(e, t, target): &(u32, u32, bool)| (attack.trial(e as usize, t as usize), target);
        scored.extend(self.pairs.iter().map(score));
        scored.detection(&self.path)
    }
}

/// Speakers and draws, the same for every attack.
pub(super) struct Stage {
    pub(super) train: SpeakerSet,
    pub(super) test: SpeakerSet,
    /// Training speakers to learn from, and to choose by.
    pub(super) fit: Vec<usize>,
    pub(super) dev: Vec<usize>,
    lengths: Vec<Length>,
    trials: Option<Trials>,
    pub(super) seed: u64,
}

/// An attacker with the utterances of both sets, as it compares them.
pub(super) struct Attack {
    pub(super) name: String,
    pub(super) dev: Prepared,
    pub(super) test: Prepared,
}

/// An attack on the development speakers.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) strength: Strength,
    /// By length.
    identification: Vec<f64>,
    /// By length.
    calibrations: Vec<Calibration>,
}

/// Means over lengths.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Strength {
    identification: f64,
    eer: f64,
}

impl Strength {
    /// The greater the stronger: identification, and where that is the same the equal error rate.
    pub(super) fn score(self) -> f64 {
        self.identification - 1e-6 * self.eer
    }
}

impl Stage {
    pub(super) fn open(data: &AttackData, options: &AttackOptions) -> Result<Self> {
        let (train, test) = (
            SpeakerSet::read(&data.train)?,
            SpeakerSet::read(&data.test)?,
        );
        test.refuse_shared(&train)?;
        let (dev, fit) = train.hold_out(options.dev_share, options.seed)?;
        let of_dev = side_by_side(dev.iter().map(|&speaker| train.utterances()[speaker].len()));
        let mut stage = Self {
            lengths: Vec::new(),
            trials: data
                .trials
                .as_deref()
                .map(|path| Trials::read(path, &test))
                .transpose()?,
            seed: options.seed,
            train,
            test,
            fit,
            dev,
        };
        for length in lengths(&stage.test, &options.utterances)? {
            // Development speakers give what they have.
            let most = of_dev.iter().map(|own| own.len() / 2).min().unwrap_or(1);
            let seed = options.seed.wrapping_add(1000 * length.unwrap_or(0) as u64);
            let own = stage.test.utterances();
            let half: usize = own.iter().map(|own| own.len() / 2).sum();
            stage.lengths.push(Length {
                name: length.map_or("all".into(), |length| length.to_string()),
                utterances: length.map_or(half as f64 / own.len() as f64, |length| length as f64),
                dev: draws(
                    &of_dev,
                    length.map(|length| length.min(most)),
                    options.draws,
                    seed,
                ),
                test: draws(own, length, options.draws, seed),
            });
        }
        Ok(stage)
    }

    pub(super) fn pool(&self, representation: &Representation) -> Result<(Pooled, Pooled)> {
        let train = Pooled::read(&representation.train, &self.train)?;
        let test = Pooled::read(&representation.test, &self.test)?;
        if train.dims != test.dims || train.statistics.len() != test.statistics.len() {
            let expected = format!(
                "{} values per frame, as {}",
                train.dims,
                representation.train.path().display()
            );
            let found = test.dims.to_string();
            return Err(Error::format(representation.test.path(), expected, found));
        }
        Ok((train, test))
    }

    /// The rows of a representation: by number of utterances and attacker. One attacker, the strongest on the development
    /// speakers over all numbers of utterances, is the headline.
    pub(super) fn rows(&self, representation: &str, attacks: &[Attack]) -> Result<Vec<AttackRow>> {
        let tried = attacks
            .iter()
            .map(|attack| self.try_on_dev(&attack.dev))
            .collect::<Result<Vec<Tried>>>()?;
        let score = |attacker: &usize| tried[*attacker].strength.score();
        let weaker = |a: &usize, b: &usize| score(a).total_cmp(&score(b));
        let strongest = (0..attacks.len()).max_by(weaker);
        let named = |attacker: usize, row: AttackRow| AttackRow {
            representation: representation.into(),
            attacker: attacks[attacker].name.clone(),
            headline: strongest == Some(attacker),
            ..row
        };
        let mut rows = Vec::new();
        for (place, length) in self.lengths.iter().enumerate() {
            for (attacker, tried) in tried.iter().enumerate() {
                let (test, headline) = (&attacks[attacker].test, strongest == Some(attacker));
                let row = AttackRow {
                    dev_identification: Some(tried.identification[place]),
                    ..self.measure(test, tried.calibrations[place], length, headline)?
                };
                rows.push(named(attacker, row));
            }
        }
        if let Some(trials) = &self.trials {
            for (attacker, attack) in attacks.iter().enumerate() {
                let detected = Detected::of(&trials.scored_by(&attack.test)?);
                rows.push(named(attacker, AttackRow::of_trials(detected)));
            }
        }
        Ok(rows)
    }

    /// Attackers that compare pooled statistics. `notes` collects what cannot be learned, and why.
    pub(super) fn pooled_attacks(
        &self,
        representation: &Representation,
        (train, test): &(Pooled, Pooled),
        notes: &mut Vec<String>,
    ) -> Result<Vec<Attack>> {
        let mut attacks = Vec::new();
        for ((statistic, learn), (_, test)) in train.statistics.iter().zip(&test.statistics) {
            attacks.push(Attack {
                name: format!("cosine of {}", statistic.name()),
                dev: Prepared::cosine(&self.of_dev(learn)),
                test: Prepared::cosine(test),
            });
            // Means are a part of means and deviations.
            if *statistic == Statistic::Mean && train.statistics.len() > 1 {
                continue;
            }
            for (kind, scoring) in [("LDA", ScoringKind::Cosine), ("PLDA", ScoringKind::Plda)] {
                let name = format!("{kind} of {}", statistic.name());
                let trained = match Discriminant::train(learn, &self.train, &self.fit, scoring) {
                    // As where all utterances of a speaker are the same.
                    Err(error @ Error::Format { .. }) => {
                        notes.push(format!("{}: no {name}: {error}", representation.name));
                        continue;
                    }
                    trained => trained?,
                };
                let source = representation.test.path();
                attacks.push(Attack {
                    name,
                    dev: trained.prepare(&self.of_dev(learn), &source)?,
                    test: trained.prepare(test, &source)?,
                });
            }
        }
        Ok(attacks)
    }

    /// The development speakers' utterances, one speaker's after the other's.
    pub(super) fn dev_places(&self) -> Vec<usize> {
        let places = self
            .dev
            .iter()
            .flat_map(|&speaker| &self.train.utterances()[speaker]);
        places.copied().collect()
    }

    fn of_dev(&self, vectors: &Array2<f32>) -> Array2<f32> {
        vectors.select(Axis(0), &self.dev_places())
    }

    /// How strong an attack is on the development speakers.
    pub(super) fn try_on_dev(&self, dev: &Prepared) -> Result<Tried> {
        let mut tried = Tried::default();
        let count = self.lengths.len() as f64;
        let all: Vec<usize> = (0..self.dev.len()).collect();
        for length in &self.lengths {
            let draws: Vec<DrawScores> = length.dev.iter().map(|draw| dev.scores(draw)).collect();
            let calibration = lid::calibrate(draws.iter().map(|draw| &draw.tests))?;
            let found = Scores::new(&draws, calibration);
            let identification = found.identified(&all).identification;
            tried.strength.identification += identification / count;
            tried.strength.eer += found.detected(&all)?.rocch_eer / count;
            tried.identification.push(identification);
            tried.calibrations.push(calibration);
        }
        Ok(tried)
    }

    /// What an attack finds of the test speakers; with the intervals of all measures, which take time, or of one.
    fn measure(
        &self,
        test: &Prepared,
        calibration: Calibration,
        length: &Length,
        all_intervals: bool,
    ) -> Result<AttackRow> {
        let draws: Vec<DrawScores> = length.test.iter().map(|draw| test.scores(draw)).collect();
        let scores = Scores::new(&draws, calibration);
        let names = self.test.names();
        let all: Vec<usize> = (0..names.len()).collect();
        let by_speaker = scores.by_speaker();
        Ok(AttackRow {
            utterances: length.name.clone(),
            mean_utterances: Some(length.utterances),
            identified: Some(scores.identified(&all)),
            intervals: match all_intervals {
                true => scores.intervals(self.seed)?,
                false => scores.identification_interval(self.seed),
            },
            worst: Worst::of(names, &by_speaker),
            by_speaker: names.iter().cloned().zip(by_speaker).collect(),
            linkability_by_candidates: scores.by_candidates(),
            ..AttackRow::of_trials(scores.detected(&all)?)
        })
    }
}

/// Places `0..n` of the first count, then as many of the next.
fn side_by_side(counts: impl Iterator<Item = usize>) -> Vec<Vec<usize>> {
    let places = counts.scan(0, |begin, count| {
        *begin += count;
        Some((*begin - count..*begin).collect())
    });
    places.collect()
}

/// The numbers of utterances to average; none is half of all.
fn lengths(test: &SpeakerSet, asked: &[usize]) -> Result<Vec<Option<usize>>> {
    let (fewest, name) = test.fewest();
    if fewest < 2 {
        let expected = "at least 2 utterances of every test speaker";
        return Err(Error::key(test.path(), name, expected, fewest.to_string()));
    }
    if let Some(many) = asked.iter().find(|&&length| 2 * length > fewest) {
        let expected = format!(
            "at most {}, half of the {fewest} utterances of {name}",
            fewest / 2
        );
        return Err(Error::option("--utterances", expected, many.to_string()));
    }
    let mut lengths = match asked {
        [] => LENGTHS
            .into_iter()
            .filter(|length| 2 * length <= fewest)
            .collect(),
        asked => asked.to_vec(),
    };
    lengths.sort_unstable();
    lengths.dedup();
    let all = lengths.into_iter().map(Some).chain([None]);
    Ok(all.collect())
}
