//! Accuracy of the nearest neighbour: whether codes of one class lie together (as in Donahue et al. 2017, "Adversarial
//! feature learning", section 4.2).

use ndarray::{Array2, Axis};
use tch::Kind;

use super::{Labelled, check_dims, tensor};
use crate::error::Result;
use crate::eval::check_vectors;

/// Distances in memory at a time, 64 MiB of them.
const HELD: usize = 1 << 24;

/// For every vector of `test` `[items, dims]` the place of the nearest of `train` `[others, dims]`, by Euclidean
/// distance; of equals one.
///
/// In single precision around the mean of `train`, through |t|^2 - 2 t.x: neighbours whose distances agree in 6 digits of
/// the vectors' squared lengths may change places.
///
/// # Errors
/// [`Error::Option`](crate::Error::Option) for a set without vectors, of different lengths, or not finite.
pub fn nearest(train: &Array2<f32>, test: &Array2<f32>) -> Result<Vec<usize>> {
    check_vectors("train", train, 1)?;
    check_vectors("test", test, 1)?;
    check_dims(["train", "test"], [train, test])?;
    let train = tensor(train)?;
    let centre = train
        .f_mean_dim(&[0i64][..], true, Kind::Double)?
        .to_kind(Kind::Float);
    let train = (train - &centre).f_tr()?;
    let lengths = train
        .f_square()?
        .f_sum_dim_intlist(&[0i64][..], true, Kind::Float)?;
    let mut found = Vec::with_capacity(test.nrows());
    let rows = (HELD / lengths.numel()).max(1);
    for block in test.axis_chunks_iter(Axis(0), rows) {
        let block = tensor(&block.to_owned())? - &centre;
        // The test vector's own length is the same for all of its neighbours.
        let distances = lengths.f_addmm(&block, &(&train * -2.0))?;
        let places: Vec<i64> = distances.f_argmin(1, false)?.try_into()?;
        found.extend(places.into_iter().map(|place| place as usize));
    }
    Ok(found)
}

/// The share of `test` whose nearest of `train` has their label.
///
/// # Errors
/// As [`nearest`]; [`Error::Option`](crate::Error::Option) for another number of labels than of vectors.
pub fn neighbour_accuracy(train: Labelled, test: Labelled) -> Result<f64> {
    train.check("train")?;
    test.check("test")?;
    let nearest = nearest(train.vectors, test.vectors)?;
    let pairs = nearest.iter().zip(test.labels);
    let right = pairs.filter(|&(&place, label)| train.labels[place] == *label);
    Ok(right.count() as f64 / test.labels.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn cloud(items: usize, seed: usize) -> Array2<f32> {
        Array2::from_shape_fn((items, 3), |(item, dim)| {
            let hash = (item * 7919 + dim * 104_729 + seed * 31_337) % 10_007;
            // Far from 0, where products lose digits.
            500.0 + hash as f32 / 10_007.0
        })
    }

    #[test]
    fn they_are_those_of_a_search() {
        let (train, test) = (cloud(300, 0), cloud(90, 5));
        let found = nearest(&train, &test).unwrap();
        for (row, &place) in test.rows().into_iter().zip(&found) {
            let distance = |other: usize| (&row - &train.row(other)).mapv(|gap| gap * gap).sum();
            let best = (0..300).map(distance).fold(f32::INFINITY, f32::min);
            assert!(distance(place) <= best + 1e-5, "{} {best}", distance(place));
        }
    }

    #[test]
    fn labels_are_those_of_neighbours() {
        let train = Labelled {
            vectors: &array![[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]],
            labels: &[4, 5, 6],
        };
        let vectors = array![[1.0, 1.0], [9.0, 2.0], [1.0, 7.0], [6.0, 1.0]];
        let test = Labelled {
            vectors: &vectors,
            labels: &[4, 5, 6, 4],
        };
        assert_eq!(neighbour_accuracy(train, test).unwrap(), 0.75);
        let short = Labelled {
            vectors: &vectors,
            labels: &[4],
        };
        let error = neighbour_accuracy(train, short).unwrap_err().to_string();
        assert_eq!(error, "test: expected 4 labels, one per vector, found 1");
    }

    #[test]
    fn other_dimensions_are_refused() {
        let error = nearest(&cloud(3, 0), &Array2::zeros((1, 2))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "test: expected 3 dimensions, as in train, found 2"
        );
    }
}
