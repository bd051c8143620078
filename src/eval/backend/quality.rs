//! Calibration with quality measures (Thienpondt et al. 2021, section 4): what a score is worth depends on how long, how clear
//! and how common the voices of its two sides are.

use std::path::Path;

use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use serde::{Deserialize, Serialize};

use super::calibration::{Calibration, refuse_apart};
use super::embeddings::{Embeddings, EnrolmentTable};
use super::{Backend, file, logistic, snorm};
use crate::dataset::Table;
use crate::error::{Error, Result};
use crate::eval::trials::{Detection, ScoredTrials, Trial};
use crate::io::atomic;
use crate::io::lines::read_text;

/// The kind of model in the file of a calibration with quality measures.
const KIND: &str = "calibration with quality measures";

/// Deviation, as a share of the greatest value, up to which a measure is one number and the rounding of f32.
const ROUNDING: f64 = 1e-5;

/// Which quality measures to take of embeddings, in this order.
#[derive(Debug, Clone, Copy, Default)]
pub struct QualityMeasures<'a> {
    /// The natural logarithm of the duration in seconds (`utt2dur`).
    pub durations: Option<&'a Table>,
    /// The Euclidean norm of the embedding.
    pub norm: bool,
    /// The mean cosine to so many nearest embeddings of other speakers: how easily the voice is taken for another. Embeddings
    /// with a key of the side's own do not count.
    pub cohort: Option<(&'a Embeddings, usize)>,
}

impl QualityMeasures<'_> {
    /// Names of the measures.
    pub fn names(&self) -> Vec<&'static str> {
        let all = [
            (self.durations.is_some(), "log duration"),
            (self.norm, "norm"),
            (self.cohort.is_some(), "cohort"),
        ];
        all.into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, name)| name)
            .collect()
    }

    /// The measures of every embedding, or of the models of a table: their durations are sums, their embeddings means.
    ///
    /// # Errors
    /// [`Error::Key`] naming the durations' file for an utterance without a duration above 0; [`Error::Option`] for a cohort
    /// of none but the side's own; as [`Backend::models`].
    pub fn of(
        &self,
        embeddings: &Embeddings,
        table: Option<&EnrolmentTable>,
    ) -> Result<Vec<(String, Array1<f32>)>> {
        let sides: Vec<(&str, Vec<usize>)> = match table {
            Some(table) => table.places(embeddings)?,
            None => (embeddings.keys().iter().enumerate())
                .map(|(place, key)| (key.as_str(), vec![place]))
                .collect(),
        };
        let mut columns = Vec::new();
        if let Some(durations) = self.durations {
            let of_side = |(_, places): &(&str, Vec<usize>)| -> Result<f64> {
                let keys = places.iter().map(|&place| &embeddings.keys()[place]);
                let each = keys.map(|key| duration(durations, key));
                Ok(each.sum::<Result<f64>>()?.ln())
            };
            columns.push(sides.iter().map(of_side).collect::<Result<Vec<_>>>()?);
        }
        if self.norm {
            let of_side = |(_, places): &(&str, Vec<usize>)| {
                let mean = embeddings
                    .vectors()
                    .select(Axis(0), places)
                    .mean_axis(Axis(0));
                mean.map_or(0.0, |mean| f64::from(mean.dot(&mean)).sqrt())
            };
            columns.push(sides.iter().map(of_side).collect());
        }
        if let Some((cohort, top)) = self.cohort {
            let cosine = Backend::cosine(embeddings.dims());
            let models = cosine.models(embeddings, table)?;
            // In the order of the sides.
            let own: Vec<Vec<usize>> = (sides.iter())
                .map(|(_, places)| {
                    let keys = places.iter().map(|&place| &embeddings.keys()[place]);
                    keys.filter_map(|key| cohort.position(key)).collect()
                })
                .collect();
            let means = snorm::means(&models, &cosine.tests(cohort)?, &own, top)?;
            if let Some(at) = means.iter().position(|mean| mean.is_nan()) {
                let expected = format!("embeddings besides those of {}", sides[at].0);
                return Err(Error::option("--cohort", expected, "none"));
            }
            columns.push(means);
        }
        let row = |at: usize| columns.iter().map(|column| column[at] as f32).collect();
        Ok(sides
            .iter()
            .enumerate()
            .map(|(at, (key, _))| (key.to_string(), row(at)))
            .collect())
    }
}

