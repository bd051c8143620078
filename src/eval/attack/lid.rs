//! Local identity disclosure, LID (arXiv 2607.06259): how many bits one test discloses of who speaks.

use std::path::Path;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use crate::error::Result;
use crate::eval::backend::Calibration;
use crate::eval::trials::ScoredTrials;

/// Disclosure over tests, in bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lid {
    /// The mean.
    pub mean: f64,
    /// The share of tests that disclose more than nothing.
    pub positive: f64,
    /// The most that a test discloses, at most `log2(speakers)`.
    pub max: f64,
}

impl Lid {
    /// Summarises tests, at least one.
    pub fn of(bits: &[f64]) -> Self {
        let count = bits.len() as f64;
        Self {
            mean: bits.iter().sum::<f64>() / count,
            positive: bits.iter().filter(|bits| **bits > 0.0).count() as f64 / count,
            max: bits.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// The line from normalised scores to log-likelihood ratios, by logistic regression on scores `[enrolled, tests]` of development
/// speakers (test `t` is of speaker `t`) at a prior of one half. As in [`super::zebra`], a trial of each kind is added at
/// either end, so that it is finite where the speakers are separated.
///
/// # Errors
/// As [`Calibration::train`].
pub fn calibrate<'a>(scores: impl IntoIterator<Item = &'a Array2<f64>>) -> Result<Calibration> {
    let source = Path::new("development scores");
    let mut scored = ScoredTrials::default();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for draw in scores {
        for (test, column) in draw.columns().into_iter().enumerate() {
            for (enrolled, &score) in normalised(column).iter().enumerate() {
                scored.push(score, enrolled == test);
                (low, high) = (low.min(score), high.max(score));
            }
        }
    }
    // Of constant scores, beyond which there is none.
    let margin = if high > low { 0.0 } else { 1.0 };
    for end in [low - margin, high + margin] {
        scored.extend([(end, true), (end, false)]);
    }
    Calibration::train(&scored.detection(source)?, 0.5, source)
}

/// `log2(N p)` of every test, `p` being the posterior of its true speaker among `N` enrolled ones of equal priors.
pub fn disclosure(scores: ArrayView2<f64>, calibration: Calibration) -> Vec<f64> {
    let bits = |(test, column): (usize, ArrayView1<f64>)| {
        let ratios = normalised(column).mapv(|score| calibration.apply(score));
        let most = ratios.fold(f64::NEG_INFINITY, |most, &ratio| most.max(ratio));
        let total: f64 = ratios.iter().map(|ratio| (ratio - most).exp()).sum();
        (ratios[test] - most - total.ln()) / std::f64::consts::LN_2 + (ratios.len() as f64).log2()
    };
    scores.columns().into_iter().enumerate().map(bits).collect()
}

/// Scores of one test against all enrolled speakers, of mean 0 and variance 1; constant ones become 0.
fn normalised(scores: ArrayView1<f64>) -> Array1<f64> {
    let count = scores.len() as f64;
    let mean = scores.sum() / count;
    let centred = scores.mapv(|score| score - mean);
    let deviation = (centred.dot(&centred) / count).sqrt();
    match deviation > 0.0 {
        true => centred / deviation,
        false => centred,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn constant_scores_disclose_nothing_and_separated_ones_all() {
        let constant = Array2::from_elem((5, 5), 0.3);
        let line = calibrate([&constant]).unwrap();
        assert!(
            disclosure(constant.view(), line)
                .iter()
                .all(|bits| bits.abs() < 1e-12)
        );
        let apart = vec![Array2::eye(16); 200];
        let line = calibrate(&apart).unwrap();
        let found = Lid::of(&disclosure(apart[0].view(), line));
        assert!(
            found.mean > 3.9 && found.max <= 4.0 && found.positive == 1.0,
            "{found:?}"
        );
    }
}
