//! Multinomial logistic regression with an L1 penalty, by accelerated proximal gradient (FISTA, Beck and Teboulle
//! 2009). The strength of the penalty is chosen on a fifth of the training items.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

/// Strengths that are tried, as shares of the smallest one at which all weights are 0; strongest first.
const STRENGTHS: [f64; 5] = [0.3, 0.1, 0.03, 0.01, 0.003];
const MAX_STEPS: usize = 1000;
/// Largest change of a weight, at which the search ends.
const TOLERANCE: f64 = 1e-5;

/// A fitted classifier.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    /// `[dims, classes]`.
    pub(super) weights: Array2<f64>,
    offsets: Array1<f64>,
    /// Strength of the penalty, as one of [`STRENGTHS`].
    pub(super) share: f64,
}

/// Fits `[items, dims]`, standardised, to their labels.
pub(super) fn fit(x: &Array2<f64>, labels: &[usize], classes: usize) -> Fit {
    let (held, rest): (Vec<usize>, Vec<usize>) = (0..x.nrows()).partition(|item| item % 5 == 4);
    let pick = |items: &[usize]| -> (Array2<f64>, Vec<usize>) {
        let labels = items.iter().map(|&item| labels[item]).collect();
        (x.select(Axis(0), items), labels)
    };
    let (held, rest) = (pick(&held), pick(&rest));
    let scores: Vec<f64> = STRENGTHS
        .par_iter()
        .map(|&share| {
            let counts = vec![1.0; rest.1.len()];
            let fit = fit_at(&rest.0, (&rest.1, &counts), share, None, classes);
            fit.accuracy(&held.0, &held.1)
        })
        .collect();
    // Of equally good ones the first, which is the sparsest.
    let best = (0..scores.len()).fold(0, |best, next| match scores[next] > scores[best] {
        true => next,
        false => best,
    });
    let counts = vec![1.0; labels.len()];
    fit_at(x, (labels, &counts), STRENGTHS[best], None, classes)
}

impl Fit {
    /// Whether the class of each item gets the greatest logit.
    pub(super) fn right(&self, x: &Array2<f64>, labels: &[usize]) -> Vec<bool> {
        let logits = x.dot(&self.weights) + &self.offsets;
        let rows = logits.rows().into_iter().zip(labels);
        rows.map(|(row, label)| {
            let best = (0..row.len()).fold(0, |a, b| if row[b] > row[a] { b } else { a });
            best == *label
        })
        .collect()
    }

    /// The share of items whose class gets the greatest logit.
    pub(super) fn accuracy(&self, x: &Array2<f64>, labels: &[usize]) -> f64 {
        let right = self.right(x, labels);
        right.iter().filter(|&&right| right).count() as f64 / labels.len().max(1) as f64
    }

    /// The fit to other labels, or to items that count otherwise, with the same strength; the search begins here.
    pub(super) fn again(&self, x: &Array2<f64>, labels: &[usize], counts: &[f64]) -> Self {
        let classes = self.offsets.len();
        fit_at(
            x,
            (labels, counts),
            self.share,
            Some(&self.weights),
            classes,
        )
    }
}

