//! Adaptive symmetric score normalisation (Matějka et al. 2017): a score in standard deviations of the scores of each side
//! against the most similar speakers of a cohort.

use rayon::prelude::*;

use super::sides::{Models, Tests};
use crate::error::{Error, Result};

/// Mean and deviation of the greatest scores against a cohort, by model and by test utterance.
#[derive(Debug, Clone)]
pub struct SNorm {
    models: Vec<Level>,
    tests: Vec<Level>,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    mean: f64,
    deviation: f64,
}

/// A cohort, as the other side of each side.
#[derive(Debug, Clone, Copy)]
pub struct Cohort<'a> {
    /// Against test utterances.
    pub models: &'a Models,
    /// Against models.
    pub tests: &'a Tests,
    /// Number of greatest scores that are used; all, where there are fewer.
    pub top: usize,
}

impl SNorm {
    /// Scores both sides against the cohort, on rayon's threads. Variances are divided by the number of scores.
    ///
    /// # Errors
    /// [`Error::Option`] for a `top` below 2.
    pub fn new(models: &Models, tests: &Tests, cohort: Cohort) -> Result<Self> {
        if cohort.top < 2 {
            return Err(Error::option("top", "at least 2", cohort.top.to_string()));
        }
        let others = cohort.tests.len();
        Ok(Self {
            models: (0..models.len())
                .into_par_iter()
                .map(|model| {
                    let scores = (0..others).map(|other| models.score(model, cohort.tests, other));
                    level(scores.collect(), cohort.top)
                })
                .collect(),
            tests: (0..tests.len())
                .into_par_iter()
                .map(|test| {
                    let scores = (0..others).map(|other| cohort.models.score(other, tests, test));
                    level(scores.collect(), cohort.top)
                })
                .collect(),
        })
    }

    /// The normalised score of a trial; not finite where all scores of a side against its cohort are equal.
    pub fn apply(&self, score: f64, model: usize, test: usize) -> f64 {
        let by = |level: Level| (score - level.mean) / level.deviation;
        0.5 * (by(self.models[model]) + by(self.tests[test]))
    }
}

fn level(mut scores: Vec<f64>, top: usize) -> Level {
    if top < scores.len() {
        scores.select_nth_unstable_by(top, |a, b| b.total_cmp(a));
        scores.truncate(top);
    }
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
    Level {
        mean,
        deviation: (squares / count).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_greatest_scores_count() {
        let found = level(vec![-9.0, 3.0, 1.0, -8.0], 2);
        assert_eq!((found.mean, found.deviation), (2.0, 1.0));
        let all = level(vec![3.0, 1.0], 5);
        assert_eq!((all.mean, all.deviation), (2.0, 1.0));
    }

    #[test]
    fn both_sides_count_half() {
        let level = |mean, deviation| Level { mean, deviation };
        let norm = SNorm {
            models: vec![level(1.0, 2.0)],
            tests: vec![level(0.0, 1.0), level(3.0, 4.0)],
        };
        assert_eq!(norm.apply(5.0, 0, 0), 0.5 * (2.0 + 5.0));
        assert_eq!(norm.apply(5.0, 0, 1), 0.5 * (2.0 + 0.5));
    }
}
