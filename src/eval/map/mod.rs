//! Maps in few dimensions: principal components (Pearson 1901, Hotelling 1933) and t-SNE (van der Maaten and Hinton
//! 2008, "Visualizing data using t-SNE"), which keeps neighbours together; its distances between groups mean little.
//! `items` reads the vectors.

mod items;

use ndarray::{Array2, ArrayView1, Axis, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use items::{Draw, LEAST_ITEMS, MapItems, label};

use super::algebra::eigen;
use super::check_vectors;
use crate::error::{Error, Result};

/// How many numbers become two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MapMethod {
    /// Principal components.
    Pca,
    /// t-SNE.
    Tsne,
}

impl MapMethod {
    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pca => "principal components",
            Self::Tsne => "t-SNE",
        }
    }

    /// Names of the horizontal and the vertical axis; empty where they have no meaning.
    pub fn axes(self) -> [&'static str; 2] {
        match self {
            Self::Pca => ["first component", "second component"],
            Self::Tsne => ["", ""],
        }
    }

    /// The map of `[items, numbers]`, `[items, 2]`; `options` are those of t-SNE.
    ///
    /// # Errors
    /// As [`pca`] and [`tsne`].
    pub fn map(self, vectors: &Array2<f64>, options: &TsneOptions) -> Result<Array2<f64>> {
        match self {
            Self::Pca => pca(vectors, 2),
            Self::Tsne => tsne(vectors, options),
        }
    }
}

/// The first `dims` principal components of `[items, numbers]`, `[items, dims]`, greatest first. The sign of each is such
/// that the item farthest from 0 is positive, so that pictures are reproducible. Components without variance are 0.
///
/// # Errors
/// [`Error::Option`] `vectors` for no item, no number, or ones that are not finite; also where the
/// decomposition fails, as for numbers whose squares are too great.
pub fn pca(vectors: &Array2<f64>, dims: usize) -> Result<Array2<f64>> {
    check_vectors("vectors", vectors, 1)?;
    let (items, numbers) = vectors.dim();
    let centred = centred(vectors);
    let kept = dims.min(items).min(numbers);
    // Of the two matrices with the same eigenvalues the smaller.
    let places = if numbers <= items {
        let (_, axes) = eigen(&centred.t().dot(&centred))?;
        centred.dot(&axes.slice(s![.., ..kept]))
    } else {
        let (values, sides) = eigen(&centred.dot(&centred.t()))?;
        let lengths = values.mapv(|value| value.max(0.0).sqrt());
        &sides.slice(s![.., ..kept]) * &lengths.slice(s![..kept])
    };
    let mut map = Array2::zeros((items, dims));
    for (mut column, number) in map.columns_mut().into_iter().zip(0..kept) {
        let values = places.column(number);
        let far = values.iter().fold(
            0.0,
            |far: f64, &value| if value.abs() > far.abs() { value } else { far },
        );
        let sign = if far < 0.0 { -1.0 } else { 1.0 };
        column.assign(&(&values * sign));
    }
    Ok(map)
}

fn centred(vectors: &Array2<f64>) -> Array2<f64> {
    vectors - &(vectors.sum_axis(Axis(0)) / vectors.nrows() as f64)
}

/// Options of t-SNE.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TsneOptions {
    /// Effective number of neighbours of an item: above 1, at most a third of the others. None: 30, or that third if it
    /// is less.
    pub perplexity: Option<f64>,
    /// Steps of gradient descent.
    pub iterations: usize,
    /// Seed of the noise on the initial positions.
    pub seed: u64,
}

impl Default for TsneOptions {
    fn default() -> Self {
        Self {
            perplexity: None,
            iterations: 1000,
            seed: 0,
        }
    }
}

/// The most items of t-SNE: every pair of them takes 8 bytes, 200 MB in all.
pub const MOST_ITEMS: usize = 5000;
/// Steps under which attraction is exaggerated, and how much (van der Maaten 2014).
const EXAGGERATED: usize = 250;
const EXAGGERATION: f64 = 12.0;

