//! Accuracy of a linear classifier on frozen vectors: softmax regression with a little weight decay on standardised
//! dimensions, fitted to its only optimum by L-BFGS (Liu and Nocedal 1989). It is deterministic and has no seed.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};

use super::{Labelled, check_dims, tensor};
use crate::error::{Error, Result};

/// Options of the fit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinearOptions {
    /// Half of this times the sum of squared weights is added to the mean cross-entropy; offsets are free.
    pub decay: f64,
    /// The most steps of L-BFGS.
    pub steps: usize,
}

impl Default for LinearOptions {
    fn default() -> Self {
        Self {
            decay: 1e-4,
            steps: 300,
        }
    }
}

/// Steps in the memory of L-BFGS.
const MEMORY: usize = 10;
/// The largest gradient at which the fit ends.
const FLAT: f64 = 1e-6;
/// The most classes, since each takes a column of weights.
const MOST_CLASSES: usize = 1 << 16;

/// The share of `test` that a classifier fitted to `train` gets right. Dimensions are standardised by `train`; ones
/// that are constant there become 0. In double precision: 8 bytes per value of both sets.
///
/// # Errors
/// [`Error::Option`] for a set without vectors, of different lengths, not finite, or with another number of labels than
/// of vectors; for a single class or more than 65536; for a decay below 0.
pub fn linear_accuracy(train: Labelled, test: Labelled, options: LinearOptions) -> Result<f64> {
    train.check("train")?;
    test.check("test")?;
    check_dims(["train", "test"], [train.vectors, test.vectors])?;
    if !(options.decay >= 0.0 && options.decay.is_finite()) {
        return Err(Error::option(
            "decay",
            "a number from 0",
            options.decay.to_string(),
        ));
    }
    let classes = train
        .labels
        .iter()
        .max()
        .map_or(0, |most| most.saturating_add(1));
    if !(2..=MOST_CLASSES).contains(&classes) {
        let expected = format!("2 to {MOST_CLASSES} classes in train");
        return Err(Error::option("train", expected, classes.to_string()));
    }
    let raw = tensor(train.vectors)?.to_kind(Kind::Double);
    let (deviation, mean) = raw.f_std_mean_dim(&[0i64][..], false, true)?;
    let scale = deviation.f_where_self(
        &deviation.f_gt(0.0)?,
        &deviation.f_full_like(f64::INFINITY)?,
    )?;
    let standard = |raw: Tensor| with_one(&((raw - &mean) / &scale));
    let problem = Problem {
        inputs: standard(raw)?,
        labels: numbers(train.labels),
        classes: classes as i64,
        decay: options.decay,
    };
    let weights = problem.solve(options.steps)?;
    let inputs = standard(tensor(test.vectors)?.to_kind(Kind::Double))?;
    let best = inputs.f_matmul(&weights)?.f_argmax(1, false)?;
    let right = best
        .f_eq_tensor(&numbers(test.labels))?
        .f_sum(Kind::Int64)?;
    Ok(i64::try_from(right)? as f64 / test.labels.len() as f64)
}

/// A label that `train` lacks is never predicted.
fn numbers(labels: &[usize]) -> Tensor {
    let labels: Vec<i64> = labels
        .iter()
        .map(|&label| i64::try_from(label).unwrap_or(-1))
        .collect();
    Tensor::from_slice(&labels)
}

/// Appends a column of ones, for the offset.
fn with_one(inputs: &Tensor) -> Result<Tensor> {
    let ones = inputs.f_narrow(1, 0, 1)?.f_ones_like()?;
    Ok(Tensor::f_cat(&[inputs, &ones], 1)?)
}

struct Problem {
    /// `[items, dims + 1]`, the last column of ones.
    inputs: Tensor,
    /// `[items]`.
    labels: Tensor,
    classes: i64,
    decay: f64,
}

/// A point of the search.
struct Place {
    /// `[dims + 1, classes]`.
    weights: Tensor,
    loss: f64,
    slope: Tensor,
}

impl Problem {
    fn at(&self, weights: Tensor) -> Result<Place> {
        let (items, inputs) = self.inputs.size2()?;
        let logs = self
            .inputs
            .f_matmul(&weights)?
            .f_log_softmax(1, Kind::Double)?;
        let entropy = logs.f_nll_loss::<Tensor>(&self.labels, None, Reduction::Mean, -100)?;
        // Offsets do not decay.
        let decaying = weights.f_narrow(0, 0, inputs - 1)?;
        let squares = f64::try_from(decaying.f_square()?.f_sum(Kind::Double)?)?;
        let truth = self.labels.f_one_hot(self.classes)?.to_kind(Kind::Double);
        let gap = (logs.f_exp()? - truth) / items as f64;
        let mut slope = self.inputs.f_tr()?.f_matmul(&gap)?;
        let _ = slope
            .f_narrow(0, 0, inputs - 1)?
            .f_add_(&(decaying * self.decay))?;
        slope = slope.contiguous();
        Ok(Place {
            loss: f64::try_from(entropy)? + 0.5 * self.decay * squares,
            weights,
            slope,
        })
    }

