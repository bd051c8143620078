//! Probabilistic linear discriminant analysis with two covariances (Ioffe 2006): an embedding is the sum of its speaker's
//! mean, drawn from the covariance between speakers, and an offset, drawn from that within speakers. Trained, stored and
//! scored as Kaldi's `ivector/plda.cc`.

use ndarray::{Array1, Array2, ArrayView1, Axis};

use super::speakers::SpeakerStats;
use crate::error::{Error, Result};
use crate::eval::algebra::diagonalise;

/// Options of training and scoring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PldaOptions {
    /// Iterations of expectation and maximisation.
    pub iterations: usize,
    /// Whether vectors are scaled to the length that the model expects, as Kaldi's `--normalize-length`.
    pub length_norm: bool,
}

impl Default for PldaOptions {
    fn default() -> Self {
        Self {
            iterations: 10,
            length_norm: false,
        }
    }
}

/// A model: after `transform * (x - mean)` the covariance within speakers is the identity and that between them is
/// diagonal.
#[derive(Debug, Clone, PartialEq)]
pub struct Plda {
    /// `[dims]`.
    pub(super) mean: Array1<f64>,
    /// `[dims, dims]`.
    pub(super) transform: Array2<f64>,
    /// The diagonal, greatest first; not below 0.
    pub(super) psi: Array1<f64>,
    /// As [`PldaOptions::length_norm`].
    pub(super) length_norm: bool,
}

/// An enrolled speaker. The log-likelihood ratio of a test vector `t` is
/// `offset + weights . t + curvature . t^2`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Enrolled {
    pub(super) weights: Array1<f64>,
    pub(super) offset: f64,
}

impl Plda {
    /// Variance between speakers in the directions of the model, over that within them; greatest first.
    pub fn psi(&self) -> ArrayView1<'_, f64> {
        self.psi.view()
    }

    /// Vectors `[any, dims]` in the model's space; `counts` has the number of utterances of each mean.
    pub(crate) fn project(
        &self,
        vectors: &Array2<f64>,
        counts: impl Fn(usize) -> usize,
    ) -> Array2<f64> {
        let mut projected = (vectors - &self.mean).dot(&self.transform.t());
        if self.length_norm {
            for (index, mut row) in projected.rows_mut().into_iter().enumerate() {
                let of_mean = 1.0 / counts(index) as f64;
                let expected = row.iter().zip(&self.psi);
                let length: f64 = expected.map(|(u, psi)| u * u / (psi + of_mean)).sum();
                if length > 0.0 {
                    row *= (self.psi.len() as f64 / length).sqrt();
                }
            }
        }
        projected
    }

    /// Enrols the mean `projected` of `count` utterances; scores of test vectors are the ratio of
    /// `N(t | n psi / (n psi + 1) mean, 1 + psi / (n psi + 1))` and `N(t | 0, 1 + psi)`.
    pub(super) fn enrol(&self, projected: ArrayView1<f64>, count: usize) -> Enrolled {
        let n = count as f64;
        let mut offset = 0.0;
        let weights = Array1::from_iter(projected.iter().zip(&self.psi).map(|(u, psi)| {
            let mean = n * psi / (n * psi + 1.0) * u;
            let variance = 1.0 + psi / (n * psi + 1.0);
            offset += 0.5 * (((1.0 + psi) / variance).ln() - mean * mean / variance);
            mean / variance
        }));
        Enrolled { weights, offset }
    }

    /// The curvature that all models of `count` utterances share.
    pub(super) fn curvature(&self, count: usize) -> Array1<f64> {
        let n = count as f64;
        self.psi.mapv(|psi| {
            let variance = 1.0 + psi / (n * psi + 1.0);
            0.5 * (1.0 / (1.0 + psi) - 1.0 / variance)
        })
    }
}

