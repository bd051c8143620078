//! Mutual information of dimensions and a factor, for the mutual information gap (Chen et al. 2018, eq. 6), with
//! dimensions divided into bins of equal width as in Locatello et al. 2019.

use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;

/// Mutual information in nats of each dimension of `[items, dims]`, divided into `bins`, and the classes of the items.
pub(super) fn information(vectors: &Array2<f64>, classes: &[usize], bins: usize) -> Vec<f64> {
    (0..vectors.ncols())
        .into_par_iter()
        .map(|dim| {
            let cut = cut(vectors.column(dim), bins);
            let pairs: Vec<usize> = cut
                .iter()
                .zip(classes)
                .map(|(&bin, &class)| class * bins + bin)
                .collect();
            (entropy(&cut) + entropy(classes) - entropy(&pairs)).max(0.0)
        })
        .collect()
}

/// Entropy in nats of the empirical distribution of the classes.
pub(super) fn entropy(classes: &[usize]) -> f64 {
    let mut counts = vec![0f64; classes.iter().max().map_or(0, |&most| most + 1)];
    classes.iter().for_each(|&class| counts[class] += 1.0);
    let total = classes.len() as f64;
    counts
        .into_iter()
        .filter(|&count| count > 0.0)
        .map(|count| -count / total * (count / total).ln())
        .sum()
}

/// The bin of each value between least and greatest; the greatest is in the last one.
fn cut(values: ArrayView1<f64>, bins: usize) -> Vec<usize> {
    let least = values.fold(f64::INFINITY, |a, &b| a.min(b));
    let width = values.fold(f64::NEG_INFINITY, |a, &b| a.max(b)) - least;
    let place = |&value: &f64| match width > 0.0 {
        true => (((value - least) / width * bins as f64) as usize).min(bins - 1),
        false => 0,
    };
    values.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn information_by_hand() {
        // Of four classes, the first dimension separates two halves, the second all, the third none.
        let vectors = array![
            [0.0, 0.0, 5.0],
            [0.1, 1.0, 5.0],
            [1.0, 2.0, 5.0],
            [0.9, 3.0, 5.0]
        ];
        let found = information(&vectors, &[0, 1, 2, 3], 4);
        let ln2 = std::f64::consts::LN_2;
        for (found, expected) in found.iter().zip([ln2, 2.0 * ln2, 0.0]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn bins_are_of_equal_width_and_hold_the_ends() {
        let values = array![-1.0, -0.5, 0.0, 0.49, 0.5, 1.0];
        assert_eq!(cut(values.view(), 4), [0, 1, 2, 2, 3, 3]);
        assert_eq!(cut(array![3.0, 3.0].view(), 4), [0, 0]);
    }
}
