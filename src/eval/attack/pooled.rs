//! Statistics over the frames of every utterance, in one pass: of an utterance a few vectors stay, whatever its length.

use std::collections::HashSet;

use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::source::Source;
use super::speakers::SpeakerSet;
use crate::error::{Error, Result};
use crate::eval::trials::probit;

/// Dimensions of which covariances are taken; more are projected to as many.
const COVARIANCE_DIMS: usize = 90;
/// Values that codes of few bits take at most.
const FEW_VALUES: usize = 64;

/// What is pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// The mean of every dimension.
    Mean,
    /// Mean and standard deviation.
    MeanDeviation,
    /// The covariance of every two dimensions, around the utterance's own mean.
    Covariance,
}

impl Statistic {
    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "means",
            Self::MeanDeviation => "means and deviations",
            Self::Covariance => "covariances",
        }
    }
}

/// The statistics of a set of utterances.
#[derive(Debug)]
pub struct Pooled {
    /// By statistic `[utterances, values]`, in the order of the set.
    pub statistics: Vec<(Statistic, Array2<f32>)>,
    /// Frames of each utterance.
    pub frames: Vec<usize>,
    /// Values per frame.
    pub dims: usize,
    /// Whether frames repeat and take few values, so that they have durations.
    pub has_durations: bool,
}

impl Pooled {
    /// Reads a source whose utterances are those of `set`.
    ///
    /// # Errors
    /// As [`Source::each`]; [`Error::Key`] for an utterance that one side lacks, or that stands twice; [`Error::Format`] for
    /// utterances that do not differ.
    pub fn read(source: &Source, set: &SpeakerSet) -> Result<Self> {
        let mut gathered = Gathered::default();
        let mut read = vec![false; set.len()];
        source.each(|key, rows| {
            let wrong =
                |expected: &str, found: &str| Err(Error::key(source.path(), key, expected, found));
            let Some(place) = set.position(key) else {
                return wrong(
                    &format!("an utterance of {}", set.path().display()),
                    "another",
                );
            };
            if std::mem::replace(&mut read[place], true) {
                return wrong("each key once", "it again");
            }
            gathered.add(place, set.len(), rows, source.is_symbolic());
            Ok(())
        })?;
        if let Some(place) = read.iter().position(|read| !read) {
            let expected = format!("every utterance of {}", set.path().display());
            return Err(Error::key(source.path(), set.key(place), expected, "none"));
        }
        let pooled = gathered.finish();
        if is_constant(&pooled.statistics) {
            let expected = "features that differ between utterances";
            return Err(Error::format(source.path(), expected, "constant ones"));
        }
        Ok(pooled)
    }
}

/// Whether all utterances have the same statistics, up to rounding.
fn is_constant(statistics: &[(Statistic, Array2<f32>)]) -> bool {
    let same = |a: &f32, b: &f32| (a - b).abs() <= 1e-6 * a.abs().max(1.0);
    let constant = |vectors: &Array2<f32>| {
        let first = vectors.row(0);
        vectors
            .rows()
            .into_iter()
            .all(|row| row.iter().zip(first).all(|(a, b)| same(a, b)))
    };
    statistics.iter().all(|(_, vectors)| constant(vectors))
}

/// Statistics on the way.
#[derive(Default)]
struct Gathered {
    means: Array2<f32>,
    deviations: Array2<f32>,
    covariances: Option<Array2<f32>>,
    projection: Option<Array2<f32>>,
    values: HashSet<u32>,
    repeats: bool,
    frames: Vec<usize>,
}

impl Gathered {
    fn add(&mut self, place: usize, utterances: usize, rows: Array2<f32>, symbolic: bool) {
        let dims = rows.ncols();
        if self.means.is_empty() {
            self.means = Array2::zeros((utterances, dims));
            self.deviations = Array2::zeros((utterances, dims));
            self.frames = vec![0; utterances];
            let kept = dims.min(COVARIANCE_DIMS);
            self.projection = (kept < dims && !symbolic).then(|| projection(dims, kept, 0));
            self.covariances =
                (!symbolic).then(|| Array2::zeros((utterances, kept * (kept + 1) / 2)));
        }
        self.frames[place] = rows.nrows();
        self.look_for_durations(&rows);
        let rows64 = rows.mapv(f64::from);
        let Some(mean) = rows64.mean_axis(Axis(0)) else {
            return; // Nothing was said: zeros.
        };
        let deviation = rows64.std_axis(Axis(0), 0.0);
        self.means.row_mut(place).assign(&single(&mean));
        self.deviations.row_mut(place).assign(&single(&deviation));
        if let Some(covariances) = &mut self.covariances {
            let centred = rows - &single(&mean);
            let centred = match &self.projection {
                Some(projection) => centred.dot(projection),
                None => centred,
            };
            let matrix = centred.t().dot(&centred) / centred.nrows() as f32;
            covariances.row_mut(place).assign(&upper(&matrix));
        }
    }

