//! Equal error rate and minimum detection cost. Scores of both kinds of trials are sorted in place, 8 bytes per trial; every
//! measure is one pass over them.

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Scores by the kind of their trials, unsorted.
#[derive(Debug, Clone, Default)]
pub struct ScoredTrials {
    targets: Vec<f64>,
    nontargets: Vec<f64>,
}

impl ScoredTrials {
    /// Adds a trial's score.
    pub fn push(&mut self, score: f64, target: bool) {
        match target {
            true => self.targets.push(score),
            false => self.nontargets.push(score),
        }
    }

    /// Sorts them, for the measures.
    ///
    /// # Errors
    /// [`Error::Format`] naming `source` when there are no target or no other trials, or a score is NaN.
    pub fn detection(mut self, source: &Path) -> Result<Detection> {
        let (targets, nontargets) = (&mut self.targets, &mut self.nontargets);
        if targets.is_empty() || nontargets.is_empty() {
            let found = format!(
                "{} target and {} nontarget trials",
                targets.len(),
                nontargets.len()
            );
            let expected = "both target and nontarget trials";
            return Err(Error::format(source, expected, found));
        }
        if targets.iter().chain(nontargets.iter()).any(|s| s.is_nan()) {
            return Err(Error::format(source, "scores that are numbers", "NaN"));
        }
        targets.par_sort_unstable_by(f64::total_cmp);
        nontargets.par_sort_unstable_by(f64::total_cmp);
        Ok(Detection {
            targets: self.targets,
            nontargets: self.nontargets,
        })
    }
}

impl Extend<(f64, bool)> for ScoredTrials {
    fn extend<I: IntoIterator<Item = (f64, bool)>>(&mut self, scores: I) {
        scores
            .into_iter()
            .for_each(|(score, target)| self.push(score, target));
    }
}

/// Sorted scores of both kinds of trials, at least one of each, none NaN.
#[derive(Debug, Clone)]
pub struct Detection {
    targets: Vec<f64>,
    nontargets: Vec<f64>,
}

/// How well scores tell targets from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
    /// Minimum detection cost at a prior of 0.01, divided by that of the better constant decision.
    pub min_dcf_01: f64,
    /// The same at a prior of 0.05.
    pub min_dcf_05: f64,
    /// Cllr: the cost of the scores as natural log-likelihood ratios, in bits; 1 for a constant 0.
    pub cllr: f64,
    /// minCllr: their cost after the best monotonic calibration.
    pub min_cllr: f64,
}

/// Rates when scores above `threshold` are accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct OperatingPoint {
    pub(super) threshold: f64,
    pub(super) miss: f64,
    pub(super) false_alarm: f64,
}

impl OperatingPoint {
    fn gap(&self) -> f64 {
        (self.miss - self.false_alarm).abs()
    }

    fn cost(&self, prior: f64) -> f64 {
        self.miss * prior + self.false_alarm * (1.0 - prior)
    }
}

/// Trials of one score.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ties {
    pub(super) score: f64,
    pub(super) targets: usize,
    pub(super) nontargets: usize,
}

impl Detection {
    /// Scores of target trials, lowest first; at least one.
    pub fn targets(&self) -> &[f64] {
        &self.targets
    }

    /// Scores of the others, lowest first; at least one.
    pub fn nontargets(&self) -> &[f64] {
        &self.nontargets
    }

    /// The same trials with every score changed, by a monotonic function that returns no NaN.
    pub fn map(mut self, change: impl Fn(f64) -> f64) -> Self {
        for scores in [&mut self.targets, &mut self.nontargets] {
            scores.iter_mut().for_each(|score| *score = change(*score));
            scores.sort_unstable_by(f64::total_cmp);
        }
        self
    }

