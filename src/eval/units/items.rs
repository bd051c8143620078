//! What k-means clusters, and what a step gives.

use ndarray::Array2;
use rayon::prelude::*;

use super::codebook::Codebook;

/// The fewest items per thread.
pub(super) const LEAST_ITEMS: usize = 1024;

/// `[items, dims]`, row after row.
pub(super) struct Items<'a> {
    pub(super) values: &'a [f32],
    pub(super) dims: usize,
}

impl Items<'_> {
    pub(super) fn count(&self) -> usize {
        self.values.len() / self.dims
    }

    pub(super) fn get(&self, item: usize) -> &[f32] {
        &self.values[item * self.dims..(item + 1) * self.dims]
    }

    /// The squared distance of each item to the centroid of its unit.
    pub(super) fn squared_distances(&self, units: &[usize], book: &Codebook) -> Vec<f64> {
        let distance = |(item, &unit)| book.squared_distance(self.get(item), unit);
        let items = units.par_iter().enumerate().with_min_len(LEAST_ITEMS);
        items.map(distance).collect()
    }

    /// Mean squared distance of items to the centroids of their units.
    pub(super) fn distortion(&self, units: &[usize], book: &Codebook) -> f64 {
        let distances = self.squared_distances(units, book);
        distances.iter().sum::<f64>() / self.count() as f64
    }
}

/// The result of one step.
pub(super) struct Step {
    /// The unit of every item.
    pub units: Vec<usize>,
    /// The new centroids.
    pub centroids: Array2<f64>,
}