    fn look_for_durations(&mut self, rows: &Array2<f32>) {
        if self.values.len() <= FEW_VALUES {
            self.values.extend(rows.iter().map(|value| value.to_bits()));
        }
        let frames = rows.nrows();
        self.repeats |= (1..frames).any(|frame| rows.row(frame) == rows.row(frame - 1));
    }

    fn finish(self) -> Pooled {
        let dims = self.means.ncols();
        let both = ndarray::concatenate(Axis(1), &[self.means.view(), self.deviations.view()]);
        let mut statistics = vec![(Statistic::Mean, self.means)];
        // A single frame neither deviates nor varies.
        if self.frames.iter().any(|frames| *frames > 1) {
            let both = both.expect("of as many rows");
            statistics.push((Statistic::MeanDeviation, both));
            let covariances = self.covariances.map(of_one_scale);
            statistics.extend(covariances.map(|vectors| (Statistic::Covariance, vectors)));
        }
        Pooled {
            statistics,
            frames: self.frames,
            dims,
            has_durations: self.repeats && self.values.len() <= FEW_VALUES,
        }
    }
}

fn single(values: &Array1<f64>) -> Array1<f32> {
    values.mapv(|value| value as f32)
}

/// The upper triangle of a symmetric matrix, row by row.
fn upper(matrix: &Array2<f32>) -> Array1<f32> {
    let rows = matrix.rows().into_iter().enumerate();
    rows.flat_map(|(row, values)| values.slice(s![row..]).to_vec())
        .collect()
}

/// Covariances of dimensions of mean variance 1 over the utterances: `c_ij / sqrt(v_i v_j)`.
fn of_one_scale(mut covariances: Array2<f32>) -> Array2<f32> {
    let values = covariances.ncols();
    let dims = ((2.0 * values as f64 + 0.25).sqrt() - 0.5).round() as usize;
    let means = covariances
        .mean_axis(Axis(0))
        .expect("at least one utterance");
    // Row `i` of the triangle begins behind `dims + (dims - 1) + ...` values, with its own variance.
    let begins = (0..dims).scan(0, |begin, row| {
        Some(std::mem::replace(begin, *begin + dims - row))
    });
    let scale = |variance: f32| match variance > 0.0 {
        true => variance.sqrt().recip(),
        false => 0.0,
    };
    let scales: Vec<f32> = begins.map(|begin| scale(means[begin])).collect();
    let pairs = (0..dims).flat_map(|row| (row..dims).map(move |column| (row, column)));
    let all: Vec<f32> = pairs
        .map(|(row, column)| scales[row] * scales[column])
        .collect();
    covariances *= &ArrayView1::from(&all);
    covariances
}

/// A random projection `[from, to]` that keeps lengths on average (Johnson and Lindenstrauss 1984).
pub(super) fn projection(from: usize, to: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let scale = (to as f64).sqrt().recip();
    Array2::from_shape_simple_fn((from, to), || {
        (scale * probit(rng.random_range(1e-9..1.0 - 1e-9))) as f32
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn statistics_are_those_of_the_frames() {
        let mut gathered = Gathered::default();
        gathered.add(1, 2, array![[1.0, 4.0], [3.0, 0.0]], false);
        gathered.add(0, 2, array![[0.0, 1.0], [0.0, 1.0], [6.0, 1.0]], false);
        let pooled = gathered.finish();
        assert!(pooled.has_durations && pooled.dims == 2);
        let [(_, means), (_, both), (_, covariances)] = &pooled.statistics[..] else {
            panic!("{pooled:?}")
        };
        assert_eq!(*means, array![[2.0, 1.0], [2.0, 2.0]]);
        assert_eq!(both.row(1), array![2.0, 2.0, 1.0, 2.0]);
        // 8, 0, 0 and 1, -2, 4, over mean variances of 4.5 and 2.
        let expected = array![[8.0 / 4.5, 0.0, 0.0], [1.0 / 4.5, -2.0 / 3.0, 2.0f32]];
        assert!(
            (covariances - &expected).iter().all(|gap| gap.abs() < 1e-6),
            "{covariances}"
        );
    }

    #[test]
    fn projections_keep_lengths() {
        let projected = Array2::<f32>::ones((1, 200)).dot(&projection(200, 90, 0));
        let length = projected.mapv(|value| value * value).sum();
        assert!((length / 200.0 - 1.0).abs() < 0.5, "{length}");
    }
}