    /// Equal error rate, minimum detection costs (NIST SRE plans: costs of one) and Cllr.
    pub fn verification(&self) -> Verification {
        let mut closest: Option<OperatingPoint> = None;
        let (mut cost_01, mut cost_05) = (f64::INFINITY, f64::INFINITY);
        for point in self.operating_points() {
            if closest.is_none_or(|best| point.gap() < best.gap()) {
                closest = Some(point);
            }
            cost_01 = point.cost(0.01).min(cost_01);
            cost_05 = point.cost(0.05).min(cost_05);
        }
        let (eer, threshold) = closest.map_or((0.5, 0.0), |point| {
            ((point.miss + point.false_alarm) / 2.0, point.threshold)
        });
        Verification {
            targets: self.targets.len(),
            nontargets: self.nontargets.len(),
            eer,
            threshold,
            min_dcf_01: cost_01 / 0.01,
            min_dcf_05: cost_05 / 0.05,
            cllr: self.cllr(),
            min_cllr: self.min_cllr(),
        }
    }

    /// One point per distinct score as the threshold, lowest first, and one below all.
    pub(super) fn operating_points(&self) -> impl Iterator<Item = OperatingPoint> {
        let counts = (self.targets.len() as f64, self.nontargets.len() as f64);
        let (mut missed, mut refused) = (0, 0);
        let below = OperatingPoint {
            threshold: f64::NEG_INFINITY,
            miss: 0.0,
            false_alarm: 1.0,
        };
        let points = self.ties().map(move |ties| {
            missed += ties.targets;
            refused += ties.nontargets;
            OperatingPoint {
                threshold: ties.score,
                miss: missed as f64 / counts.0,
                false_alarm: 1.0 - refused as f64 / counts.1,
            }
        });
        std::iter::once(below).chain(points)
    }

    /// Distinct scores, lowest first.
    pub(super) fn ties(&self) -> impl Iterator<Item = Ties> {
        let (mut targets, mut nontargets) = (&self.targets[..], &self.nontargets[..]);
        std::iter::from_fn(move || {
            let score = match (targets.first(), nontargets.first()) {
                (None, None) => return None,
                (Some(&score), None) | (None, Some(&score)) => score,
                (Some(&a), Some(&b)) => a.min(b),
            };
            Some(Ties {
                score,
                targets: take(&mut targets, score),
                nontargets: take(&mut nontargets, score),
            })
        })
    }
}

/// Removes the scores up to `score`; returns their number.
fn take(scores: &mut &[f64], score: f64) -> usize {
    let count = scores.iter().take_while(|&&other| other <= score).count();
    *scores = &scores[count..];
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verification(scores: &[f64], targets: &[bool]) -> Result<Verification> {
        let mut scored = ScoredTrials::default();
        scored.extend(scores.iter().copied().zip(targets.iter().copied()));
        Ok(scored.detection(Path::new("t"))?.verification())
    }

    #[test]
    fn separated_scores_make_no_error() {
        let scores = [0.6, 0.7, 0.8, 0.5, 0.4, 0.3, 0.2, 0.1];
        let targets = [true, true, true, true, false, false, false, false];
        let found = verification(&scores, &targets).unwrap();
        assert_eq!(
            (found.eer, found.min_dcf_01, found.min_dcf_05),
            (0.0, 0.0, 0.0)
        );
        assert_eq!(found.min_cllr, 0.0);
    }

    #[test]
    fn constant_scores_are_at_chance() {
        let found = verification(&[0.0, -0.0, 0.0, 0.0], &[true, false, true, false]).unwrap();
        assert_eq!((found.eer, found.min_dcf_01), (0.5, 1.0));
        assert_eq!((found.cllr, found.min_cllr), (1.0, 1.0));
    }

    #[test]
    fn one_kind_of_trial_is_refused() {
        let error = verification(&[1.0], &[true]).unwrap_err().to_string();
        assert_eq!(
            error,
            "t: expected both target and nontarget trials, found 1 target and 0 nontarget trials"
        );
        assert!(verification(&[1.0, f64::NAN], &[true, false]).is_err());
    }
}
