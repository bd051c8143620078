//! What a linear regression on speaker embeddings predicts of features, to subtract it from them (Ruggiero et al. 2025,
//! Eta-WavLM, equations of section 2): `s = A' d + b + eta`, with features `s` of every frame, the embedding `d` of its
//! utterance and the residual `eta`. `A` and `b` are those of least squares over all frames.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

use super::algebra::eigen;
use crate::error::{Error, Result};

/// Directions of embeddings whose variance is below this part of the greatest count as none: fewer speakers than dimensions
/// do not span them.
const LEAST_VARIANCE: f64 = 1e-10;

/// Sums of a regression over frames, in double precision.
#[derive(Debug, Clone)]
pub struct SpeakerRegression {
    frames: f64,
    /// Sums of embeddings `[dim]` and of features `[bins]`, each about the first one's.
    embeds: Array1<f64>,
    feats: Array1<f64>,
    /// Sums of `d d'`, `[dim, dim]`, and of `d s'`, `[dim, bins]`.
    squares: Array2<f64>,
    products: Array2<f64>,
    /// The first embedding and the first mean, which all are taken about: sums of small numbers are more exact.
    origin: (Array1<f64>, Array1<f64>),
}

impl SpeakerRegression {
    /// For embeddings of `dim` values and features of `bins`.
    pub fn new(dim: usize, bins: usize) -> Self {
        Self {
            frames: 0.0,
            embeds: Array1::zeros(dim),
            feats: Array1::zeros(bins),
            squares: Array2::zeros((dim, dim)),
            products: Array2::zeros((dim, bins)),
            origin: (Array1::zeros(dim), Array1::zeros(bins)),
        }
    }

    /// Adds an utterance: features `[frames, bins]` and its embedding `[dim]`.
    ///
    /// # Errors
    /// [`Error::Option`] for other sizes than those of before, and numbers that are not finite.
    pub fn observe(&mut self, feats: ArrayView2<f32>, embed: ArrayView1<f32>) -> Result<()> {
        check_sizes(feats, embed, (self.embeds.len(), self.feats.len()))?;
        let frames = feats.nrows() as f64;
        let embed = embed.mapv(f64::from);
        let sum = feats.mapv(f64::from).sum_axis(Axis(0));
        if self.frames == 0.0 && frames > 0.0 {
            self.origin = (embed.clone(), &sum / frames);
        }
        let (embed, sum) = (embed - &self.origin.0, sum - &self.origin.1 * frames);
        let column = embed.view().insert_axis(Axis(1));
        self.squares
            .scaled_add(frames, &column.dot(&embed.view().insert_axis(Axis(0))));
        self.products += &column.dot(&sum.view().insert_axis(Axis(0)));
        self.embeds.scaled_add(frames, &embed);
        self.feats += &sum;
        self.frames += frames;
        Ok(())
    }

    /// The map from `[d; 1]` to what is predicted, `[dim + 1, bins]`: `A` and below it `b`. Of embeddings, only the `most`
    /// directions of greatest variance take part (their principal components); 0 takes all. Where embeddings do not span
    /// all directions, `A` is the one of least norm.
    ///
    /// # Errors
    /// [`Error::Option`] for no frames, and for embeddings that are all the same.
    pub fn solve(&self, most: usize) -> Result<Array2<f64>> {
        if self.frames == 0.0 {
            return Err(Error::option("features", "at least one frame", "none"));
        }
        let (embed, mean) = (&self.embeds / self.frames, &self.feats / self.frames);
        let column = embed.view().insert_axis(Axis(1));
        let covariance =
            &self.squares / self.frames - column.dot(&embed.view().insert_axis(Axis(0)));
        let joint = &self.products / self.frames - column.dot(&mean.view().insert_axis(Axis(0)));
        let (variances, directions) = eigen(&covariance)?;
        let least = variances[0].max(f64::MIN_POSITIVE) * LEAST_VARIANCE;
        let spanned = variances
            .iter()
            .filter(|variance| **variance > least)
            .count();
        if spanned == 0 {
            let (expected, found) = ("embeddings that differ", "one of all");
            return Err(Error::option("embeddings", expected, found));
        }
        let kept = match most {
            0 => spanned,
            most => spanned.min(most),
        };
        let directions = directions.slice(s![.., ..kept]);
        let scaled = directions.t().dot(&joint) / variances.slice(s![..kept]).insert_axis(Axis(1));
        let linear = directions.dot(&scaled);
        let (embed, mean) = (embed + &self.origin.0, mean + &self.origin.1);
        let constant = mean - embed.dot(&linear);
        let mut map = Array2::zeros((linear.nrows() + 1, linear.ncols()));
        map.slice_mut(s![..-1, ..]).assign(&linear);
        map.row_mut(embed.len()).assign(&constant);
        Ok(map)
    }
}