/// Trains a model; also returns the log-likelihood per utterance after each iteration, up to a constant.
pub(super) fn train(stats: &SpeakerStats, options: PldaOptions) -> Result<(Plda, Vec<f64>)> {
    if options.iterations == 0 {
        return Err(Error::option("plda-iterations", "at least 1", "0"));
    }
    let dims = stats.means.ncols();
    let mean = stats.mean_of_means();
    let mut space = Space {
        transform: Array2::eye(dims),
        log_det: 0.0,
        psi: Array1::ones(dims),
        within: stats.within.clone(),
        means: &stats.means - &mean,
    };
    let mut log_likelihoods = Vec::new();
    for _ in 0..options.iterations {
        space.improve(&stats.counts)?;
        log_likelihoods.push(space.log_likelihood(&stats.counts));
    }
    let plda = Plda {
        mean,
        transform: space.transform,
        psi: space.psi,
        length_norm: options.length_norm,
    };
    Ok((plda, log_likelihoods))
}

/// The statistics in the space in which the current model is diagonal. There, the posterior of a speaker's mean is a product
/// over directions for any number of utterances, where Kaldi inverts a matrix per number. The iterates are the same.
struct Space {
    /// From the original space.
    transform: Array2<f64>,
    /// Logarithm of its determinant.
    log_det: f64,
    psi: Array1<f64>,
    /// Sum of squares within speakers.
    within: Array2<f64>,
    /// `[speakers, dims]`, their mean subtracted.
    means: Array2<f64>,
}

impl Space {
    /// One iteration of Kaldi's `PldaEstimator`: a speaker's mean is a place `x` between speakers and an offset `y` within,
    /// whose distributions given the mean are known.
    fn improve(&mut self, counts: &[usize]) -> Result<()> {
        let dims = self.psi.len();
        let mut place = self.means.clone();
        let mut offset = self.means.clone();
        let (mut of_places, mut of_offsets) = (Array1::zeros(dims), Array1::zeros(dims));
        for (speaker, &count) in counts.iter().enumerate() {
            let n = count as f64;
            for (dim, &psi) in self.psi.iter().enumerate() {
                let variance = psi / (n * psi + 1.0);
                let mean = self.means[[speaker, dim]];
                let expected = n * variance * mean;
                place[[speaker, dim]] = expected;
                offset[[speaker, dim]] = n.sqrt() * (mean - expected);
                of_places[dim] += variance;
                of_offsets[dim] += n * variance;
            }
        }
        let utterances = counts.iter().sum::<usize>() as f64;
        let mut between = place.t().dot(&place);
        let mut within = &self.within + &offset.t().dot(&offset);
        let mut between_diagonal = between.diag_mut();
        between_diagonal += &of_places;
        let mut within_diagonal = within.diag_mut();
        within_diagonal += &of_offsets;
        self.enter(&(within / utterances), &(between / counts.len() as f64))
    }

    /// Moves to the space in which these two covariances are the identity and diagonal.
    fn enter(&mut self, within: &Array2<f64>, between: &Array2<f64>) -> Result<()> {
        let found = diagonalise(within, between)?;
        self.transform = found.transform.dot(&self.transform);
        self.log_det += found.log_det;
        self.psi = found.values;
        self.within = found.transform.dot(&self.within).dot(&found.transform.t());
        self.means = self.means.dot(&found.transform.t());
        Ok(())
    }

