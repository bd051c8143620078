//! The steps of Lloyd's algorithm from one initialisation. An item is compared with all centroids only when another can have
//! become the nearest (Hamerly 2010): the distance to its own is known from above, that to all others from below, and both
//! change by no more than the centroids have moved.

use ndarray::Array2;
use rayon::prelude::*;

use super::codebook::Codebook;
use super::items::{Items, LEAST_ITEMS, Step};

/// More than the rounding of a distance and of the sums of movements, as a factor.
const ROUNDING: f64 = 1.0 + 1e-9;

/// What is known of an item.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// None before the first step.
    unit: Option<usize>,
    /// Its centroid is no farther than this.
    own: f64,
    /// No other centroid is nearer than this.
    others: f64,
}

/// An item whose unit has changed.
struct Change {
    item: usize,
    from: Option<usize>,
    to: usize,
}

/// What is kept from step to step.
#[derive(Default)]
pub(super) struct Lloyd {
    known: Vec<Known>,
    /// Of the step before.
    centroids: Array2<f64>,
    /// Of the items of each unit.
    sums: Array2<f64>,
    counts: Vec<usize>,
}

impl Lloyd {
    /// Assigns each item to the nearest centroid, and each empty cluster a far item; the new centroids are means.
    pub(super) fn step(&mut self, items: &Items, book: &Codebook) -> Step {
        match self.known.is_empty() {
            true => self.begin(items, book),
            false => self.loosen(book),
        }
        for change in self.assign(items, book) {
            self.note(items, &change);
        }
        for change in self.refill(items, book) {
            self.note(items, &change);
        }
        self.centroids = book.centroids_f64().clone();
        Step {
            units: self.units(),
            centroids: self.means(),
        }
    }

    fn units(&self) -> Vec<usize> {
        let unit = |known: &Known| known.unit.expect("every item was assigned");
        self.known.iter().map(unit).collect()
    }

    /// Nothing is known.
    fn begin(&mut self, items: &Items, book: &Codebook) {
        let unknown = Known {
            unit: None,
            own: f64::INFINITY,
            others: 0.0,
        };
        self.known = vec![unknown; items.count()];
        self.sums = Array2::zeros((book.clusters(), book.dims()));
        self.counts = vec![0; book.clusters()];
    }

    /// Widens what is known by the movement of the centroids.
    fn loosen(&mut self, book: &Codebook) {
        let rows = self
            .centroids
            .rows()
            .into_iter()
            .zip(book.centroids_f64().rows());
        let moved: Vec<f64> = rows
            .map(|(before, after)| {
                let gap = &after - &before;
                gap.dot(&gap).sqrt() * ROUNDING
            })
            .collect();
        let [most, second] = moved.iter().fold([0.0; 2], |[most, second], &moved| {
            [f64::max(most, moved), f64::max(second, most.min(moved))]
        });
        let known = self.known.par_iter_mut().with_min_len(LEAST_ITEMS);
        known.for_each(|known| {
            let own = known.unit.map_or(0.0, |unit| moved[unit]);
            known.own += own;
            known.others -= if own == most { second } else { most };
        });
    }

    /// Finds the unit of each item for which it may have changed; the changes in the order of the items.
    fn assign(&mut self, items: &Items, book: &Codebook) -> Vec<Change> {
        let chunks = self.known.par_chunks_mut(LEAST_ITEMS).enumerate();
        let changes: Vec<Vec<Change>> = chunks
            .map(|(chunk, known)| assign_chunk(chunk * LEAST_ITEMS, known, items, book))
            .collect();
        changes.into_iter().flatten().collect()
    }

    fn note(&mut self, items: &Items, change: &Change) {
        let values = items.get(change.item);
        if let Some(from) = change.from {
            self.counts[from] -= 1;
            for (sum, &value) in self.sums.row_mut(from).iter_mut().zip(values) {
                *sum -= f64::from(value);
            }
        }
        self.counts[change.to] += 1;
        for (sum, &value) in self.sums.row_mut(change.to).iter_mut().zip(values) {
            *sum += f64::from(value);
        }
    }

    /// Assigns to each empty cluster the item that is farthest from its centroid, out of a cluster with more than one.
    fn refill(&mut self, items: &Items, book: &Codebook) -> Vec<Change> {
        if !self.counts.contains(&0) {
            return Vec::new();
        }
        let before = self.units();
        let distances = items.squared_distances(&before, book);
        let mut changes = Vec::new();
        for (item, to) in far_items(&before, &distances, &self.counts) {
            changes.push(Change {
                item,
                from: Some(before[item]),
                to,
            });
            self.known[item] = Known {
                unit: Some(to),
                own: f64::INFINITY,
                others: 0.0,
            };
        }
        changes
    }

