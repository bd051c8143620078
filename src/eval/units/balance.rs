//! Clusters that every speaker uses equally, so that they carry no information about the speaker: k-means in which a
//! speaker's items are distributed evenly over all clusters by entropic optimal transport (Cuturi 2013), as Spin (Chang et
//! al. 2023) does with those of a batch.
//!
//! ```text
//! P_s = argmin  sum_ij P_ij |x_i - c_j|^2 + softness * variance_s * sum_ij P_ij log P_ij    items i of speaker s
//!       where   sum_j P_ij = 1,  sum_i P_ij = items of s / clusters
//! c_j = sum_i P_ij x_i / sum_i P_ij                                                         over all speakers
//! ```
//!
//! An item's unit is the most likely one of its row.

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rayon::prelude::*;

use super::codebook::Codebook;
use super::items::{Items, Step};
use super::kmeans::{Kmeans, KmeansOptions, best_of_starts};
use crate::error::{Error, Result};

/// Weight of the entropy, as a share of the mean squared distance of a speaker's items to their mean.
const SOFTNESS: f64 = 0.02;
/// Rounds of Sinkhorn's algorithm.
const ROUNDS: usize = 50;
/// Below it `exp` would underflow.
const LEAST_EXPONENT: f64 = -600.0;

/// Clusters `items`, finite and `[items, dims]`, so that each speaker uses all clusters equally. `speakers` has one speaker
/// per item, numbered from 0. The result does not depend on the number of threads.
///
/// # Errors
/// As [`super::kmeans`]; [`Error::Option`] for another number of speakers than of items.
pub fn balanced_kmeans(
    items: &Array2<f32>,
    speakers: &[usize],
    options: &KmeansOptions,
) -> Result<Kmeans> {
    if speakers.len() != items.nrows() {
        let expected = format!("{}, one per item", items.nrows());
        let found = speakers.len().to_string();
        return Err(Error::option("speakers", expected, found));
    }
    let mut own = vec![Vec::new(); speakers.iter().max().map_or(0, |most| most + 1)];
    for (item, &speaker) in speakers.iter().enumerate() {
        own[speaker].push(item);
    }
    let of_speaker: Vec<OfSpeaker> = (own.into_iter())
        .map(|own| OfSpeaker {
            values: items.select(Axis(0), &own).mapv(f64::from),
            items: own,
        })
        .collect();
    best_of_starts(items, options, || {
        |_: &Items, book: &Codebook| step(book, &of_speaker)
    })
}

/// The units of one speaker's `items`, `[items, dims]`, all used equally.
pub fn spread(book: &Codebook, items: &Array2<f32>) -> Vec<usize> {
    let items = items.mapv(f64::from);
    most_likely(&transport(&book.distances(items.view()), &items))
}

/// The items of one speaker.
struct OfSpeaker {
    /// Their indices.
    items: Vec<usize>,
    /// `[items, dims]`.
    values: Array2<f64>,
}

fn step(book: &Codebook, of_speaker: &[OfSpeaker]) -> Step {
    let spread: Vec<_> = of_speaker
        .par_iter()
        .map(|of| {
            let distances = book.distances(of.values.view());
            let plan = transport(&distances, &of.values);
            let units = most_likely(&plan);
            (plan.t().dot(&of.values), plan.sum_axis(Axis(0)), units)
        })
        .collect();

    let count: usize = of_speaker.iter().map(|of| of.items.len()).sum();
    let mut centroids = Array2::zeros((book.clusters(), book.dims()));
    let mut masses = Array1::<f64>::zeros(book.clusters());
    let mut units = vec![0; count];
    for (of, (sums, mass, own)) in of_speaker.iter().zip(spread) {
        centroids += &sums;
        masses += &mass;
        for (&item, unit) in of.items.iter().zip(own) {
            units[item] = unit;
        }
    }
    centroids /= &masses.insert_axis(Axis(1));
    Step { units, centroids }
}

/// Mean squared distance to the mean; 1 where all items are the same.
fn variance(items: &Array2<f64>) -> f64 {
    match items.var_axis(Axis(0), 0.0).sum() {
        variance if variance > 0.0 => variance,
        _ => 1.0,
    }
}