/// Seconds of an utterance.
fn duration(durations: &Table, key: &str) -> Result<f64> {
    let found = durations.get(key);
    match found.and_then(|text| text.trim().parse().ok()) {
        Some(seconds) if seconds > 0.0 && f64::is_finite(seconds) => Ok(seconds),
        _ => {
            let found = found.map_or("none".to_string(), |text| format!("'{text}'"));
            Err(Error::key(
                durations.path(),
                key,
                "a duration in seconds above 0",
                found,
            ))
        }
    }
}

/// Whether measures at a place are a table, whose first line names them: a file whose name ends with `.tsv`, and no specifier of
/// an archive.
pub fn is_table(place: &str) -> bool {
    place.ends_with(".tsv") && !place.contains(':')
}

/// Quality measures of models and utterances, by key.
#[derive(Debug)]
pub struct Quality {
    measures: Embeddings,
    /// Of a table; an archive has none.
    names: Vec<String>,
    /// The measures that count, in order.
    columns: Vec<usize>,
}

impl Quality {
    /// Reads measures: those of [`QualityMeasures`], or others. A table ([`is_table`]) has a key and numbers in
    /// each line, and the names of the measures in its first; an archive has vectors without names.
    ///
    /// # Errors
    /// As [`Embeddings::read`]; [`Error::Line`] for a line of a table with other columns than its first, or what is no number.
    pub fn read(place: &str) -> Result<Self> {
        let (measures, names) = match is_table(place) {
            true => read_table(Path::new(place))?,
            false => (Embeddings::read(place)?, Vec::new()),
        };
        Ok(Self {
            columns: (0..measures.dims()).collect(),
            measures,
            names,
        })
    }

    /// The measures of these names, or as they are where one side has no names.
    ///
    /// # Errors
    /// [`Error::Format`] for a measure that is not there; without names, for another number of them.
    fn ordered(mut self, path: &Path, names: &[String], count: usize) -> Result<Self> {
        let source = self.measures.source();
        if names.is_empty() || self.names.is_empty() {
            if self.len() != count {
                let expected = format!("{count} quality measures, as {} has", path.display());
                return Err(Error::format(source, expected, self.len().to_string()));
            }
            return Ok(self);
        }
        let place = |name: &String| {
            let place = self.names.iter().position(|own| own == name);
            place.ok_or_else(|| {
                let expected = format!("the measure '{name}', as {} has", path.display());
                Error::format(source, expected, self.names.join(", "))
            })
        };
        self.columns = names.iter().map(place).collect::<Result<_>>()?;
        Ok(self)
    }

    /// Number of measures.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Always false: there is at least one.
    pub fn is_empty(&self) -> bool {
        false
    }

    fn of(&self, key: &str) -> Result<ArrayView1<'_, f32>> {
        let place = self
            .measures
            .position(key)
            .ok_or_else(|| Error::key(self.measures.source(), key, "quality measures", "none"))?;
        Ok(self.measures.vectors().index_axis_move(Axis(0), place))
    }

    /// What a ratio is made of, `[1 + 2 measures]`: the score, and of each measure the smaller and the greater of both sides.
    fn row(&self, trial: &Trial, score: f64) -> Result<Array1<f64>> {
        let (enrolment, test) = (self.of(trial.enrolment)?, self.of(trial.test)?);
        let pairs = (self.columns.iter())
            .map(|&column| (f64::from(enrolment[column]), f64::from(test[column])));
        let ordered = pairs.flat_map(|(a, b)| [a.min(b), a.max(b)]);
        Ok(std::iter::once(score).chain(ordered).collect())
    }
}

