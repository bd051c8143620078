//! Calibration of scores to log-likelihood ratios: a linear map, by logistic regression under a prior (Brümmer and du Preez
//! 2006, section 6).

use std::path::Path;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{file, logistic};
use crate::error::{Error, Result};
use crate::eval::trials::Detection;

/// The kind of model in a calibration's file.
const KIND: &str = "calibration";

/// `scale * score + offset` is a natural log-likelihood ratio.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Slope.
    pub scale: f64,
    /// Log-likelihood ratio of a score of 0.
    pub offset: f64,
    /// The prior of training.
    pub prior: f64,
}

impl Calibration {
    /// Finds the map with the least cross-entropy under a prior of targets, whatever their share of the trials.
    ///
    /// # Errors
    /// [`Error::Option`] for a prior that is not between 0 and 1; [`Error::Format`] naming `source` for scores of the two
    /// kinds that do not overlap, for which the best slope is infinite.
    pub fn train(detection: &Detection, prior: f64, source: &Path) -> Result<Self> {
        refuse_apart(detection, "scores", source)?;
        let (targets, others) = (detection.targets(), detection.nontargets());
        let scores = Array2::from_shape_fn((targets.len() + others.len(), 1), |(at, _)| {
            *targets
                .get(at)
                .unwrap_or_else(|| &others[at - targets.len()])
        });
        let are_targets: Vec<bool> = (0..scores.nrows()).map(|at| at < targets.len()).collect();
        let fit = logistic::fit(&scores, &are_targets, prior)?;
        Ok(Self {
            scale: fit.weights[0],
            offset: fit.offset,
            prior,
        })
    }

    /// The log-likelihood ratio of a score.
    pub fn apply(&self, score: f64) -> f64 {
        self.scale * score + self.offset
    }

    /// The score with a likelihood ratio of 1.
    ///
    /// # Errors
    /// [`Error::Key`] naming the file `path` that it was read from, if its scale is not above 0.
    pub fn threshold(&self, path: &Path) -> Result<f64> {
        match self.scale > 0.0 {
            true => Ok(-self.offset / self.scale),
            false => Err(Error::key(path, "scale", "above 0", self.scale.to_string())),
        }
    }

    /// Writes it to a file, atomically.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        file::write(path, KIND, self)
    }

    /// Reads a file of [`Calibration::write`].
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`] or [`Error::Line`] for another kind of file; [`Error::Key`] for numbers out of
    /// range.
    pub fn read(path: &Path) -> Result<Self> {
        let read: Self = file::read(path, KIND)?;
        file::moderate(path, "scale", &[read.scale])?;
        file::moderate(path, "offset", &[read.offset])?;
        Ok(read)
    }
}

/// Refuses `what` if a threshold parts targets from the others: the best slope is infinite.
pub(super) fn refuse_apart(detection: &Detection, what: &str, source: &Path) -> Result<()> {
    let (targets, others) = (detection.targets(), detection.nontargets());
    let apart = |low: &[f64], high: &[f64]| low[low.len() - 1] <= high[0];
    match apart(others, targets) || apart(targets, others) {
        true => {
            let expected =
                format!("{what} of target and nontarget trials that overlap, to calibrate by");
            Err(Error::format(source, expected, "ones apart"))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::trials::{ScoredTrials, probit};

    /// Normal scores of mean 1 and -1 around `shift`, deviation 1: the ratio is `2 (score - shift)`.
    fn normal(targets: usize, others: usize, shift: f64) -> Detection {
        let mut scored = ScoredTrials::default();
        for (count, mean, target) in [(targets, 1.0, true), (others, -1.0, false)] {
            for index in 0..count {
                let deviate = probit((index as f64 + 0.5) / count as f64);
                scored.push(deviate + mean + shift, target);
            }
        }
        scored.detection(Path::new("t")).unwrap()
    }

    #[test]
    fn normal_scores_get_their_ratio() {
        for (counts, prior) in [
            ((4000, 4000), 0.5),
            ((500, 8000), 0.5),
            ((4000, 4000), 0.05),
        ] {
            let detection = normal(counts.0, counts.1, 3.0);
            let found = Calibration::train(&detection, prior, Path::new("t")).unwrap();
            assert!((found.scale - 2.0).abs() < 0.03, "{found:?}");
            assert!((found.offset + 6.0).abs() < 0.1, "{found:?}");
        }
    }

    #[test]
    fn calibrated_scores_cost_hardly_more_than_the_least() {
        let raw = normal(1000, 3000, 0.7);
        let line = Calibration::train(&raw, 0.5, Path::new("t")).unwrap();
        let found = raw.clone().map(|score| line.apply(score)).verification();
        assert!(
            found.cllr < raw.cllr() && found.cllr < found.min_cllr + 0.01,
            "{found:?}"
        );
        assert_eq!(found.min_cllr, raw.min_cllr());
    }

    #[test]
    fn scores_apart_are_refused() {
        let mut scored = ScoredTrials::default();
        scored.extend([(1.0, true), (2.0, true), (1.0, false), (0.0, false)]);
        let detection = scored.detection(Path::new("t")).unwrap();
        let error = Calibration::train(&detection, 0.5, Path::new("t")).unwrap_err();
        assert!(error.to_string().contains("that overlap"), "{error}");
        assert!(Calibration::train(&detection, 1.0, Path::new("t")).is_err());
    }
}
