//! The statistics of discriminant analyses: means and scatter per speaker.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Axis, s};
use rayon::prelude::*;

use super::embeddings::Embeddings;
use crate::dataset::Table;
use crate::error::{Error, Result};
use crate::eval::algebra::eigen;

/// Which speaker each embedding is of.
#[derive(Debug)]
pub(super) struct Speakers {
    source: PathBuf,
    /// The speaker of each utterance, numbered from 0 in the order of first occurrence.
    of: Vec<usize>,
    counts: Vec<usize>,
}

impl Speakers {
    /// Looks the speakers up.
    pub(super) fn of(embeddings: &Embeddings, utt2spk: &Table) -> Result<Self> {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut counts = Vec::new();
        let mut of = Vec::with_capacity(embeddings.len());
        for key in embeddings.keys() {
            let speaker = utt2spk.get(key).unwrap_or_default();
            if speaker.is_empty() {
                return Err(Error::key(utt2spk.path(), key, "its speaker", "none"));
            }
            let number = *numbers.entry(speaker).or_insert(counts.len());
            if number == counts.len() {
                counts.push(0);
            }
            counts[number] += 1;
            of.push(number);
        }
        let source = embeddings.source().to_path_buf();
        if counts.len() < 2 {
            let expected = "utterances of at least 2 speakers for training";
            let found = format!("{} of one", of.len());
            return Err(Error::format(source, expected, found));
        }
        if counts.len() == of.len() {
            let expected = "more than one utterance of a speaker for training";
            let found = format!("one of each of {} speakers", counts.len());
            return Err(Error::format(source, expected, found));
        }
        Ok(Self { source, of, counts })
    }

    pub(super) fn count(&self) -> usize {
        self.counts.len()
    }

    /// Statistics of vectors `[utterances, dims]` in the embeddings' order. Vectors at their speaker's mean span at most
    /// utterances less speakers dimensions; with fewer than theirs the scatter within speakers has no inverse, unless it
    /// is smoothed. Discriminant analysis does not help: it would choose directions in which the few utterances differ by chance only.
    pub(super) fn stats(&self, vectors: &Array2<f64>, smoothing: f64) -> Result<SpeakerStats> {
        let dims = vectors.ncols();
        let free = self.of.len() - self.counts.len();
        if free < dims && smoothing == 0.0 {
            let expected = format!(
                "at least {} utterances of {} speakers for {dims} dimensions, or {SMOOTHING}",
                dims + self.counts.len(),
                self.counts.len()
            );
            return Err(Error::format(
                &self.source,
                expected,
                self.of.len().to_string(),
            ));
        }
        let mut means = Array2::<f64>::zeros((self.counts.len(), dims));
        for (vector, &speaker) in vectors.rows().into_iter().zip(&self.of) {
            let mut mean = means.row_mut(speaker);
            mean += &vector;
        }
        for (mut mean, &count) in means.rows_mut().into_iter().zip(&self.counts) {
            mean /= count as f64;
        }
        let mut within = self.scatter(vectors, &means);
        let trace = within.diag().sum();
        if !(trace > 0.0 && trace.is_finite()) {
            let expected = "utterances of a speaker that differ";
            return Err(Error::format(
                &self.source,
                expected,
                format!("a scatter of {trace}"),
            ));
        }
        within *= 1.0 - smoothing;
        within
            .diag_mut()
            .mapv_inplace(|value| value + smoothing * trace / dims as f64);
        Ok(SpeakerStats {
            source: self.source.clone(),
            means,
            counts: self.counts.clone(),
            within,
        })
    }

    /// The sum of squares around the speakers' means. Parts are summed in a fixed order, so that the result does not depend
    /// on the number of threads.
    fn scatter(&self, vectors: &Array2<f64>, means: &Array2<f64>) -> Array2<f64> {
        let part = self.of.len().div_ceil(16);
        let parts: Vec<Array2<f64>> = vectors
            .axis_chunks_iter(Axis(0), part)
            .into_par_iter()
            .zip(self.of.par_chunks(part))
            .map(|(vectors, speakers)| {
                let mut sum = Array2::zeros((means.ncols(), means.ncols()));
                let blocks = vectors.axis_chunks_iter(Axis(0), 1024);
                for (block, speakers) in blocks.zip(speakers.chunks(1024)) {
                    let mut centred = block.to_owned();
                    for (mut row, &speaker) in centred.rows_mut().into_iter().zip(speakers) {
                        row -= &means.row(speaker);
                    }
                    sum += &centred.t().dot(&centred);
                }
                sum
            })
            .collect();
        parts.into_iter().fold(
            Array2::zeros((means.ncols(), means.ncols())),
            |sum, part| sum + part,
        )
    }
}

/// Sums over the utterances of speakers.
#[derive(Debug)]
pub(super) struct SpeakerStats {
    /// Where the utterances are from.
    pub(super) source: PathBuf,
    /// `[speakers, dims]`.
    pub(super) means: Array2<f64>,
    /// Utterances of each.
    pub(super) counts: Vec<usize>,
    /// Sum of squares around the means, smoothed, `[dims, dims]`.
    pub(super) within: Array2<f64>,
}

/// The remedy for a singular scatter within speakers, in error messages.
const SMOOTHING: &str = "--smoothing above 0 (as 0.1)";

/// A direction in which the scatter is less, over the greatest, counts as one in which vectors do not differ: rounding
/// leaves about 1e-16.
const LEAST_SCATTER: f64 = 1e-12;

impl SpeakerStats {
    /// Refuses vectors that do not differ within speakers in some direction: any difference there would decide for another
    /// speaker. Before discriminant analysis (`reduces`) such directions are allowed where speakers do not differ in them
    /// either, since the analysis removes them.
    pub(super) fn refuse_singular(&self, reduces: bool) -> Result<()> {
        let (values, vectors) = eigen(&self.within)?;
        let dims = values.len();
        let kept = values
            .iter()
            .filter(|value| **value > LEAST_SCATTER * values[0])
            .count();
        if kept == dims {
            return Ok(());
        }
        let (between, null) = (self.between(), vectors.slice(s![.., kept..]).to_owned());
        let differ = null.t().dot(&between).dot(&null).diag().sum();
        let dead = differ <= LEAST_SCATTER * between.diag().sum();
        if dead && reduces {
            return Ok(());
        }
        let most = kept.min(self.counts.len() - 1);
        let reduce = match dead {
            true => format!(", or --lda-dim of at most {most}"),
            false => String::new(),
        };
        let expected = format!(
            "utterances of a speaker that differ in all {dims} dimensions, or {SMOOTHING}{reduce}"
        );
        let found = format!("{} directions in which they do not", dims - kept);
        Err(Error::format(&self.source, expected, found))
    }

    pub(super) fn source(&self) -> &Path {
        &self.source
    }

    pub(super) fn utterances(&self) -> usize {
        self.counts.iter().sum()
    }

    /// The mean of the speakers' means, every speaker alike.
    pub(super) fn mean_of_means(&self) -> Array1<f64> {
        self.means.sum_axis(Axis(0)) / self.counts.len() as f64
    }

    /// Covariance of the means around the mean of all utterances, every utterance alike, `[dims, dims]`.
    pub(super) fn between(&self) -> Array2<f64> {
        let utterances = self.utterances() as f64;
        let weights = Array1::from_iter(self.counts.iter().map(|&n| n as f64 / utterances));
        let centred = &self.means - &weights.dot(&self.means);
        let weighted = &centred * &weights.insert_axis(Axis(1));
        weighted.t().dot(&centred)
    }
}