/// Measures and their names.
fn read_table(path: &Path) -> Result<(Embeddings, Vec<String>)> {
    let text = read_text(path)?;
    let mut lines = (1..).zip(text.lines());
    let header = lines.next().map_or("", |(_, line)| line);
    let names: Vec<String> = header.split('\t').skip(1).map(str::to_string).collect();
    let is_wrong = |(place, name): (usize, &String)| {
        name.is_empty() || names[..place].contains(name) || name.parse::<f32>().is_ok()
    };
    if let Some((_, name)) = names.iter().enumerate().find(|&named| is_wrong(named)) {
        let expected = "a header: 'key' and the names of the measures, each once, between tabs";
        return Err(Error::line(path, 1, expected, format!("'{name}'")));
    }
    let entry = |(number, line): (usize, &str)| -> Result<(String, Array1<f32>)> {
        let wrong = |expected: String, found: &str| {
            Error::line(path, number, expected, format!("'{found}'"))
        };
        let (key, values) = line.split_once('\t').unwrap_or((line, ""));
        let value = |text: &str| text.parse().map_err(|_| wrong("a number".into(), text));
        let values: Vec<f32> = values.split('\t').map(value).collect::<Result<_>>()?;
        match values.len() == names.len() {
            true => Ok((key.to_string(), values.into())),
            false => Err(wrong(
                format!("a key and {} numbers, between tabs", names.len()),
                line,
            )),
        }
    };
    let measures = Embeddings::of_entries(path, lines.map(entry))?;
    Ok((measures, names))
}

/// Writes measures of [`QualityMeasures::of`] as a table that [`Quality::read`] reads.
///
/// # Errors
/// [`Error::Io`].
pub fn write_table(path: &Path, names: &[&str], measures: &[(String, Array1<f32>)]) -> Result<()> {
    let mut text = format!("key\t{}\n", names.join("\t"));
    for (key, values) in measures {
        let values: Vec<String> = values.iter().map(f32::to_string).collect();
        text += &format!("{key}\t{}\n", values.join("\t"));
    }
    atomic::write(path, text)
}

/// Trials with answers, to train a calibration with quality measures by.
#[derive(Debug)]
pub struct QualityTrials<'a> {
    quality: &'a Quality,
    /// `[trials, 1 + 2 measures]`.
    rows: Array2<f64>,
    targets: Vec<bool>,
}

impl<'a> QualityTrials<'a> {
    /// None yet.
    pub fn new(quality: &'a Quality) -> Self {
        Self {
            quality,
            rows: Array2::zeros((0, 1 + 2 * quality.len())),
            targets: Vec::new(),
        }
    }

    /// Adds a trial with its score.
    ///
    /// # Errors
    /// [`Error::Key`] for a side without measures.
    pub fn push(&mut self, trial: &Trial, score: f64, target: bool) -> Result<()> {
        let row = self.quality.row(trial, score)?;
        self.rows
            .push_row(row.view())
            .expect("as long as the others");
        self.targets.push(target);
        Ok(())
    }

    /// The trials with the scores that `score` makes of their rows.
    fn scored(&self, score: impl Fn(ArrayView1<f64>) -> f64, source: &Path) -> Result<Detection> {
        let mut scored = ScoredTrials::default();
        scored.extend(
            self.rows
                .rows()
                .into_iter()
                .map(score)
                .zip(self.targets.iter().copied()),
        );
        scored.detection(source)
    }
}

/// `scale * score + offset` and, of each quality measure, a weight of the smaller and one of the greater of both sides, make a
/// natural log-likelihood ratio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityCalibration {
    /// Weight of the score.
    pub scale: f64,
    /// Log-likelihood ratio where all else is 0.
    pub offset: f64,
    /// Weights of the smaller and the greater value, by measure.
    pub measures: Vec<[f64; 2]>,
    /// Names of the measures; none where they had none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The prior of training.
    pub prior: f64,
}