/// Sinkhorn's algorithm: rows sum to 1, columns to equal sums.
fn transport(distances: &Array2<f64>, items: &Array2<f64>) -> Array2<f64> {
    let entropy = SOFTNESS * variance(items);
    let (items, clusters) = distances.dim();
    let mut plan = distances.clone();
    for mut row in plan.rows_mut() {
        let least = least_of(row.view());
        row.mapv_inplace(|distance| ((least - distance) / entropy).max(LEAST_EXPONENT).exp());
    }
    let share = items as f64 / clusters as f64;
    for _ in 0..ROUNDS {
        let sums = plan.sum_axis(Axis(0));
        plan *= &sums.mapv(|sum| share / sum);
        let sums = plan.sum_axis(Axis(1)).insert_axis(Axis(1));
        plan /= &sums;
    }
    plan
}

fn least_of(row: ArrayView1<f64>) -> f64 {
    row.fold(f64::INFINITY, |least, &value| least.min(value))
}

/// Per row, the first of the greatest values.
fn most_likely(plan: &Array2<f64>) -> Vec<usize> {
    let most = |row: ArrayView1<f64>| {
        let mut best = 0;
        for (unit, value) in row.iter().enumerate() {
            if *value > row[best] {
                best = unit;
            }
        }
        best
    };
    plan.rows().into_iter().map(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten items of each of three words from two speakers; the second one's words lie two thirds of a step further, so
    /// that each is nearest to the first one's next word.
    fn words() -> (Array2<f32>, Vec<usize>) {
        let speakers: Vec<usize> = (0..60).map(|item| item / 30).collect();
        let items = Array2::from_shape_fn((60, 2), |(item, dim)| {
            let noise = ((item * 37 + dim * 11) % 17) as f32 / 170.0;
            let place = (item % 3) as f32 + speakers[item] as f32 * 0.66;
            if dim == 0 { place + noise } else { noise }
        });
        (items, speakers)
    }

    fn options(clusters: usize) -> KmeansOptions {
        KmeansOptions {
            clusters,
            n_init: 5,
            ..KmeansOptions::default()
        }
    }

    #[test]
    fn every_speaker_uses_all_clusters_equally() {
        let (items, speakers) = words();
        let found = balanced_kmeans(&items, &speakers, &options(3)).unwrap();
        for (item, &unit) in found.units.iter().enumerate() {
            assert_eq!(unit, found.units[item % 3], "item {item}");
        }
        for speaker in 0..2 {
            let own: Vec<usize> = (0..60).filter(|&item| speakers[item] == speaker).collect();
            let alone = spread(&found.codebook, &items.select(Axis(0), &own));
            let expected: Vec<usize> = own.iter().map(|&item| found.units[item]).collect();
            assert_eq!(
                alone, expected,
                "one speaker alone, with the same centroids"
            );
        }
        // Without the balance the words of both are confused.
        let apart = super::super::kmeans(&items, &options(3)).unwrap();
        assert!((0..60).any(|item| apart.units[item] != apart.units[item % 3]));
    }

    #[test]
    fn the_order_of_items_and_threads_change_nothing() {
        let (items, speakers) = words();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            (pool.unwrap()).install(|| balanced_kmeans(&items, &speakers, &options(3)).unwrap())
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn far_items_and_single_ones_stay_finite() {
        let items = ndarray::array![[0f32], [1e4], [2e6], [-3e6], [5.0]];
        let found = balanced_kmeans(&items, &[0, 0, 1, 1, 2], &options(2)).unwrap();
        assert!(found.distortion.is_finite());
        assert!(found.codebook.centroids().iter().all(|c| c.is_finite()));
        let equal = Array2::zeros((4, 2));
        let found = balanced_kmeans(&equal, &[0, 0, 1, 1], &options(1)).unwrap();
        assert_eq!(found.units, [0; 4]);
        assert!(balanced_kmeans(&equal, &[0], &options(1)).is_err());
    }
}