/// Subtracts from features `[frames, bins]` what `map`, `[dim + 1, bins]`, predicts from an embedding `[dim]`.
///
/// # Errors
/// [`Error::Option`] for sizes that are not those of the map, and numbers that are not finite.
pub fn subtract_speaker(
    map: &Array2<f64>,
    feats: &mut Array2<f32>,
    embed: ArrayView1<f32>,
) -> Result<()> {
    let dim = map.nrows().saturating_sub(1);
    check_sizes(feats.view(), embed, (dim, map.ncols()))?;
    let predicted = embed.mapv(f64::from).dot(&map.slice(s![..dim, ..])) + map.row(dim);
    for mut row in feats.rows_mut() {
        row.zip_mut_with(&predicted, |value, predicted| {
            *value = (f64::from(*value) - predicted) as f32;
        });
    }
    Ok(())
}

fn check_sizes(
    feats: ArrayView2<f32>,
    embed: ArrayView1<f32>,
    (dim, bins): (usize, usize),
) -> Result<()> {
    for (name, expected, found) in [
        ("embedding", dim, embed.len()),
        ("features", bins, feats.ncols()),
    ] {
        if expected != found {
            let expected = format!("{expected} values, as the regression has");
            return Err(Error::option(name, expected, found.to_string()));
        }
    }
    match (feats.iter().chain(embed.iter())).find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(odd) => Err(Error::option("values", "finite numbers", odd.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Features and embeddings of utterances, of embeddings that span `rank` directions.
    fn corpus(dim: usize, rank: usize) -> Vec<(Array2<f32>, Array1<f32>)> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut normal = |rows: usize, columns: usize| {
            Array2::from_shape_fn((rows, columns), |_| rng.random_range(-1.0f32..1.0))
        };
        let (basis, effect) = (normal(rank, dim), normal(dim, 4));
        let utterance = |at: usize| {
            let embed = normal(1, rank).dot(&basis).row(0).to_owned() + 3.0;
            let feats = normal(5 + at % 7, 4) + &embed.dot(&effect) + 20.0;
            (feats, embed)
        };
        (0..40).map(utterance).collect()
    }

    fn fitted(corpus: &[(Array2<f32>, Array1<f32>)]) -> SpeakerRegression {
        let (feats, embed) = &corpus[0];
        let mut regression = SpeakerRegression::new(embed.len(), feats.ncols());
        for (feats, embed) in corpus {
            regression.observe(feats.view(), embed.view()).unwrap();
        }
        regression
    }

    /// What is left over is orthogonal to the embeddings and to one: the condition of least squares.
    #[test]
    fn the_residual_is_that_of_least_squares() {
        for (dim, rank) in [(3, 3), (6, 2), (60, 5)] {
            let corpus = corpus(dim, rank);
            let map = fitted(&corpus).solve(0).unwrap();
            let mut sums = Array2::<f64>::zeros((dim + 1, 4));
            for (feats, embed) in &corpus {
                let mut left = feats.clone();
                subtract_speaker(&map, &mut left, embed.view()).unwrap();
                let left = left.mapv(f64::from).sum_axis(Axis(0));
                for (row, value) in embed.iter().chain([&1.0]).enumerate() {
                    sums.row_mut(row).scaled_add(f64::from(*value), &left);
                }
            }
            assert!(
                sums.iter().all(|sum| sum.abs() < 2e-3),
                "{dim} {rank}: {sums}"
            );
        }
    }

    #[test]
    fn principal_components_limit_what_is_removed() {
        let corpus = corpus(6, 6);
        let regression = fitted(&corpus);
        let left = |most: usize| -> f64 {
            let map = regression.solve(most).unwrap();
            let power = |(feats, embed): &(Array2<f32>, Array1<f32>)| {
                let mut left = feats.clone();
                subtract_speaker(&map, &mut left, embed.view()).unwrap();
                left.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>()
            };
            corpus.iter().map(power).sum()
        };
        let powers: Vec<f64> = (1..=6).map(left).collect();
        assert!(
            powers.windows(2).all(|pair| pair[1] <= pair[0] + 1e-6),
            "{powers:?}"
        );
        assert!(powers[0] > 1.2 * powers[5], "{powers:?}");
        assert!((left(0) - powers[5]).abs() < 1e-6 && (left(99) - powers[5]).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let mut regression = SpeakerRegression::new(2, 3);
        let message = |result: Result<()>| result.unwrap_err().to_string();
        let (feats, embed) = (Array2::<f32>::zeros((4, 3)), Array1::<f32>::zeros(2));
        assert!(
            regression
                .solve(0)
                .unwrap_err()
                .to_string()
                .starts_with("features: expected at least one frame")
        );
        regression.observe(feats.view(), embed.view()).unwrap();
        assert_eq!(
            regression.solve(0).unwrap_err().to_string(),
            "embeddings: expected embeddings that differ, found one of all"
        );
        let wide = Array2::<f32>::zeros((4, 5));
        assert_eq!(
            message(regression.observe(wide.view(), embed.view())),
            "features: expected 3 values, as the regression has, found 5"
        );
        let long = Array1::<f32>::zeros(3);
        assert_eq!(
            message(regression.observe(feats.view(), long.view())),
            "embedding: expected 2 values, as the regression has, found 3"
        );
        let odd = Array1::from(vec![f32::NAN, 0.0]);
        assert_eq!(
            message(regression.observe(feats.view(), odd.view())),
            "values: expected finite numbers, found NaN"
        );
    }
}
