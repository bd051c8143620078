//! The distance of two sequences of frames: dynamic time warping over the angle between frames, or over whether units are
//! the same. Input: frames `[frames, dim]`; output: distances in [0, 1].

use std::f64::consts::{FRAC_PI_2, PI};

use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
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

/// The most frames that one matrix product compares with a [`Stack`].
const FRAMES_AT_ONCE: usize = 256;

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

    /// The distance of each of `xs` to each item.
    pub(super) fn distances(&self, xs: &[&Directions], distance: Distance) -> Vec<Vec<f32>> {
        let mut found = Vec::with_capacity(xs.len());
        let mut rest = xs;
        while !rest.is_empty() {
            let mut frames = 0;
            let fits = |x: &&&Directions| {
                frames += x.0.nrows();
                frames <= FRAMES_AT_ONCE
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (some, later) = rest.split_at(count);
            found.extend(self.distances_at_once(some, distance));
            rest = later;
        }
        found
    }

    fn distances_at_once(&self, xs: &[&Directions], distance: Distance) -> Vec<Vec<f32>> {
        let xs = Self::of(xs.iter().copied());
        let costs = match distance {
            Distance::Angular => {
                let mut angles = xs.frames.dot(&self.frames.t());
                if let Some(angles) = angles.as_slice_mut() {
                    to_shares(angles);
                }
                angles
            }
            Distance::Identical => {
                Array2::from_shape_fn((xs.frames.nrows(), self.frames.nrows()), |(i, j)| {
                    f64::from(xs.frames.row(i) != self.frames.row(j))
                })
            }
        };
        let to_each = |x: &[usize]| {
            let of = |ends: &[usize]| warp(costs.slice(s![x[0]..x[1], ends[0]..ends[1]])) as f32;
            self.bounds.windows(2).map(of).collect()
        };
        xs.bounds.windows(2).map(to_each).collect()
    }
}

/// Cosines to angles, as shares of pi.
fn to_shares(cosines: &mut [f64]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor's features were just checked.
        unsafe { to_shares_avx2(cosines) };
        return;
    }
    each_to_share(cosines);
}

/// The same compiled for vectors of 32 bytes; the arithmetic is the same, step for step.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn to_shares_avx2(cosines: &mut [f64]) {
    each_to_share(cosines);
}

#[inline(always)]
fn each_to_share(cosines: &mut [f64]) {
    for cosine in cosines {
        // Rounded to single precision, sums in double are exact: equal paths tie, whatever their order.
        *cosine = f64::from((angle(*cosine) / PI) as f32);
    }
}

/// The angle of a cosine, which rounding may have put beyond 1. To 1e-15 the arc cosine of libm; without branches, so that the
/// compiler makes vectors of it.
#[inline(always)]
fn angle(cosine: f64) -> f64 {
    let size = cosine.abs().min(1.0);
    // Near 1 by half the angle, whose sine is the root of (1 - cosine) / 2.
    let is_half = size >= 0.5;
    let square = if is_half {
        0.5 * (1.0 - size)
    } else {
        size * size
    };
    let sine = if is_half { square.sqrt() } else { size };
    let series = ARC_SINE.iter().fold(0.0, |sum, term| sum * square + term);
    let arc_sine = sine + sine * square * series;
    let of_size = if is_half {
        2.0 * arc_sine
    } else {
        FRAC_PI_2 - arc_sine
    };
    if cosine < 0.0 { PI - of_size } else { of_size }
}

/// (asin(s) / s - 1) / s^2 as a polynomial of s^2 in [0, 1/4], highest power first: Chebyshev's approximation, to 2e-17.
const ARC_SINE: [f64; 13] = [
    0.028757851367421566,
    -0.014851887071247204,
    0.01740087944269402,
    0.005457506718640358,
    0.01032281435018578,
    0.011479177415184906,
    0.013971212973552933,
    0.017352392720869973,
    0.02237217294214989,
    0.030381944138531247,
    0.04464285714635543,
    0.07499999999998433,
    0.16666666666666669,
];

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
        Stack::of([&of(&y)].into_iter()).distances(&[&of(&x)], Distance::Angular)[0][0]
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
    fn angles_are_those_of_libm() {
        for step in -100_000..=100_000 {
            let cosine = f64::from(step) / 100_000.0;
            let gap = (angle(cosine) - cosine.acos()).abs();
            assert!(gap < 1e-15, "{cosine}: {gap}");
        }
        assert_eq!((angle(1.0 + 1e-12), angle(-1.0 - 1e-12)), (0.0, PI));
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
        let found = Stack::of(items.iter()).distances(&[&items[0]], Distance::Identical);
        assert_eq!(found[0], [0.0, 0.0, 1.0]);
    }

    #[test]
    fn a_stack_keeps_its_items_apart() {
        let items = [array![[1f32, 0.0]], array![[0f32, 1.0], [1.0, 1.0]]]
            .map(|i| Directions::of(&i, Distance::Angular));
        let stack = Stack::of(items.iter());
        let distances = |xs: &[&Directions]| stack.distances(xs, Distance::Angular);
        assert_eq!(distances(&[&items[0]]), [[0.0, 0.375]]);
        // More than one product takes.
        let many = distances(&vec![&items[1]; FRAMES_AT_ONCE]);
        assert_eq!(many.len(), FRAMES_AT_ONCE);
        assert!((many.iter()).all(|to| *to == many[0] && to[0] == 0.375 && to[1] < 1e-7));
    }
}