    /// Kaldi's objective per utterance: the log-likelihood of offsets from the speakers' means and of the means, without
    /// constant terms.
    fn log_likelihood(&self, counts: &[usize]) -> f64 {
        let utterances = counts.iter().sum::<usize>() as f64;
        let mut sum = 2.0 * utterances * self.log_det - self.within.diag().sum();
        for (mean, &count) in self.means.axis_iter(Axis(0)).zip(counts) {
            for (value, psi) in mean.iter().zip(&self.psi) {
                let variance = psi + 1.0 / count as f64;
                sum -= variance.ln() + value * value / variance;
            }
        }
        0.5 * sum / utterances
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{array, concatenate, s};

    use super::super::speakers::Speakers;
    use super::super::tests::{draw, labelled};
    use super::*;
    use crate::eval::algebra::eigen;

    fn stats(counts: &[usize]) -> SpeakerStats {
        let between = array![[2.0, 0.0, 0.3], [0.5, 1.5, 0.0], [0.0, -0.4, 1.0]];
        let within = array![[0.6, 0.2, 0.0], [0.0, 0.4, 0.1], [0.1, 0.0, 0.5]];
        let (vectors, speakers) = draw(7, counts, &between, &within);
        let (embeddings, utt2spk) = labelled(&vectors, &speakers);
        let speakers = Speakers::of(&embeddings, &utt2spk).unwrap();
        speakers.stats(&vectors, 0.0).unwrap()
    }

    fn options(iterations: usize) -> PldaOptions {
        PldaOptions {
            iterations,
            ..PldaOptions::default()
        }
    }

    fn close(found: &Array2<f64>, expected: &Array2<f64>, gap: f64) {
        let far = (found - expected).iter().any(|far| far.abs() > gap);
        assert!(!far, "{found} {expected}");
    }

    /// With equally many utterances per speaker, the likelihood is greatest at the pooled covariance within speakers, and at
    /// the covariance of the means minus a part of it.
    #[test]
    fn training_ends_at_the_greatest_likelihood() {
        let stats = stats(&[5; 60]);
        let (plda, _) = train(&stats, options(400)).unwrap();
        let within = &stats.within / (60.0 * 4.0);
        let means = &stats.means - &stats.mean_of_means();
        let between = means.t().dot(&means) / 60.0 - &within / 5.0;
        let through = |matrix: &Array2<f64>| plda.transform.dot(matrix).dot(&plda.transform.t());
        close(&through(&within), &Array2::eye(3), 1e-8);
        close(&through(&between), &Array2::from_diag(&plda.psi), 1e-6);
    }

    #[test]
    fn covariances_of_synthetic_data_are_found() {
        let (plda, _) = train(&stats(&[8; 3000]), options(100)).unwrap();
        let between = array![[2.0, 0.0, 0.3], [0.5, 1.5, 0.0], [0.0, -0.4, 1.0]];
        let within = array![[0.6, 0.2, 0.0], [0.0, 0.4, 0.1], [0.1, 0.0, 0.5]];
        let through = |root: Array2<f64>| {
            let root = plda.transform.dot(&root);
            root.dot(&root.t())
        };
        close(&through(within), &Array2::eye(3), 0.05);
        let gap = through(between) - Array2::from_diag(&plda.psi);
        assert!(
            gap.iter().all(|gap| gap.abs() < 0.06 * plda.psi[0]),
            "{gap}"
        );
    }

    #[test]
    fn likelihood_never_falls() {
        let (_, found) = train(&stats(&[2, 9, 1, 4, 3, 7, 1, 2]), options(60)).unwrap();
        assert!(
            found.windows(2).all(|two| two[1] > two[0] - 1e-12),
            "{found:?}"
        );
        assert!(found[59] - found[58] < 1e-3 * (found[1] - found[0]));
    }

    /// Kaldi's formulas as they stand, with an inverse for each number of utterances.
    #[test]
    fn iterates_are_kaldis() {
        let counts = [2, 9, 1, 4, 3, 7];
        let stats = stats(&counts);
        let inverse = |matrix: &Array2<f64>| {
            let (values, vectors) = eigen(matrix).unwrap();
            (&vectors / &values).dot(&vectors.t())
        };
        let means = &stats.means - &stats.mean_of_means();
        let (mut within, mut between) = (Array2::eye(3), Array2::eye(3));
        for _ in 0..3 {
            let (of_within, of_between) = (inverse(&within), inverse(&between));
            (within, between) = (stats.within.clone(), Array2::zeros((3, 3)));
            for (mean, &count) in means.axis_iter(Axis(0)).zip(&counts) {
                let n = count as f64;
                let mixed = inverse(&(&of_between + &of_within * n));
                let place = mixed.dot(&of_within.dot(&mean)) * n;
                let square = |vector: Array1<f64>| {
                    let column = vector.insert_axis(Axis(1));
                    column.dot(&column.t())
                };
                between = between + &mixed + square(place.clone());
                within = within + (&mixed + &square(&mean - &place)) * n;
            }
            within /= counts.iter().sum::<usize>() as f64;
            between /= counts.len() as f64;
        }
        let (plda, _) = train(&stats, options(3)).unwrap();
        let through = |matrix: &Array2<f64>| plda.transform.dot(matrix).dot(&plda.transform.t());
        close(&through(&within), &Array2::eye(3), 1e-9);
        close(&through(&between), &Array2::from_diag(&plda.psi), 1e-9);
    }

    /// Logarithm of a normal density of mean 0.
    fn log_density(x: &Array1<f64>, covariance: &Array2<f64>) -> f64 {
        let (values, vectors) = eigen(covariance).unwrap();
        let along = vectors.t().dot(x);
        let terms = along.iter().zip(&values);
        let sum: f64 = terms
            .map(|(x, variance)| x * x / variance + (2.0 * std::f64::consts::PI * variance).ln())
            .sum();
        -0.5 * sum
    }

    /// The covariance of `count` utterances of one speaker, one below the other.
    fn joint(count: usize, within: &Array2<f64>, between: &Array2<f64>) -> Array2<f64> {
        let dims = within.nrows();
        Array2::from_shape_fn((count * dims, count * dims), |(row, column)| {
            let at = [row % dims, column % dims];
            let own = if row / dims == column / dims {
                within[at]
            } else {
                0.0
            };
            between[at] + own
        })
    }

    #[test]
    fn ratios_are_those_of_joint_densities() {
        let within = array![[1.0, 0.3], [0.3, 0.8]];
        let between = array![[2.0, -0.5], [-0.5, 0.4]];
        let found = diagonalise(&within, &between).unwrap();
        let plda = Plda {
            mean: array![0.5, -1.0],
            transform: found.transform,
            psi: found.values,
            length_norm: false,
        };
        let test = array![0.3, 1.2];
        for count in 1..5 {
            let seen = Array2::from_shape_fn((count, 2), |(row, column)| {
                ((row * 7 + column * 3) % 5) as f64 * 0.4 - 0.5
            });
            let mean = seen.sum_axis(Axis(0)) / count as f64 + &plda.mean;
            let rows = |vector: &Array1<f64>| vector.clone().insert_axis(Axis(0));
            let model = plda.project(&rows(&mean), |_| count);
            let other = plda.project(&rows(&(&test + &plda.mean)), |_| 1);
            let (enrolled, other) = (plda.enrol(model.row(0), count), other.row(0));
            let bent = &plda.curvature(count) * &other;
            let ratio = enrolled.offset + (&enrolled.weights + &bent).dot(&other);
            let seen = Array1::from_iter(seen.iter().copied());
            let all = concatenate![Axis(0), seen, test];
            let of = |x: &Array1<f64>| log_density(x, &joint(x.len() / 2, &within, &between));
            let expected = of(&all) - of(&all.slice(s![..2 * count]).to_owned()) - of(&test);
            assert!(
                (ratio - expected).abs() < 1e-10,
                "{count}: {ratio} {expected}"
            );
        }
    }

    #[test]
    fn lengths_become_those_expected() {
        let plda = Plda {
            mean: Array1::zeros(2),
            transform: Array2::eye(2),
            psi: array![3.0, 1.0],
            length_norm: true,
        };
        let found = plda.project(&array![[8.0, 0.0], [0.0, 0.0]], |_| 2);
        // A mean of two has a variance of 3.5 along the first direction.
        close(&found, &array![[7f64.sqrt(), 0.0], [0.0, 0.0]], 1e-12);
    }
}
