//! The distance of two sequences of frames: dynamic time warping over the angle between frames, or over whether units are
//! the same. Input: frames `[frames, dim]`; output: distances in [0, 1].

use std::f64::consts::PI;

use ndarray::{Array2, ArrayView2, Axis, concatenate};
use serde::{Deserialize, Serialize};

/// The distance of two frames, by its name in fastabx.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// The angle, as a fraction of pi.
    #[default]
    Angular,
    /// 0 for equal frames, else 1: of discrete units, one number per frame.
    Identical,
}

/// The frames of an item on the unit sphere, `[frames, dim]`. A frame of zeros has no direction; as in
/// libri-light and fastabx it counts as one whose values are all equal.
#[derive(Debug, Clone)]
pub(super) struct Directions(Array2<f64>);

impl Directions {
    /// Frames ready for a distance: units stay as they are.
    pub(super) fn of(feats: &Array2<f32>, distance: Distance) -> Self {
        let mut frames = feats.mapv(f64::from);
        if distance == Distance::Identical {
            return Self(frames);
        }
        for mut frame in frames.rows_mut() {
            let length = frame.dot(&frame).sqrt();
            if length > 0.0 {
                frame /= length;
            } else {
                frame.fill(1.0 / (frame.len() as f64).sqrt());
            }
        }
        Self(frames)
    }
}

/// Concatenated items, so that one matrix product compares with all of them.
#[derive(Debug)]
pub(super) struct Stack {
    frames: Array2<f64>,
    /// First frame of each item, and one beyond the last.
    bounds: Vec<usize>,
}

impl Stack {
    /// Of at least one item; all of one dimension.
    pub(super) fn of<'a>(items: impl Iterator<Item = &'a Directions>) -> Self {
        let views: Vec<ArrayView2<f64>> = items.map(|item| item.0.view()).collect();
        let mut bounds = vec![0];
        for normalisation in &views {
            bounds.push(bounds[bounds.len() - 1] + normalisation.nrows());
        }
        Self {
            frames: concatenate(Axis(0), &views).unwrap_or_default(),
            bounds,
        }
    }

    /// The distance of `x` to each item.
    pub(super) fn distances(&self, x: &Directions, distance: Distance) -> Vec<f32> {
        let costs = match distance {
            Distance::Angular => {
                let mut angles = x.0.dot(&self.frames.t());
                // Rounded to single precision, sums of them in double are exact: equal paths tie, whatever their order.
                angles
                    .mapv_inplace(|cosine| f64::from((cosine.clamp(-1.0, 1.0).acos() / PI) as f32));
                angles
            }
            Distance::Identical => {
                Array2::from_shape_fn((x.0.nrows(), self.frames.nrows()), |(i, j)| {
                    f64::from(x.0.row(i) != self.frames.row(j))
                })
            }
        };
        self.bounds
            .windows(2)
            .map(|ends| warp(costs.slice(ndarray::s![.., ends[0]..ends[1]])) as f32)
            .collect()
    }
}

/// The cost of the cheapest monotonous path through `costs` `[n, m]`, divided by its number of steps.
///
/// Of equally cheap ways the diagonal one is taken, then the one along a row: the length, and so the result, is
/// that of torchdtw 0.4, which fastabx uses.
fn warp(costs: ArrayView2<f64>) -> f64 {
    let columns = costs.ncols();
    // Cost and steps of the best path to each place of the row before and of this one.
    let mut before: Vec<(f64, u32)> = Vec::with_capacity(columns);
    let mut row: Vec<(f64, u32)> = Vec::with_capacity(columns);
    for costs in costs.rows() {
        row.clear();
        for (j, &cost) in costs.iter().enumerate() {
            let (total, steps) = match (before.get(j), j.checked_sub(1)) {
                (None, None) => (0.0, 0),
                (Some(&up), None) => up,
                (None, Some(left)) => row[left],
                (Some(&up), Some(left)) => cheapest(before[left], row[left], up),
            };
            row.push((total + cost, steps + 1));
        }
        std::mem::swap(&mut before, &mut row);
    }
    before
        .last()
        .map_or(0.0, |&(total, steps)| total / f64::from(steps))
}

fn cheapest(diagonal: (f64, u32), left: (f64, u32), up: (f64, u32)) -> (f64, u32) {
    if diagonal.0 <= left.0 && diagonal.0 <= up.0 {
        diagonal
    } else if left.0 <= up.0 {
        left
    } else {
        up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn distance(x: Array2<f32>, y: Array2<f32>) -> f32 {
        let of = |feats| Directions::of(feats, Distance::Angular);
        Stack::of([&of(&y)].into_iter()).distances(&of(&x), Distance::Angular)[0]
    }

    #[test]
    fn angles_are_fractions_of_pi() {
        let one = array![[1f32, 0.0]];
        for (other, expected) in [
            (array![[0f32, 5.0]], 0.5),
            (array![[-2f32, 0.0]], 1.0),
            (array![[1f32, 1.0]], 0.25),
            (array![[3f32, 0.0]], 0.0),
            // A zero vector counts as (1, 1).
            (array![[0f32, 0.0]], 0.25),
        ] {
            assert!((distance(one.clone(), other) - expected).abs() < 1e-7);
        }
    }

    #[test]
    fn the_path_is_the_cheapest_and_counts_its_steps() {
        // Repeated frames cost nothing: right, right, down, down at angle 0.
        let (east, north) = ([1f32, 0.0], [0f32, 1.0]);
        assert_eq!(
            distance(array![east, north], array![east, east, east, north]),
            0.0
        );
        // 0 on (0,0); then 0.5 anywhere: the diagonal has two steps in all.
        assert_eq!(distance(array![east, east], array![east, north]), 0.25);
        // Of two equal ways that are cheaper than the diagonal, along the row: 3 steps.
        assert_eq!(warp(array![[1.0, 0.0], [0.0, 1.0]].view()), 1.0);
        assert_eq!(warp(array![[2.0, 1.0], [3.0, 0.0]].view()), 1.0);
        assert_eq!(warp(array![[9.0, 0.0], [9.0, 0.0]].view()), 4.5);
    }

    #[test]
    fn units_differ_or_not() {
        let items = [
            array![[3f32], [4.0]],
            array![[3f32], [3.0], [4.0]],
            array![[5f32]],
        ]
        .map(|i| Directions::of(&i, Distance::Identical));
        let found = Stack::of(items.iter()).distances(&items[0], Distance::Identical);
        assert_eq!(found, [0.0, 0.0, 1.0]);
    }

    #[test]
    fn a_stack_keeps_its_items_apart() {
        let items = [array![[1f32, 0.0]], array![[0f32, 1.0], [1.0, 1.0]]]
            .map(|i| Directions::of(&i, Distance::Angular));
        let found = Stack::of(items.iter()).distances(&items[0], Distance::Angular);
        assert_eq!(found, [0.0, 0.375]);
    }
}
