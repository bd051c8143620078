//! The agreement of clusters, or of a categorical code, with known classes. Accuracies are shares of items; the numbering of
//! clusters has no meaning.

use ndarray::Array2;

use crate::error::{Error, Result};
use crate::eval::assignment::assign;

/// The number of items per cluster and class, `[clusters, classes]`; both are numbered from 0 to the greatest that occurs.
///
/// # Errors
/// [`Error::Option`] `classes` for another number of items, or clusters and classes that would take more than 2^24
/// counts.
pub fn confusion(clusters: &[usize], classes: &[usize]) -> Result<Array2<usize>> {
    const MOST: usize = 1 << 24;
    if clusters.len() != classes.len() {
        let expected = format!("{} items, as many as have a cluster", clusters.len());
        return Err(Error::option(
            "classes",
            expected,
            classes.len().to_string(),
        ));
    }
    let count = |numbers: &[usize]| {
        numbers
            .iter()
            .max()
            .map_or(0, |most| most.saturating_add(1))
    };
    let shape = (count(clusters), count(classes));
    if shape.0.saturating_mul(shape.1) > MOST {
        let expected = format!("at most {MOST} pairs of cluster and class");
        return Err(Error::option(
            "classes",
            expected,
            format!("{} by {}", shape.0, shape.1),
        ));
    }
    let mut counts = Array2::zeros(shape);
    for (&cluster, &class) in clusters.iter().zip(classes) {
        counts[[cluster, class]] += 1;
    }
    Ok(counts)
}

/// The share of items of the most frequent class of their cluster, from `[clusters, classes]`: purity. Several clusters
/// may belong to one class, so that more clusters make it greater; of no items 0.
pub fn majority_accuracy(confusion: &Array2<usize>) -> f64 {
    let right = confusion
        .rows()
        .into_iter()
        .map(|row| row.iter().max().copied().unwrap_or(0));
    share(right.sum(), confusion)
}

/// The number of classes that are the most frequent one of some cluster; of equally frequent ones the first.
pub fn classes_used(confusion: &Array2<usize>) -> usize {
    let mut used = vec![false; confusion.ncols()];
    for row in confusion.rows() {
        let most = (0..row.len()).fold(
            0,
            |best, class| if row[class] > row[best] { class } else { best },
        );
        if row.get(most).is_some_and(|&count| count > 0) {
            used[most] = true;
        }
    }
    used.into_iter().filter(|&used| used).count()
}

/// The share of correct items under the best one-to-one assignment of clusters to classes, from `[clusters, classes]` (Kuhn
/// 1955, "The Hungarian method for the assignment problem"). With unequal numbers some have no partner; of no items 0.
pub fn hungarian_accuracy(confusion: &Array2<usize>) -> f64 {
    let pairs = assign(confusion);
    let right = pairs.into_iter().filter_map(|pair| confusion.get(pair));
    share(right.sum(), confusion)
}

fn share(right: usize, confusion: &Array2<usize>) -> f64 {
    right as f64 / confusion.sum().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::tests::golden;
    use super::*;
    use ndarray::array;

    #[test]
    fn counts_are_by_cluster_and_class() {
        let counts = confusion(&[0, 2, 2, 0], &[1, 0, 1, 1]).unwrap();
        assert_eq!(counts, array![[0, 2], [0, 0], [1, 1]]);
        assert!(confusion(&[0], &[]).is_err());
        assert!(confusion(&[1 << 20], &[1 << 20]).is_err());
        assert_eq!(hungarian_accuracy(&confusion(&[], &[]).unwrap()), 0.0);
    }

    #[test]
    fn two_clusters_of_one_class_count_once_in_an_assignment() {
        let counts = array![[50, 0, 0], [40, 5, 5], [0, 0, 0]];
        assert_eq!(majority_accuracy(&counts), 0.9);
        assert_eq!(hungarian_accuracy(&counts), 0.55);
        assert_eq!(classes_used(&counts), 1);
    }

    #[test]
    fn the_greedy_choice_is_not_taken() {
        // The greatest count, 10, would cost 9 + 8.
        let counts = array![[10, 9], [8, 0]];
        assert_eq!(hungarian_accuracy(&counts), 17.0 / 27.0);
    }

    #[test]
    fn assignments_are_those_of_scipy() {
        for case in golden().assignment {
            let found = hungarian_accuracy(&case.counts());
            assert!((found - case.accuracy).abs() < 1e-12, "{found}");
        }
    }
}