/// A map of `[items, numbers]`, `[items, 2]`, exact: over all pairs. Runs on the threads of rayon's current pool; the result
/// does not depend on their number.
///
/// Departs from the paper where later work found better choices: initial positions are the first two principal components,
/// scaled down (Kobak and Berens 2019), with noise that separates equal items; attraction is exaggerated twelvefold for the
/// first 250 steps; the learning rate is the number of items divided by twelve, at least 50 (Belkina et al. 2019).
///
/// # Errors
/// [`Error::Option`] `vectors` for less than 5 items, more than [`MOST_ITEMS`], no number, or ones that are not finite;
/// `perplexity` outside its range; `iterations` of 0 or more than 100000.
pub fn tsne(vectors: &Array2<f64>, options: &TsneOptions) -> Result<Array2<f64>> {
    check_vectors("vectors", vectors, 5)?;
    let items = vectors.nrows();
    if items > MOST_ITEMS {
        return Err(Error::option(
            "vectors",
            format!("at most {MOST_ITEMS}"),
            items.to_string(),
        ));
    }
    if !(1..=100_000).contains(&options.iterations) {
        return Err(Error::option(
            "iterations",
            "1 to 100000",
            options.iterations.to_string(),
        ));
    }
    let pull = affinities(vectors, perplexity(options, items)?);
    let mut map = Map::start(vectors, options.seed)?;
    let rate = (items as f64 / EXAGGERATION).max(50.0);
    for step in 0..options.iterations {
        let (exaggeration, momentum) = match step < EXAGGERATED {
            true => (EXAGGERATION, 0.5),
            false => (1.0, 0.8),
        };
        let slope = slope(&pull, &map.places, exaggeration);
        map.step(&slope, rate, momentum);
    }
    let places = map.places.into_iter().flatten().collect();
    Ok(centred(
        &Array2::from_shape_vec((items, 2), places)
            .map_err(|error| Error::Torch(error.to_string()))?,
    ))
}

fn perplexity(options: &TsneOptions, items: usize) -> Result<f64> {
    let most = (items - 1) as f64 / 3.0;
    let found = options.perplexity.unwrap_or(most.min(30.0));
    if found > 1.0 && found <= most {
        return Ok(found);
    }
    let expected = format!(
        "above 1, and at most a third of the {} other items",
        items - 1
    );
    Err(Error::option("perplexity", expected, found.to_string()))
}

/// How likely two items are neighbours, equation 1 and its mean over both directions; all sum to 1. `[items, items]`.
fn affinities(vectors: &Array2<f64>, perplexity: f64) -> Array2<f64> {
    let vectors = centred(vectors);
    // Only ratios of distances matter, and squares of the greatest numbers would overflow.
    let size = vectors.fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let vectors = vectors / size;
    let items = vectors.nrows();
    let mut towards = Array2::zeros((items, items));
    let rows = towards.axis_iter_mut(Axis(0)).into_par_iter().enumerate();
    rows.for_each(|(item, mut row)| {
        let own = vectors.row(item);
        let squared =
            |other: ArrayView1<f64>| own.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum();
        let distances: Vec<f64> = vectors.rows().into_iter().map(squared).collect();
        row.assign(&ArrayView1::from(&neighbours(
            item,
            &distances,
            perplexity.ln(),
        )));
    });
    (&towards + &towards.t()) / (2 * items) as f64
}

/// How likely an item takes each other for its neighbour, by squared distances, such that the entropy is `entropy` nats;
/// where many others are equally near it stays above.
fn neighbours(item: usize, distances: &[f64], entropy: f64) -> Vec<f64> {
    let others = || (0..distances.len()).filter(|&other| other != item);
    let nearest = others()
        .map(|other| distances[other])
        .fold(f64::INFINITY, f64::min);
    let mean = others()
        .map(|other| distances[other] - nearest)
        .sum::<f64>()
        / distances.len() as f64;
    let mut narrowness = 1.0 / mean.max(f64::MIN_POSITIVE.sqrt());
    let (mut least, mut most) = (0.0, f64::INFINITY);
    let mut likely = vec![0.0; distances.len()];
    for _ in 0..64 {
        let (mut sum, mut weighted) = (0.0, 0.0);
        for other in others() {
            let beyond = narrowness * (distances[other] - nearest);
            likely[other] = (-beyond).exp();
            sum += likely[other];
            weighted += beyond * likely[other];
        }
        likely.iter_mut().for_each(|value| *value /= sum);
        let found = sum.ln() + weighted / sum;
        if (found - entropy).abs() < 1e-6 {
            break;
        }
        if found > entropy {
            least = narrowness;
        } else {
            most = narrowness;
        }
        narrowness = if most.is_finite() {
            (least + most) / 2.0
        } else {
            2.0 * narrowness
        };
    }
    likely
}

