//! Attackers that compare pooled statistics: by cosine, or by discriminant analyses that learned from the training speakers.

use std::path::Path;

use ndarray::{Array1, Array2, ArrayView1, Axis};

use super::measures::DrawScores;
use super::pooled::projection;
use super::speakers::{Draw, SpeakerSet};
use crate::error::{Error, Result};
use crate::eval::backend::{
    Backend, BackendOptions, Embeddings, LdaOptions, PldaOptions, ScoringKind,
};

/// Dimensions that discriminant analyses read; more are projected to as many.
const MOST_DIMS: usize = 256;
/// Directions that they keep.
const KEPT: usize = 64;
/// How far the covariance within speakers is moved towards the identity, for few utterances.
const SMOOTHING: f64 = 0.1;

/// Utterances of a set as one attacker compares them.
#[derive(Debug)]
pub struct Prepared {
    /// For the enrolment, `[utterances, values]`.
    pub enrolment: Array2<f64>,
    /// For the test; none where it is the same.
    pub test: Option<Array2<f64>>,
    /// Of PLDA: variances between speakers, `[values]`; none compares by cosine.
    pub psi: Option<Array1<f64>>,
}

impl Prepared {
    /// Compared by cosine around the set's own mean, which an attacker knows without labels.
    pub fn cosine(vectors: &Array2<f32>) -> Self {
        Self {
            enrolment: centred(vectors),
            test: None,
            psi: None,
        }
    }

    /// Scores of all enrolments against all tests: means of the drawn utterances are compared.
    pub fn scores(&self, draw: &Draw) -> DrawScores {
        let against = |groups: &[Vec<usize>]| {
            let enrolled = means(&self.enrolment, &draw.enrolment);
            let tests = means(self.tests(), groups);
            Array2::from_shape_fn((enrolled.nrows(), tests.nrows()), |(e, t)| {
                let counts = (draw.enrolment[e].len(), groups[t].len());
                self.score(enrolled.row(e), tests.row(t), counts)
            })
        };
        DrawScores {
            tests: against(&draw.test),
            calibration: draw.calibration.as_deref().map(against),
        }
    }

    /// The score of two utterances.
    pub fn trial(&self, enrolment: usize, test: usize) -> f64 {
        self.score(
            self.enrolment.row(enrolment),
            self.tests().row(test),
            (1, 1),
        )
    }

    fn tests(&self) -> &Array2<f64> {
        self.test.as_ref().unwrap_or(&self.enrolment)
    }

    /// Compares means of `counts` utterances.
    fn score(
        &self,
        enrolled: ArrayView1<f64>,
        test: ArrayView1<f64>,
        counts: (usize, usize),
    ) -> f64 {
        match &self.psi {
            Some(psi) => log_likelihood_ratio(psi, enrolled, test, counts),
            None => cosine(enrolled, test),
        }
    }
}

/// In a space where the covariance within speakers is the identity and that between them is `psi`: the mean `u` of `n`
/// utterances says of the mean `t` of `m` others `N(t | n psi / (n psi + 1) u, 1 / m + psi / (n psi + 1))`, against
/// `N(t | 0, 1 / m + psi)` (Ioffe 2006).
fn log_likelihood_ratio(
    psi: &Array1<f64>,
    enrolled: ArrayView1<f64>,
    test: ArrayView1<f64>,
    (n, m): (usize, usize),
) -> f64 {
    let (n, within) = (n as f64, 1.0 / m as f64);
    let terms = psi.iter().zip(enrolled).zip(test);
    let ratio = |((psi, u), t): ((&f64, &f64), &f64)| {
        let gap = t - n * psi / (n * psi + 1.0) * u;
        let (same, other) = (within + psi / (n * psi + 1.0), within + psi);
        0.5 * ((other / same).ln() + t * t / other - gap * gap / same)
    };
    terms.map(ratio).sum()
}

fn cosine(a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
    let lengths = (a.dot(&a) * b.dot(&b)).sqrt();
    match lengths > 0.0 {
        true => a.dot(&b) / lengths,
        false => 0.0,
    }
}

/// The mean of each group of rows.
fn means(vectors: &Array2<f64>, groups: &[Vec<usize>]) -> Array2<f64> {
    let mut means = Array2::zeros((groups.len(), vectors.ncols()));
    for (mut mean, group) in means.rows_mut().into_iter().zip(groups) {
        for &place in group {
            mean += &vectors.row(place);
        }
        mean /= group.len() as f64;
    }
    means
}

/// Rows around their mean, in f64.
pub fn centred(vectors: &Array2<f32>) -> Array2<f64> {
    let mut vectors = vectors.mapv(f64::from);
    if let Some(mean) = vectors.mean_axis(Axis(0)) {
        vectors -= &mean;
    }
    vectors
}

