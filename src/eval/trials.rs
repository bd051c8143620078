//! Speaker verification: trials, cosine scores, equal error rate and detection cost.

use std::collections::HashMap;
use std::path::Path;

use ndarray::Array1;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::io::lines::read_lines;

/// One line `enrolment test target|nontarget` of a Kaldi trials file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Key of the enrolled embedding.
    pub enrolment: String,
    /// Key of the embedding under test.
    pub test: String,
    /// Whether both are of one speaker.
    pub target: bool,
}

/// Reads a trials file.
///
/// # Errors
/// [`Error::Io`], or [`Error::Line`] for a line that is not `enrolment test target|nontarget`.
pub fn read_trials(path: &Path) -> Result<Vec<Trial>> {
    read_lines(path)?
        .into_iter()
        .map(|entry| {
            let fields: Vec<&str> = entry.value.split_ascii_whitespace().collect();
            match fields[..] {
                [test, kind @ ("target" | "nontarget")] => Ok(Trial {
                    enrolment: entry.key,
                    test: test.to_string(),
                    target: kind == "target",
                }),
                _ => Err(Error::line(
                    path,
                    entry.line,
                    "'enrolment test target|nontarget'",
                    format!("'{} {}'", entry.key, entry.value),
                )),
            }
        })
        .collect()
}

/// The cosine of two embeddings; 0 when one of them has no length.
pub fn cosine(a: &Array1<f32>, b: &Array1<f32>) -> f64 {
    let dot = |x: &Array1<f32>, y: &Array1<f32>| -> f64 {
        x.iter()
            .zip(y)
            .map(|(&x, &y)| f64::from(x) * f64::from(y))
            .sum()
    };
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths == 0.0 {
        0.0
    } else {
        dot(a, b) / lengths
    }
}

/// Scores every trial by cosine; `source` is the trials file, for messages.
///
/// # Errors
/// [`Error::Key`] for a key without an embedding, embeddings of different size, or a score that is no number.
pub fn score<'a>(
    trials: &[Trial],
    enrolments: &'a HashMap<String, Array1<f32>>,
    tests: &'a HashMap<String, Array1<f32>>,
    source: &Path,
) -> Result<Vec<f64>> {
    let find = |table: &'a HashMap<String, Array1<f32>>, key: &str| {
        table
            .get(key)
            .ok_or_else(|| Error::key(source, key, "an embedding of this key", "none"))
    };
    trials
        .iter()
        .map(|trial| {
            let (a, b) = (
                find(enrolments, &trial.enrolment)?,
                find(tests, &trial.test)?,
            );
            if a.len() != b.len() {
                let expected = format!("{} values, as '{}' has", a.len(), trial.enrolment);
                return Err(Error::key(
                    source,
                    &trial.test,
                    expected,
                    b.len().to_string(),
                ));
            }
            let score = cosine(a, b);
            if score.is_finite() {
                return Ok(score);
            }
            let key = format!("{} {}", trial.enrolment, trial.test);
            Err(Error::key(
                source,
                key,
                "embeddings of finite numbers",
                "others",
            ))
        })
        .collect()
}

/// How well scores tell targets from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Verification {
    /// Target trials.
    pub targets: usize,
    /// Other trials.
    pub nontargets: usize,
    /// Equal error rate in [0, 1]: the mean of miss and false alarm rates at the threshold where they are
    /// closest.
    pub eer: f64,
    /// Its threshold.
    pub threshold: f64,
    /// Least detection cost at a prior of 0.01, over that of the better constant answer.
    pub min_dcf_01: f64,
    /// The same at a prior of 0.05.
    pub min_dcf_05: f64,
}