/// The gradient of the cost, equation 5, per item. Each row is summed in its order, independent of threads.
fn slope(pull: &Array2<f64>, places: &[[f64; 2]], exaggeration: f64) -> Vec<[f64; 2]> {
    let forces = places
        .par_iter()
        .zip(pull.axis_iter(Axis(0)).into_par_iter());
    let forces: Vec<([f64; 2], [f64; 2], f64)> =
        forces.map(|(own, pull)| force(own, pull, places)).collect();
    let all: f64 = forces.iter().map(|(_, _, near)| near).sum();
    let net = |along: usize, force: &([f64; 2], [f64; 2], f64)| {
        4.0 * (exaggeration * force.0[along] - force.1[along] / all)
    };
    forces
        .iter()
        .map(|force| [net(0, force), net(1, force)])
        .collect()
}

/// Attraction, unnormalised repulsion, and the item's part of its normalisation.
fn force(own: &[f64; 2], pull: ArrayView1<f64>, places: &[[f64; 2]]) -> ([f64; 2], [f64; 2], f64) {
    let (mut towards, mut away, mut all) = ([0.0; 2], [0.0; 2], 0.0);
    for (other, pull) in places.iter().zip(pull) {
        let (x, y) = (own[0] - other[0], own[1] - other[1]);
        let near = 1.0 / (1.0 + x * x + y * y);
        let (drawn, pushed) = (pull * near, near * near);
        towards = [towards[0] + drawn * x, towards[1] + drawn * y];
        away = [away[0] + pushed * x, away[1] + pushed * y];
        all += near;
    }
    // Without the item itself, whose affinity is 1.
    (towards, away, all - 1.0)
}

/// The state of the descent.
struct Map {
    places: Vec<[f64; 2]>,
    speeds: Vec<[f64; 2]>,
    gains: Vec<[f64; 2]>,
}

impl Map {
    fn start(vectors: &Array2<f64>, seed: u64) -> Result<Self> {
        let components = pca(vectors, 2)?;
        let first = components.column(0);
        let deviation = first.dot(&first) / first.len() as f64;
        let scale = 1e-4 / deviation.sqrt().max(f64::MIN_POSITIVE.sqrt());
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut place = |component: f64| {
            let noise: f64 = StandardNormal.sample(&mut generator);
            component * scale + 1e-5 * noise
        };
        let rows = components.rows().into_iter();
        let places: Vec<[f64; 2]> = rows.map(|row| [place(row[0]), place(row[1])]).collect();
        Ok(Self {
            speeds: vec![[0.0; 2]; places.len()],
            gains: vec![[1.0; 2]; places.len()],
            places,
        })
    }