impl QualityCalibration {
    /// Finds the map with the least cross-entropy under a prior of targets, whatever their share of the trials. Returns the
    /// trials with their ratios too.
    ///
    /// # Errors
    /// As [`Calibration::train`]; [`Error::Format`] naming `source` for a measure that is the same everywhere, and for ratios
    /// of the two kinds that do not overlap.
    pub fn train(trials: &QualityTrials, prior: f64, source: &Path) -> Result<(Self, Detection)> {
        refuse_apart(&trials.scored(|row| row[0], source)?, "scores", source)?;
        let deviations = trials.rows.std_axis(Axis(0), 0.0);
        let sizes = trials
            .rows
            .fold_axis(Axis(0), 0.0, |size: &f64, x| size.max(x.abs()));
        let is_constant =
            (&deviations / &sizes).mapv(|share: f64| share.is_nan() || share <= ROUNDING);
        for (measure, pair) in (1..).zip(is_constant.slice(s![1..]).exact_chunks(2)) {
            if pair.iter().all(|&constant| constant) {
                let found = format!("measure {measure}, the same in all trials");
                let expected = "quality measures that differ between trials";
                return Err(Error::format(
                    trials.quality.measures.source(),
                    expected,
                    found,
                ));
            }
        }
        let fit = logistic::fit(&trials.rows, &trials.targets, prior)?;
        let ratios = trials.scored(|row| fit.weights.dot(&row) + fit.offset, source)?;
        refuse_apart(&ratios, "scores with quality measures", source)?;
        let weights = fit.weights.slice(s![1..]);
        let pairs = weights.exact_chunks(2).into_iter();
        let calibration = Self {
            scale: fit.weights[0],
            offset: fit.offset,
            measures: pairs.map(|pair| [pair[0], pair[1]]).collect(),
            names: trials.quality.names.clone(),
            prior,
        };
        Ok((calibration, ratios))
    }

    fn apply(&self, quality: &Quality, trial: &Trial, score: f64) -> Result<f64> {
        let row = quality.row(trial, score)?;
        let measures = self.measures.iter().flatten();
        let sum: f64 = measures
            .zip(row.slice(s![1..]))
            .map(|(weight, x)| weight * x)
            .sum();
        Ok(self.scale * score + self.offset + sum)
    }

    /// Writes it to a file, atomically.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        file::write(path, KIND, self)
    }

    /// Reads a file of [`QualityCalibration::write`].
    ///
    /// # Errors
    /// As [`Calibration::read`].
    pub fn read(path: &Path) -> Result<Self> {
        let read: Self = file::read(path, KIND)?;
        file::moderate(path, "scale", &[read.scale])?;
        file::moderate(path, "offset", &[read.offset])?;
        file::moderate(path, "measures", read.measures.as_flattened())?;
        if !read.names.is_empty() && read.names.len() != read.measures.len() {
            let expected = format!("{} names of measures", read.measures.len());
            return Err(Error::format(path, expected, read.names.len().to_string()));
        }
        Ok(read)
    }
}

/// How scores of trials become log-likelihood ratios.
#[derive(Debug)]
pub enum TrialCalibration {
    /// By the score alone.
    Score(Calibration),
    /// By score and quality.
    Quality(QualityCalibration, Box<Quality>),
}

impl TrialCalibration {
    /// Reads the calibration of a file, which knows quality measures if some are given.
    ///
    /// # Errors
    /// As [`Calibration::read`] and [`QualityCalibration::read`]; [`Error::Format`] for a measure that is missing, or without
    /// names for another number of measures.
    pub fn read(path: &Path, quality: Option<Quality>) -> Result<Self> {
        let Some(quality) = quality else {
            return match Calibration::read(path) {
                Err(_) if file::is_of_kind(path, KIND) => {
                    let expected = format!("those that {} depends on", path.display());
                    Err(Error::option("--quality", expected, "none"))
                }
                read => read.map(Self::Score),
            };
        };
        let calibration = QualityCalibration::read(path)?;
        let (names, count) = (&calibration.names, calibration.measures.len());
        let quality = quality.ordered(path, names, count)?;
        Ok(Self::Quality(calibration, Box::new(quality)))
    }

    /// The log-likelihood ratio of a trial.
    ///
    /// # Errors
    /// [`Error::Key`] for a side without quality measures.
    pub fn apply(&self, trial: &Trial, score: f64) -> Result<f64> {
        match self {
            Self::Score(calibration) => Ok(calibration.apply(score)),
            Self::Quality(calibration, quality) => calibration.apply(quality, trial, score),
        }
    }
}