/// Equal error rate and least detection cost (NIST SRE plans: costs of one) of scored trials.
///
/// # Errors
/// [`Error::Format`] naming `source` when there are no target or no other trials, or a score is NaN.
pub fn verification(scores: &[f64], targets: &[bool], source: &Path) -> Result<Verification> {
    let count = targets.iter().filter(|&&target| target).count();
    let others = targets.len() - count;
    if count == 0 || others == 0 {
        let found = format!("{count} target and {others} nontarget trials");
        return Err(Error::format(
            source,
            "both target and nontarget trials",
            found,
        ));
    }
    if scores.iter().any(|score| score.is_nan()) {
        return Err(Error::format(source, "scores that are numbers", "NaN"));
    }
    let points = operating_points(scores, targets);
    let closest = points
        .iter()
        .min_by(|a, b| a.gap().total_cmp(&b.gap()))
        .unwrap_or(&points[0]);
    Ok(Verification {
        targets: count,
        nontargets: others,
        eer: (closest.miss + closest.false_alarm) / 2.0,
        threshold: closest.threshold,
        min_dcf_01: min_dcf(&points, 0.01),
        min_dcf_05: min_dcf(&points, 0.05),
    })
}

/// Rates when scores above `threshold` are accepted.
#[derive(Debug, Clone, Copy)]
struct OperatingPoint {
    threshold: f64,
    miss: f64,
    false_alarm: f64,
}

impl OperatingPoint {
    fn gap(&self) -> f64 {
        (self.miss - self.false_alarm).abs()
    }
}

/// One point per distinct score as the threshold, lowest first, and one below all.
fn operating_points(scores: &[f64], targets: &[bool]) -> Vec<OperatingPoint> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let positives = targets.iter().filter(|&&target| target).count() as f64;
    let negatives = scores.len() as f64 - positives;
    let (mut missed, mut refused) = (0.0, 0.0);
    let mut points = vec![OperatingPoint {
        threshold: f64::NEG_INFINITY,
        miss: 0.0,
        false_alarm: 1.0,
    }];
    for (place, &trial) in order.iter().enumerate() {
        if targets[trial] {
            missed += 1.0;
        } else {
            refused += 1.0;
        }
        let last_of_ties = order
            .get(place + 1)
            .is_none_or(|&next| scores[next] > scores[trial]);
        if last_of_ties {
            points.push(OperatingPoint {
                threshold: scores[trial],
                miss: missed / positives,
                false_alarm: 1.0 - refused / negatives,
            });
        }
    }
    points
}

fn min_dcf(points: &[OperatingPoint], prior: f64) -> f64 {
    let least = points
        .iter()
        .map(|point| point.miss * prior + point.false_alarm * (1.0 - prior))
        .fold(f64::INFINITY, f64::min);
    least / prior.min(1.0 - prior)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separated_scores_make_no_error() {
        let scores = [0.6, 0.7, 0.8, 0.5, 0.4, 0.3, 0.2, 0.1];
        let targets = [true, true, true, true, false, false, false, false];
        let found = verification(&scores, &targets, Path::new("trials")).unwrap();
        assert_eq!(
            (found.eer, found.min_dcf_01, found.min_dcf_05),
            (0.0, 0.0, 0.0)
        );
    }

    #[test]
    fn constant_scores_tell_nothing() {
        let found = verification(&[1.0; 4], &[true, false, true, false], Path::new("t")).unwrap();
        assert_eq!((found.eer, found.min_dcf_01), (0.5, 1.0));
    }

    #[test]
    fn one_kind_of_trial_is_refused() {
        let error = verification(&[1.0], &[true], Path::new("t"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "t: expected both target and nontarget trials, found 1 target and 0 nontarget trials"
        );
    }

    #[test]
    fn cosines_of_known_angles() {
        let (a, b) = (Array1::from(vec![1.0, 0.0]), Array1::from(vec![3.0, 3.0]));
        assert!((cosine(&a, &b) - 0.5f64.sqrt()).abs() < 1e-9);
        assert_eq!(cosine(&a, &Array1::zeros(2)), 0.0);
    }
}