    /// The weights `[dims + 1, classes]` of the least loss, from 0.
    fn solve(&self, steps: usize) -> Result<Tensor> {
        let inputs = self.inputs.size()[1];
        let start = Tensor::f_zeros([inputs, self.classes], (Kind::Double, self.inputs.device()))?;
        let mut place = self.at(start)?;
        let mut memory = VecDeque::new();
        for _ in 0..steps {
            if f64::try_from(place.slope.f_abs()?.f_max()?)? < FLAT {
                break;
            }
            let way = direction(&place.slope, &memory)?;
            let Some(next) = self.step(&place, &way)? else {
                break;
            };
            memory.push_front(Change {
                weights: &next.weights - &place.weights,
                slope: &next.slope - &place.slope,
            });
            memory.truncate(MEMORY);
            place = next;
        }
        Ok(place.weights)
    }

    /// Backtracking line search: the first step that lowers the loss by a part of the linear prediction (Armijo 1966), if any
    /// does before rounding hides it. The loss is convex, so that curvature along the way is never below 0.
    fn step(&self, from: &Place, way: &Tensor) -> Result<Option<Place>> {
        let promise = dot(&from.slope, way)?;
        let mut length = 1.0;
        for _ in 0..30 {
            let next = self.at(&from.weights + way * length)?;
            if next.loss < from.loss + 1e-4 * length * promise {
                return Ok(Some(next));
            }
            length /= 2.0;
        }
        Ok(None)
    }
}

/// The change of a step.
struct Change {
    weights: Tensor,
    slope: Tensor,
}

/// The descent direction: the gradient times the inverse curvature estimated from past changes, newest first (the two-loop
/// recursion of Nocedal 1980).
fn direction(slope: &Tensor, memory: &VecDeque<Change>) -> Result<Tensor> {
    let mut way = slope.neg();
    let mut shares = Vec::with_capacity(memory.len());
    for change in memory {
        let along = dot(&change.weights, &change.slope)?.max(f64::MIN_POSITIVE);
        let share = dot(&change.weights, &way)? / along;
        way -= &change.slope * share;
        shares.push((along, share));
    }
    way *= match memory.front() {
        Some(newest) => {
            dot(&newest.weights, &newest.slope)?.max(f64::MIN_POSITIVE)
                / dot(&newest.slope, &newest.slope)?
        }
        // A first step of length 1 at most.
        None => 1.0 / dot(slope, slope)?.sqrt().max(1.0),
    };
    for (change, (along, share)) in memory.iter().zip(shares).rev() {
        let back = dot(&change.slope, &way)? / along;
        way += &change.weights * (share - back);
    }
    Ok(way)
}

fn dot(a: &Tensor, b: &Tensor) -> Result<f64> {
    Ok(f64::try_from((a * b).f_sum(Kind::Double)?)?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::golden;
    use super::*;
    use ndarray::Array2;

    #[test]
    fn the_optimum_is_that_of_scikit_learn() {
        for case in golden().linear {
            let vectors = case.vectors();
            let problem = Problem {
                inputs: with_one(&tensor(&vectors).unwrap()).unwrap(),
                labels: numbers(&case.labels),
                classes: 3,
                decay: case.decay,
            };
            let weights = problem.solve(500).unwrap();
            let place = problem.at(weights).unwrap();
            assert!(
                (place.loss - case.loss).abs() < 1e-8,
                "{} {}",
                place.loss,
                case.loss
            );
        }
    }

    fn set(items: usize, seed: usize) -> (Array2<f32>, Vec<usize>) {
        let labels: Vec<usize> = (0..items).map(|item| item % 3).collect();
        let vectors = Array2::from_shape_fn((items, 4), |(item, dim)| {
            let noise = ((item * 7919 + dim * 613 + seed * 31) % 97) as f32 / 97.0 - 0.5;
            // The last dimension is constant.
            let signal = if dim == labels[item] { 1.0 } else { 0.0 };
            if dim == 3 {
                7.0
            } else {
                100.0 * dim as f32 + signal + noise
            }
        });
        (vectors, labels)
    }

    fn labelled((vectors, labels): &(Array2<f32>, Vec<usize>)) -> Labelled<'_> {
        Labelled { vectors, labels }
    }

    #[test]
    fn only_linearly_separable_classes_are_found() {
        let (train, test) = (set(300, 0), set(90, 5));
        let options = LinearOptions::default();
        let found = linear_accuracy(labelled(&train), labelled(&test), options).unwrap();
        assert!(found > 0.95, "{found}");
        let again = linear_accuracy(labelled(&train), labelled(&test), options).unwrap();
        assert_eq!(found, again);
        let turned = (test.0, test.1.iter().map(|label| (label + 1) % 3).collect());
        let found = linear_accuracy(labelled(&train), labelled(&turned), options).unwrap();
        assert!(found < 0.05, "{found}");
    }

    #[test]
    fn a_class_of_the_test_alone_is_an_error_of_the_classifier() {
        let (train, mut test) = (set(30, 0), set(30, 0));
        test.1.fill(900);
        let options = LinearOptions::default();
        assert_eq!(
            linear_accuracy(labelled(&train), labelled(&test), options).unwrap(),
            0.0
        );
        let one = (train.0.clone(), vec![0; 30]);
        let error = linear_accuracy(labelled(&one), labelled(&test), options).unwrap_err();
        assert_eq!(
            error.to_string(),
            "train: expected 2 to 65536 classes in train, found 1"
        );
    }
}
