//! Adaptive symmetric score normalisation (Matějka et al. 2017): a score in standard deviations of the scores of each side
//! against the most similar speakers of a cohort.

use std::ops::Range;

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::sides::{Models, Tests};
use crate::error::{Error, Result};

/// Models or tests that are scored against the cohort as one product of matrices.
const BLOCK: usize = 128;

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
        let of_models = of_models(models, cohort.tests, cohort.top)?;
        let others = 0..cohort.tests.len();
        let mirrored = models.is_mirrored_by(tests) && cohort.models.is_mirrored_by(cohort.tests);
        let of_tests = match mirrored {
            true => of_models.clone(),
            false => by_block(tests.len(), |block| {
                let scores = cohort.models.scores(others.clone(), tests, block);
                levels(scores.t(), cohort.top)
            }),
        };
        Ok(Self {
            models: of_models,
            tests: of_tests,
        })
    }

    /// The normalised score of a trial; not finite where all scores of a side against its cohort are equal.
    pub fn apply(&self, score: f64, model: usize, test: usize) -> f64 {
        let by = |level: Level| (score - level.mean) / level.deviation;
        0.5 * (by(self.models[model]) + by(self.tests[test]))
    }
}

/// The mean of the `top` greatest scores of each model against a cohort, without those of the cohort that are its `own`; NaN
/// where there are no others.
///
/// # Errors
/// As [`SNorm::new`].
pub(super) fn means(
    models: &Models,
    cohort: &Tests,
    own: &[Vec<usize>],
    top: usize,
) -> Result<Vec<f64>> {
    check(top)?;
    let levels = by_block(models.len(), |block| {
        let scores = models.scores(block.clone(), cohort, 0..cohort.len());
        let rows = scores.rows().into_iter().zip(&own[block]);
        let of_others = rows.map(|(row, own)| {
            let others = row
                .iter()
                .enumerate()
                .filter(|(place, _)| !own.contains(place));
            level(others.map(|(_, score)| *score).collect(), top)
        });
        of_others.collect()
    });
    Ok(levels.into_iter().map(|level| level.mean).collect())
}

fn check(top: usize) -> Result<()> {
    match top {
        0 | 1 => Err(Error::option("top", "at least 2", top.to_string())),
        _ => Ok(()),
    }
}

fn of_models(models: &Models, cohort: &Tests, top: usize) -> Result<Vec<Level>> {
    check(top)?;
    Ok(by_block(models.len(), |block| {
        let scores = models.scores(block, cohort, 0..cohort.len());
        levels(scores.view(), top)
    }))
}

/// The levels of `count` models or tests, computed in blocks on rayon's threads.
fn by_block(count: usize, levels: impl Fn(Range<usize>) -> Vec<Level> + Sync) -> Vec<Level> {
    let starts = (0..count).into_par_iter().step_by(BLOCK);
    let blocks: Vec<_> = starts
        .map(|start| levels(start..count.min(start + BLOCK)))
        .collect();
    blocks.concat()
}

/// The level of each row of scores, `[models or tests, cohort]`.
fn levels(scores: ArrayView2<f64>, top: usize) -> Vec<Level> {
    let rows = scores.rows().into_iter();
    rows.map(|row| level(row.to_vec(), top)).collect()
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
    use ndarray::Array2;

    use super::super::tests::{draw, labelled};
    use super::super::{Backend, BackendOptions, EnrolmentTable};
    use super::*;

    #[test]
    fn only_the_greatest_scores_count() {
        let found = level(vec![-9.0, 3.0, 1.0, -8.0], 2);
        assert_eq!((found.mean, found.deviation), (2.0, 1.0));
        let all = level(vec![3.0, 1.0], 5);
        assert_eq!((all.mean, all.deviation), (2.0, 1.0));
    }

    /// By cosine and by PLDA, with models of one and of several utterances, in more than one block.
    #[test]
    fn levels_are_those_of_scores_one_by_one() {
        let (vectors, speakers) = draw(5, &[10; 30], &Array2::eye(3), &(Array2::eye(3) * 0.3));
        let (embeddings, utt2spk) = labelled(&vectors, &speakers);
        let (cohort, _) = labelled(&(-&vectors + 0.1), &speakers);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spk2utt");
        let utterances = |count| (0..count).map(|utterance| format!("u{utterance}"));
        let models =
            (1..9).map(|n| format!("m{n} {}\n", utterances(n).collect::<Vec<_>>().join(" ")));
        std::fs::write(&path, models.collect::<String>()).unwrap();
        let table = EnrolmentTable::read(&path).unwrap();
        let (plda, _) = Backend::train(&embeddings, &utt2spk, &BackendOptions::default()).unwrap();
        for backend in [Backend::cosine(3), plda] {
            let tests = backend.tests(&embeddings).unwrap();
            let others = (
                backend.models(&cohort, None).unwrap(),
                backend.tests(&cohort).unwrap(),
            );
            for table in [None, Some(&table)] {
                let models = backend.models(&embeddings, table).unwrap();
                let cohort = Cohort {
                    models: &others.0,
                    tests: &others.1,
                    top: 20,
                };
                let norm = SNorm::new(&models, &tests, cohort).unwrap();
                let count = 0..others.1.len();
                for (model, found) in norm.models.iter().enumerate() {
                    let scores = count.clone().map(|o| models.score(model, &others.1, o));
                    assert_near(*found, level(scores.collect(), 20));
                }
                for (test, found) in norm.tests.iter().enumerate() {
                    let scores = count.clone().map(|o| others.0.score(o, &tests, test));
                    assert_near(*found, level(scores.collect(), 20));
                }
            }
        }
    }

    fn assert_near(found: Level, expected: Level) {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + b.abs());
        let both = near(found.mean, expected.mean) && near(found.deviation, expected.deviation);
        assert!(both, "{found:?} {expected:?}");
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
