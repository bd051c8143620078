//! Mutual information of dimensions and a factor, for the mutual information gap (Chen et al. 2018, eq. 6), with
//! dimensions divided into bins of equal width as in Locatello et al. 2019.

use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;

/// The bin of each item in each dimension of `[items, dims]`, `bins` of equal width.
pub(super) fn bins_of(vectors: &Array2<f64>, bins: usize) -> Vec<Vec<usize>> {
    let dims = (0..vectors.ncols()).into_par_iter();
    dims.map(|dim| cut(vectors.column(dim), bins)).collect()
}

/// Mutual information in nats of the bins of a dimension and the classes of the items, each of which counts so often.
pub(super) fn information(bins: &[usize], classes: &[usize], counts: &[f64]) -> f64 {
    let width = bins.iter().max().map_or(0, |&most| most + 1);
    let pairs: Vec<usize> = (bins.iter().zip(classes))
        .map(|(&bin, &class)| class * width + bin)
        .collect();
    let of = |values: &[usize]| entropy(values, counts);
    (of(bins) + of(classes) - of(&pairs)).max(0.0)
}

/// Entropy in nats of the empirical distribution of the classes of items, each of which counts so often.
pub(super) fn entropy(classes: &[usize], of_items: &[f64]) -> f64 {
    let mut counts = vec![0f64; classes.iter().max().map_or(0, |&most| most + 1)];
    let each = classes.iter().zip(of_items);
    each.for_each(|(&class, count)| counts[class] += count);
    let total: f64 = of_items.iter().sum();
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
        let bins = bins_of(&vectors, 4);
        let found = bins
            .iter()
            .map(|bins| information(bins, &[0, 1, 2, 3], &[1.0; 4]));
        let ln2 = std::f64::consts::LN_2;
        for (found, expected) in found.zip([ln2, 2.0 * ln2, 0.0]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        // As if the first item were there twice and the last not at all.
        let twice = information(&bins[1], &[0, 1, 2, 3], &[2.0, 1.0, 1.0, 0.0]);
        assert!((twice - 1.5 * ln2).abs() < 1e-12, "{twice}");
    }

    #[test]
    fn bins_are_of_equal_width_and_hold_the_ends() {
        let values = array![-1.0, -0.5, 0.0, 0.49, 0.5, 1.0];
        assert_eq!(cut(values.view(), 4), [0, 1, 2, 2, 3, 3]);
        assert_eq!(cut(array![3.0, 3.0].view(), 4), [0, 0]);
    }
}