    /// The mean of each unit's items; a unit without items keeps its centroid.
    fn means(&self) -> Array2<f64> {
        let mut centroids = self.centroids.clone();
        let rows = centroids.rows_mut().into_iter().zip(self.sums.rows());
        for ((mut centroid, sum), &count) in rows.zip(&self.counts) {
            if count > 0 {
                centroid.assign(&(&sum / count as f64));
            }
        }
        centroids
    }
}

/// The changes of items `first`, `first + 1`, ...
fn assign_chunk(first: usize, known: &mut [Known], items: &Items, book: &Codebook) -> Vec<Change> {
    let distance = |index: usize, unit: usize| {
        book.squared_distance(items.get(first + index), unit).sqrt() * ROUNDING
    };
    let mut open = Vec::new();
    for (index, known) in known.iter_mut().enumerate() {
        if let (true, Some(unit)) = (known.own >= known.others, known.unit) {
            known.own = distance(index, unit);
        }
        if known.own >= known.others {
            open.push(index);
        }
    }
    let (mut changes, mut frames, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
    for block in open.chunks(book.block_frames()) {
        frames.clear();
        (block.iter()).for_each(|index| frames.extend_from_slice(items.get(first + index)));
        for (&index, found) in block.iter().zip(book.scan(&frames, &mut buffer)) {
            let (from, to) = (known[index].unit, found.unit);
            known[index] = Known {
                unit: Some(to),
                own: match from == Some(to) {
                    true => known[index].own,
                    false => distance(index, to),
                },
                others: found.others,
            };
            if from != Some(to) {
                let item = first + index;
                changes.push(Change { item, from, to });
            }
        }
    }
    changes
}

/// For each empty cluster the item that is farthest from its centroid, out of a cluster with more than one.
fn far_items(units: &[usize], distances: &[f64], counts: &[usize]) -> Vec<(usize, usize)> {
    let mut counts = counts.to_vec();
    let mut order: Vec<usize> = (0..units.len()).collect();
    // A stable sort: of equally far items the first.
    order.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]));
    let mut farthest = order.into_iter();
    let mut found = Vec::new();
    let empty: Vec<usize> = (0..counts.len())
        .filter(|&unit| counts[unit] == 0)
        .collect();
    for unit in empty {
        let own = farthest.find(|&item| counts[units[item]] > 1);
        let Some(item) = own else { break };
        counts[units[item]] -= 1;
        found.push((item, unit));
    }
    found
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn an_empty_cluster_begins_at_the_farthest_item() {
        let found = far_items(&[0, 0, 2, 0], &[1.0, 5.0, 9.0, 5.0], &[3, 0, 1, 0, 0]);
        // Item 2 is alone in its cluster; after two of three have left cluster 0, so is item 0.
        assert_eq!(found, [(1, 1), (3, 3)]);
    }

    /// Step by step what it is without what is known of the step before.
    #[test]
    fn every_step_finds_the_nearest_centroids_and_their_means() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let items = Array2::from_shape_fn((5000, 6), |_| rng.random_range(-3.0_f32..3.0).powi(3));
        let view = Items {
            values: items.as_slice().unwrap(),
            dims: 6,
        };
        let start = items.slice(ndarray::s![..40, ..]).mapv(f64::from);
        let (mut lloyd, mut book) = (Lloyd::default(), Codebook::new(start));
        for step in 0..60 {
            let found = lloyd.step(&view, &book);
            let nearest = book.nearest(items.view());
            let expected: Vec<usize> = nearest.iter().map(|nearest| nearest.unit).collect();
            assert_eq!(found.units, expected, "step {step}");
            for (unit, centroid) in found.centroids.rows().into_iter().enumerate() {
                let own: Vec<usize> = (0..5000).filter(|&item| expected[item] == unit).collect();
                let own = items.select(ndarray::Axis(0), &own).mapv(f64::from);
                let gap = &own.mean_axis(ndarray::Axis(0)).unwrap() - &centroid;
                assert!(gap.iter().all(|gap| gap.abs() < 1e-9), "step {step}");
            }
            book = Codebook::new(found.centroids);
        }
    }
}
