//! K-means: Lloyd's algorithm with k-means++ initialisation (Arthur and Vassilvitskii 2007).

use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::codebook::{Codebook, MOST_CLUSTERS, squared_distance};
use super::items::{Items, LEAST_ITEMS, Step};
use super::lloyd::Lloyd;
use crate::error::{Error, Result};

/// Options of k-means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KmeansOptions {
    /// Clusters, 1 to [`MOST_CLUSTERS`].
    pub clusters: usize,
    /// The most steps of Lloyd's algorithm, at least 1.
    pub steps: usize,
    /// Initialisations, at least 1; the one with the least mean squared distance at the end is kept.
    pub n_init: usize,
    /// Seed of the initialisations.
    pub seed: u64,
}

impl Default for KmeansOptions {
    fn default() -> Self {
        Self {
            clusters: 100,
            steps: 100,
            n_init: 1,
            seed: 0,
        }
    }
}

/// The result of k-means.
#[derive(Debug, Clone, PartialEq)]
pub struct Kmeans {
    /// The centroids, in single precision.
    pub codebook: Codebook,
    /// The unit of every item.
    pub units: Vec<usize>,
    /// Steps taken.
    pub steps: usize,
    /// Whether the last step changed no assignment.
    pub converged: bool,
    /// Mean squared distance of items to their centroids.
    pub distortion: f64,
}

/// The random stream of the first initialisation; later ones use the following streams, and the stream before it draws samples.
const START_STREAM: u64 = 1;

/// Clusters `items`, finite and `[items, dims]`, by Euclidean distance. The result does not depend on the number of threads:
/// sums are in f64, in the order of the items.
///
/// # Errors
/// [`Error::Option`] for no cluster, more than [`MOST_CLUSTERS`] or than different items, no step, or no start.
pub fn kmeans(items: &Array2<f32>, options: &KmeansOptions) -> Result<Kmeans> {
    best_of_starts(items, options, || {
        let mut lloyd = Lloyd::default();
        move |items: &Items, book: &Codebook| lloyd.step(items, book)
    })
}

/// Steps from each initialisation until no unit changes; returns the best result. `steps` gives the steps of one.
pub(super) fn best_of_starts<S: FnMut(&Items, &Codebook) -> Step>(
    items: &Array2<f32>,
    options: &KmeansOptions,
    steps: impl Fn() -> S,
) -> Result<Kmeans> {
    check(items, options)?;
    let items = items.as_standard_layout();
    let items = Items {
        values: items.as_slice().expect("the standard layout is one slice"),
        dims: items.ncols(),
    };
    let mut best: Option<Kmeans> = None;
    for number in 0..options.n_init {
        let start = start(&items, options, number)?;
        let found = settle(&items, start, options.steps, steps());
        let nearer = |best: &Kmeans| found.distortion < best.distortion;
        if best.as_ref().is_none_or(nearer) {
            best = Some(found);
        }
    }
    Ok(best.expect("at least one start was checked"))
}

fn settle(
    items: &Items,
    start: Array2<f64>,
    most_steps: usize,
    mut step: impl FnMut(&Items, &Codebook) -> Step,
) -> Kmeans {
    let mut book = Codebook::new(start);
    let (mut units, mut steps, mut converged) = (Vec::new(), 0, false);
    while steps < most_steps && !converged {
        let now = step(items, &book);
        converged = now.units == units;
        if !converged {
            book = Codebook::new(now.centroids);
            units = now.units;
        }
        steps += 1;
    }
    // In the precision of the file.
    let codebook = Codebook::new(book.centroids().mapv(f64::from));
    let units = step(items, &codebook).units;
    Kmeans {
        distortion: items.distortion(&units, &codebook),
        codebook,
        units,
        steps,
        converged,
    }
}

fn check(items: &Array2<f32>, options: &KmeansOptions) -> Result<()> {
    let most = MOST_CLUSTERS.min(items.nrows());
    if items.is_empty() || !(1..=most).contains(&options.clusters) {
        let expected = format!("1 to {most}, of {} frames", items.nrows());
        let found = options.clusters.to_string();
        return Err(Error::option("--clusters", expected, found));
    }
    for (name, value) in [("--steps", options.steps), ("--n-init", options.n_init)] {
        if value == 0 {
            return Err(Error::option(name, "at least 1", "0"));
        }
    }
    Ok(())
}

