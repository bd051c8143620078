//! Lists of trials of any length, scored block by block on rayon's threads.

use std::path::Path;

use rayon::prelude::*;

use super::quality::TrialCalibration;
use super::sides::{Models, Tests};
use super::snorm::SNorm;
use crate::error::Result;
use crate::eval::trials::{Trial, TrialBlock, TrialReader};

/// The scorer of trials.
#[derive(Debug, Clone, Copy)]
pub struct TrialScorer<'a> {
    /// The enrolment side.
    pub models: &'a Models,
    /// The test side.
    pub tests: &'a Tests,
    /// Applied first.
    pub norm: Option<&'a SNorm>,
    /// Applied last.
    pub calibration: Option<&'a TrialCalibration>,
}

impl TrialScorer<'_> {
    fn score<'b>(&self, block: &'b TrialBlock, index: usize) -> Result<(Trial<'b>, f64)> {
        let trial = block.trial(index)?;
        let unknown = |what: &str, key: &str| {
            let expected = format!("a {what} with an embedding");
            block.fault(index, expected, format!("'{key}', which has none"))
        };
        let model = (self.models.position(trial.enrolment))
            .ok_or_else(|| unknown("model or enrolment utterance", trial.enrolment))?;
        let test = (self.tests.position(trial.test))
            .ok_or_else(|| unknown("test utterance", trial.test))?;
        let mut score = self.models.score(model, self.tests, test);
        if let Some(norm) = self.norm {
            score = norm.apply(score, model, test);
        }
        if let Some(calibration) = self.calibration {
            score = calibration.apply(&trial, score)?;
        }
        if score.is_finite() {
            return Ok((trial, score));
        }
        let expected = match self.norm {
            Some(_) => "a finite score, of sides that score differently against the cohort",
            None => "a finite score",
        };
        Err(block.fault(index, expected, score.to_string()))
    }
}

/// Scores every trial of a list and passes it to `each`, in the list's order. One block of the list is in memory at a time.
///
/// # Errors
/// As [`TrialReader::next_block`]; [`crate::Error::Line`] for a trial of another form than the first's, with a key that
/// has no embedding, or whose score is not finite; errors of `each`.
pub fn score_trials(
    path: &Path,
    scorer: TrialScorer,
    mut each: impl FnMut(Trial, f64) -> Result<()>,
) -> Result<()> {
    let mut reader = TrialReader::open(path)?;
    while let Some(block) = reader.next_block()? {
        let scored: Vec<Result<(Trial, f64)>> = (0..block.len())
            .into_par_iter()
            .with_min_len(256)
            .map(|index| scorer.score(&block, index))
            .collect();
        for result in scored {
            let (trial, score) = result?;
            each(trial, score)?;
        }
    }
    Ok(())
}