    /// A step with momentum and a gain for each number, as in the authors' code (Jacobs 1988).
    fn step(&mut self, slope: &[[f64; 2]], rate: f64, momentum: f64) {
        let numbers = self
            .places
            .as_flattened_mut()
            .iter_mut()
            .zip(self.speeds.as_flattened_mut());
        let numbers = numbers
            .zip(self.gains.as_flattened_mut())
            .zip(slope.as_flattened());
        for (((place, speed), gain), slope) in numbers {
            *gain = match (*slope > 0.0) == (*speed > 0.0) {
                true => (*gain * 0.8).max(0.01),
                false => *gain + 0.2,
            };
            *speed = momentum * *speed - rate * *gain * slope;
            *place += *speed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::images::tests::golden;
    use ndarray::array;

    /// Three clusters in five dimensions, 20 items each, interleaved.
    fn clusters() -> Array2<f64> {
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        Array2::from_shape_fn((60, 5), |(item, dim)| {
            let noise: f64 = StandardNormal.sample(&mut generator);
            noise + if dim == item % 3 { 12.0 } else { 0.0 }
        })
    }

    /// The greatest distance within a cluster and the least between two.
    fn apart(map: &Array2<f64>) -> (f64, f64) {
        let (mut within, mut between) = (0.0f64, f64::INFINITY);
        for a in 0..60 {
            for b in 0..a {
                let distance = (&map.row(a) - &map.row(b))
                    .mapv(|gap| gap * gap)
                    .sum()
                    .sqrt();
                match a % 3 == b % 3 {
                    true => within = within.max(distance),
                    false => between = between.min(distance),
                }
            }
        }
        (within, between)
    }

    #[test]
    fn clusters_stay_apart() {
        let map = pca(&clusters(), 2).unwrap();
        let (within, between) = apart(&map);
        assert!(between > within, "{within} {between}");
        let map = tsne(&clusters(), &TsneOptions::default()).unwrap();
        let (within, between) = apart(&map);
        assert!(between > within, "{within} {between}");
        assert!(map.sum_axis(Axis(0)).iter().all(|sum| sum.abs() < 1e-6));
    }

    #[test]
    fn a_seed_is_a_map_on_any_threads() {
        let options = TsneOptions {
            iterations: 300,
            ..TsneOptions::default()
        };
        let one = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let map = tsne(&clusters(), &options).unwrap();
        assert_eq!(one.install(|| tsne(&clusters(), &options)).unwrap(), map);
        let other = TsneOptions { seed: 1, ..options };
        assert_ne!(tsne(&clusters(), &other).unwrap(), map);
    }

    #[test]
    fn affinities_are_those_of_scikit_learn() {
        for case in golden().affinities {
            let found = affinities(&case.vectors(), case.perplexity);
            for (ours, theirs) in found.iter().zip(case.affinities.iter().flatten()) {
                assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn components_are_ordered_and_turned_the_same_way() {
        let wide = array![
            [3.0, 0.0, 1.0],
            [-1.0, 0.0, 1.0],
            [-1.0, 1.0, 1.0],
            [-1.0, -1.0, 1.0]
        ];
        let expected = array![[3.0, 0.0], [-1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]];
        let found = pca(&wide, 3).unwrap();
        for (row, expected) in found.rows().into_iter().zip(expected.rows()) {
            assert!(
                (row[0] - expected[0]).abs() < 1e-9 && row[2].abs() < 1e-9,
                "{found}"
            );
            assert!((row[1].abs() - expected[1].abs()).abs() < 1e-9, "{found}");
        }
        // More numbers than items: the other matrix, the same places.
        let long = Array2::from_shape_fn(
            (4, 9),
            |(item, dim)| if dim < 3 { wide[[item, dim]] } else { 5.0 },
        );
        let gap = (pca(&long, 3).unwrap().mapv(f64::abs) - found.mapv(f64::abs)).mapv(f64::abs);
        assert!(gap.iter().all(|&gap| gap < 1e-6), "{gap}");
    }

    #[test]
    fn equal_items_have_a_map() {
        let map = tsne(&Array2::zeros((6, 2)), &TsneOptions::default()).unwrap();
        assert!(map.iter().all(|value| value.is_finite()), "{map}");
    }

    #[test]
    fn invalid_input_is_refused() {
        let set = Array2::zeros((10, 2));
        let with = |perplexity, iterations| TsneOptions {
            perplexity,
            iterations,
            seed: 0,
        };
        for (set, options, expected) in [
            (
                &Array2::zeros((4, 2)),
                with(None, 10),
                "vectors: expected at least 5 vectors",
            ),
            (
                &Array2::zeros((5001, 1)),
                with(None, 10),
                "vectors: expected at most 5000, found 5001",
            ),
            (
                &set,
                with(Some(3.5), 10),
                "perplexity: expected above 1, and at most a third of the 9",
            ),
            (
                &set,
                with(Some(f64::NAN), 10),
                "perplexity: expected above 1",
            ),
            (
                &set,
                with(None, 0),
                "iterations: expected 1 to 100000, found 0",
            ),
        ] {
            let error = tsne(set, &options).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