/// The fit at a share of the smallest strength at which all weights are 0, to items that count so often.
fn fit_at(
    x: &Array2<f64>,
    (labels, counts): (&[usize], &[f64]),
    share: f64,
    start: Option<&Array2<f64>>,
    classes: usize,
) -> Fit {
    let items: f64 = counts.iter().sum();
    let counts = ArrayView1::from(counts).insert_axis(Axis(1));
    let mut truth = Array2::zeros((x.nrows(), classes));
    for (item, &label) in labels.iter().enumerate() {
        truth[[item, label]] = 1.0;
    }
    let prior = (&truth * &counts).sum_axis(Axis(0)) / items;
    let slope = x.t().dot(&((&truth - &prior) * counts)) / items;
    let strength = share * slope.fold(0.0, |most: f64, value| most.max(value.abs()));
    // The gradient's Lipschitz constant is at most half the greatest eigenvalue of the inputs' second moments.
    let moments = greatest_eigenvalue(&(x * counts.mapv(f64::sqrt))) / items;
    let step = 1.0 / (0.5 * moments.max(1.0));
    let mut fit = Fit {
        weights: start.map_or_else(|| Array2::zeros((x.ncols(), classes)), Array2::clone),
        // Rare classes keep a finite offset.
        offsets: prior.mapv(|p: f64| (p + 1e-6).ln()),
        share,
    };
    let (mut ahead, mut momentum) = (fit.clone(), 1.0f64);
    for _ in 0..MAX_STEPS {
        let gap = (softmax(x.dot(&ahead.weights) + &ahead.offsets) - &truth) * counts;
        let weights = &ahead.weights - &(x.t().dot(&gap) * (step / items));
        let next = Fit {
            weights: weights.mapv(|w| w.signum() * (w.abs() - step * strength).max(0.0)),
            offsets: &ahead.offsets - &(gap.sum_axis(Axis(0)) * (step / items)),
            share,
        };
        let next_momentum = (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0;
        let push = (momentum - 1.0) / next_momentum;
        let change = &next.weights - &fit.weights;
        ahead = Fit {
            weights: &next.weights + &(&change * push),
            offsets: &next.offsets + &((&next.offsets - &fit.offsets) * push),
            share,
        };
        (fit, momentum) = (next, next_momentum);
        if change.iter().all(|change| change.abs() < TOLERANCE) {
            break;
        }
    }
    fit
}

fn softmax(mut logits: Array2<f64>) -> Array2<f64> {
    for mut row in logits.rows_mut() {
        let most = row.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        row.mapv_inplace(|value| (value - most).exp());
        let sum = row.sum();
        row /= sum;
    }
    logits
}

/// Of x^T x, by power iteration; a little above it, since a step too long would diverge.
fn greatest_eigenvalue(x: &Array2<f64>) -> f64 {
    let x: ArrayView2<f64> = x.view();
    let mut vector = Array1::from_shape_fn(x.ncols(), |dim| 1.0 + (dim % 7) as f64 / 10.0);
    let mut value = 0.0;
    for _ in 0..100 {
        vector /= vector.dot(&vector).sqrt().max(f64::MIN_POSITIVE);
        vector = x.t().dot(&x.dot(&vector));
        value = vector.dot(&vector).sqrt();
    }
    1.05 * value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_penalty_holds_at_the_solution() {
        let labels: Vec<usize> = (0..90).map(|i| i % 3).collect();
        let x = Array2::from_shape_fn((90, 4), |(i, dim)| {
            let noise = ((i * 7919 + dim * 613) % 97) as f64 / 97.0 - 0.5;
            noise + if dim == labels[i] { 1.0 } else { 0.0 }
        });
        let fit = fit_at(&x, (&labels, &[1.0; 90]), 0.1, None, 3);
        let mut truth = Array2::zeros((90, 3));
        labels
            .iter()
            .enumerate()
            .for_each(|(i, &l)| truth[[i, l]] = 1.0);
        let gap = softmax(x.dot(&fit.weights) + &fit.offsets) - &truth;
        let gradient = x.t().dot(&gap) / 90.0;
        let prior = truth.mean_axis(Axis(0)).unwrap();
        let slope = x.t().dot(&(&truth - &prior)) / 90.0;
        let strength = 0.1 * slope.fold(0.0, |most: f64, value| most.max(value.abs()));
        // Karush, Kuhn and Tucker: at a weight the gradient is the strength against its sign; elsewhere below it.
        for (w, g) in fit.weights.iter().zip(&gradient) {
            match *w == 0.0 {
                true => assert!(g.abs() <= strength * 1.01, "{g} {strength}"),
                false => assert!(
                    (g + strength * w.signum()).abs() < 0.01 * strength,
                    "{w} {g}"
                ),
            }
        }
        assert!(
            fit.weights.row(3).iter().all(|w| w.abs() < 0.1),
            "{}",
            fit.weights
        );
        assert!(fit.accuracy(&x, &labels) > 0.9);
    }

    #[test]
    fn the_strength_fits_the_information() {
        let noise =
            |i: usize, dim: usize| ((i * 7919 + dim * 613 + i * i * 31) % 997) as f64 / 997.0 - 0.5;
        let labels: Vec<usize> = (0..200).map(|i| (i * 37 + i / 7) % 2).collect();
        let of = |signal: f64| {
            let place = |(i, dim)| {
                3.0 * noise(i, dim)
                    + if dim == 2 {
                        signal * labels[i] as f64
                    } else {
                        0.0
                    }
            };
            let x = Array2::from_shape_fn((200, 6), place);
            (fit(&x, &labels, 2), x)
        };
        let (informative, x) = of(6.0);
        assert!(informative.accuracy(&x, &labels) > 0.95);
        let of_dim = |fit: &Fit, dim| fit.weights.row(dim).iter().map(|w| w.abs()).sum::<f64>();
        assert!(
            (0..6)
                .filter(|&dim| dim != 2)
                .all(|dim| of_dim(&informative, dim) < 0.2 * of_dim(&informative, 2))
        );
        // Without information in the vectors, the strongest penalty is as good as any.
        let (uninformative, x) = of(0.0);
        assert!(uninformative.accuracy(&x, &labels) < 0.65);
    }

    #[test]
    fn the_eigenvalue_is_not_too_small() {
        let x = ndarray::array![[3.0, 0.0], [0.0, 1.0]];
        let found = greatest_eigenvalue(&x);
        assert!((9.0..9.5).contains(&found), "{found}");
    }
}