/// K-means++: each next centroid is an item, drawn with probability proportional to its squared distance to the nearest one before.
fn start(items: &Items, options: &KmeansOptions, number: usize) -> Result<Array2<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    rng.set_stream(START_STREAM + number as u64);
    let count = items.count();
    let mut centroids = Array2::zeros((options.clusters, items.dims));
    let mut far = vec![f64::INFINITY; count];
    let mut item = rng.random_range(0..count);
    for cluster in 0..options.clusters {
        if cluster > 0 {
            item = draw(&far, &mut rng).ok_or_else(|| {
                let expected = format!("at most {cluster}, as many as frames that differ");
                Error::option("--clusters", expected, options.clusters.to_string())
            })?;
        }
        let centre: Vec<f64> = items.get(item).iter().map(|&v| v.into()).collect();
        far.par_iter_mut()
            .enumerate()
            .with_min_len(LEAST_ITEMS)
            .for_each(|(item, far)| *far = far.min(squared_distance(items.get(item), &centre)));
        centroids.row_mut(cluster).assign(&ndarray::aview1(&centre));
    }
    Ok(centroids)
}

/// An item, drawn with probability proportional to its weight; none when all are 0.
fn draw(weights: &[f64], rng: &mut ChaCha8Rng) -> Option<usize> {
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let aim = rng.random_range(0.0..total);
    let mut sum = 0.0;
    weights.iter().position(|weight| {
        sum += weight;
        sum > aim
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// Items around `groups` distant points.
    fn groups(groups: usize, each: usize) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        Array2::from_shape_fn((groups * each, 5), |(item, dim)| {
            let group = item % groups;
            let place = if group % 5 == dim { 50.0 } else { 0.0 } + 20.0 * (group / 5) as f32;
            place + rng.random_range(-1.0..1.0)
        })
    }

    fn options(clusters: usize) -> KmeansOptions {
        KmeansOptions {
            clusters,
            ..KmeansOptions::default()
        }
    }

    #[test]
    fn groups_far_apart_become_clusters() {
        let items = groups(8, 400);
        let found = kmeans(&items, &options(8)).unwrap();
        assert!(found.converged && found.steps < 20);
        // Variance of a uniform draw of width 2 is 1/3, five times.
        assert!((found.distortion - 5.0 / 3.0).abs() < 0.05, "{found:?}");
        let units = found.codebook.nearest(items.view());
        for (item, nearest) in units.iter().enumerate() {
            assert_eq!(nearest.unit, units[item % 8].unit);
        }
    }

    #[test]
    fn threads_change_nothing() {
        let items = groups(10, 500);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap()
                .install(|| kmeans(&items, &options(37)).unwrap())
        };
        let found = with(1);
        assert_eq!(found, with(2));
        assert_eq!(found, with(3));
        let other = KmeansOptions {
            seed: 1,
            ..options(37)
        };
        assert_ne!(found, kmeans(&items, &other).unwrap());
    }

    #[test]
    fn a_step_never_makes_it_worse() {
        let items = groups(10, 100);
        let distortion = |steps: usize| {
            let options = KmeansOptions {
                steps,
                ..options(23)
            };
            kmeans(&items, &options).unwrap().distortion
        };
        let by_steps: Vec<f64> = (1..10).map(distortion).collect();
        assert!(by_steps.is_sorted_by(|a, b| *b <= a + 1e-6), "{by_steps:?}");
    }

    #[test]
    fn of_several_starts_the_best_is_kept() {
        let items = groups(10, 60);
        let with = |n_init: usize| {
            let options = KmeansOptions {
                n_init,
                ..options(12)
            };
            kmeans(&items, &options).unwrap()
        };
        let one = with(1);
        assert_eq!(with(1), one);
        let by_starts: Vec<f64> = [1, 2, 5, 10].map(|n| with(n).distortion).to_vec();
        assert!(by_starts.is_sorted_by(|a, b| b <= a), "{by_starts:?}");
        assert!(by_starts[3] < one.distortion, "{by_starts:?}");
    }

    #[test]
    fn as_many_clusters_as_items_that_differ() {
        let items = array![[1.0, 2.0], [1.0, 2.0], [3.0, 2.0], [0.1, 0.7]];
        let found = kmeans(&items, &options(3)).unwrap();
        assert!(found.distortion < 1e-12);
        for (clusters, expected) in [
            (4, "at most 3, as many as frames that differ, found 4"),
            (5, "1 to 4, of 4 frames, found 5"),
            (0, "1 to 4, of 4 frames, found 0"),
        ] {
            let error = kmeans(&items, &options(clusters)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let one = kmeans(&items, &options(1)).unwrap();
        let mean = one.codebook.centroids();
        assert!((mean[[0, 0]] - 1.275).abs() < 1e-6 && (mean[[0, 1]] - 1.675).abs() < 1e-6);
    }
}