/// Discriminant analysis, learned from training speakers.
#[derive(Debug)]
pub struct Discriminant {
    /// Dimensions that differ, and by what they are divided.
    scales: Vec<(usize, f64)>,
    projection: Option<Array2<f64>>,
    backend: Backend,
}

impl Discriminant {
    /// Learns from some speakers of `set`, whose vectors are `[utterances, values]`: LDA, length normalisation, then cosine or
    /// PLDA.
    ///
    /// # Errors
    /// As [`Backend::train`]; [`Error::Format`] for vectors that do not differ.
    pub fn train(
        vectors: &Array2<f32>,
        set: &SpeakerSet,
        speakers: &[usize],
        scoring: ScoringKind,
    ) -> Result<Self> {
        let places: Vec<usize> = speakers
            .iter()
            .flat_map(|&s| set.utterances()[s].clone())
            .collect();
        let learn = centred(&vectors.select(Axis(0), &places));
        let deviations = learn.std_axis(Axis(0), 0.0);
        let scales: Vec<(usize, f64)> = deviations
            .iter()
            .map(|deviation| deviation.recip())
            .enumerate()
            .filter(|(_, scale)| scale.is_finite() && *scale < 1e9)
            .collect();
        if scales.is_empty() {
            let expected = "vectors of the speakers to learn from that differ";
            return Err(Error::format(set.path(), expected, "equal ones"));
        }
        let projection = (scales.len() > MOST_DIMS)
            .then(|| projection(scales.len(), MOST_DIMS, 1).mapv(f64::from));
        let ready = ready(&learn, &scales, projection.as_ref());
        let dims = KEPT.min(ready.ncols()).min(speakers.len() - 1);
        let options = BackendOptions {
            lda: Some(LdaOptions::new(dims)),
            length_norm: true,
            scoring,
            plda: PldaOptions::default(),
            smoothing: SMOOTHING,
        };
        let keys = places
            .iter()
            .map(|&place| set.key(place).to_string())
            .collect();
        let embeddings = Embeddings::of_rows(set.path(), keys, ready);
        let (backend, _) = Backend::train(&embeddings, set.table(), &options)?;
        Ok(Self {
            scales,
            projection,
            backend,
        })
    }

    /// The utterances of a set, centred on their own mean.
    ///
    /// # Errors
    /// None for vectors of as many values as it learned from.
    pub fn prepare(&self, vectors: &Array2<f32>, source: &Path) -> Result<Prepared> {
        let ready = ready(&centred(vectors), &self.scales, self.projection.as_ref());
        let keys = (0..ready.nrows()).map(|place| place.to_string()).collect();
        let prepared = self
            .backend
            .prepare(&Embeddings::of_rows(source, keys, ready))?;
        let plda = self.backend.plda();
        Ok(Prepared {
            enrolment: plda.map_or_else(|| prepared.clone(), |plda| plda.project(&prepared, |_| 1)),
            test: None,
            psi: plda.map(|plda| plda.psi().to_owned()),
        })
    }
}

fn ready(
    vectors: &Array2<f64>,
    scales: &[(usize, f64)],
    projection: Option<&Array2<f64>>,
) -> Array2<f32> {
    let scaled = Array2::from_shape_fn((vectors.nrows(), scales.len()), |(row, column)| {
        let (from, scale) = scales[column];
        vectors[[row, from]] * scale
    });
    projection
        .map_or_else(|| scaled.clone(), |projection| scaled.dot(projection))
        .mapv(|value| value as f32)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_ratio_is_that_of_its_definition() {
        // One dimension, psi 2; the mean of 2 utterances is 1.5, that of 3 others 1.
        let normal = |x: f64, mean: f64, variance: f64| {
            -0.5 * ((std::f64::consts::TAU * variance).ln() + (x - mean).powi(2) / variance)
        };
        // Same speaker: of the joint normal of both means, given the first.
        let (own, shared) = (2.0 + 0.5, 2.0);
        let expected = normal(
            1.0,
            shared / own * 1.5,
            2.0 + 1.0 / 3.0 - shared * shared / own,
        ) - normal(1.0, 0.0, 2.0 + 1.0 / 3.0);
        let found =
            log_likelihood_ratio(&array![2.0], array![1.5].view(), array![1.0].view(), (2, 3));
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn groups_are_averaged_before_they_are_compared() {
        let prepared = Prepared::cosine(&array![[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]);
        let draw = Draw {
            enrolment: vec![vec![0, 1], vec![2, 3]],
            test: vec![vec![0], vec![3]],
            calibration: None,
        };
        let found = prepared.scores(&draw).tests;
        let half = 0.5f64.sqrt();
        let expected = array![[half, -half], [-half, half]];
        assert!((found - expected).iter().all(|gap| gap.abs() < 1e-12));
        assert_eq!(prepared.trial(0, 2), -1.0);
    }
}
