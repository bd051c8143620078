//! The predictability of a factor from each dimension alone, for the separated attribute predictability score (Kumar et al.
//! 2018): test accuracy of a linear support vector machine on that dimension, as in Locatello et al. 2019, but on
//! standardised dimensions, so that their scale has no effect.

use ndarray::ArrayView1;
use rayon::prelude::*;

use super::Sets;

/// Cost of an error.
const COST: f64 = 0.01;

/// Per dimension, whether the class of each test item is predicted correctly.
pub(super) fn right(
    sets: &Sets,
    (learn, test): &(Vec<usize>, Vec<usize>),
    classes: usize,
) -> Vec<Vec<bool>> {
    (0..sets.learn.ncols())
        .into_par_iter()
        .map(|dim| {
            let lines = lines(sets.learn.column(dim), learn, classes);
            let values = sets.test.column(dim);
            let items = values.iter().zip(test);
            items.map(|(&x, &class)| name(&lines, x) == class).collect()
        })
        .collect()
}

/// `slope * x + offset`.
type Line = (f64, f64);

fn name(lines: &[Line], x: f64) -> usize {
    let value = |line: &Line| line.0 * x + line.1;
    match lines {
        [one] => usize::from(value(one) > 0.0),
        _ => (1..lines.len()).fold(0, |best, class| {
            if value(&lines[class]) > value(&lines[best]) {
                class
            } else {
                best
            }
        }),
    }
}

/// One line a class against the rest; one in all for two classes. Weights as in liblinear under balanced classes:
/// a class weighs as if all were equally frequent, a rest by its number.
fn lines(x: ArrayView1<f64>, labels: &[usize], classes: usize) -> Vec<Line> {
    let mut counts = vec![0f64; classes];
    labels.iter().for_each(|&label| counts[label] += 1.0);
    let present = counts.iter().filter(|&&count| count > 0.0).count() as f64;
    let cost = |class: usize| COST * labels.len() as f64 / (present * counts[class]);
    let against_rest = |class: usize, cost_of_rest: f64| {
        let points: Vec<Point> = x
            .iter()
            .zip(labels)
            .map(|(&x, &label)| match label == class {
                true => (x, 1.0, cost(class)),
                false => (x, -1.0, cost_of_rest),
            })
            .collect();
        fit(&points)
    };
    match classes {
        2 => vec![against_rest(1, cost(0))],
        // A class that is not there is never named.
        _ => (0..classes)
            .map(|class| match counts[class] > 0.0 {
                true => against_rest(class, COST),
                false => (0.0, f64::NEG_INFINITY),
            })
            .collect(),
    }
}

/// Value, side (1 or -1) and cost.
type Point = (f64, f64, f64);

/// Least of (w^2 + b^2) / 2 + sum of cost * max(0, 1 - side (w x + b))^2, by Newton's method: the function is
/// convex and made of parabolas, so a few steps with halving reach it.
fn fit(points: &[Point]) -> Line {
    let mut line = (0.0, 0.0);
    let mut value = objective(points, line);
    for _ in 0..100 {
        let step = newton_step(points, line);
        let mut share = 1.0;
        let better = loop {
            let next = (line.0 - share * step.0, line.1 - share * step.1);
            let found = objective(points, next);
            if found < value {
                break Some((next, found));
            }
            share /= 2.0;
            if share < 1e-10 {
                break None;
            }
        };
        match better {
            Some((next, found)) => (line, value) = (next, found),
            None => break,
        }
    }
    line
}

fn objective(points: &[Point], (w, b): Line) -> f64 {
    let errors = points
        .iter()
        .map(|&(x, side, cost)| cost * (1.0 - side * (w * x + b)).max(0.0).powi(2));
    (w * w + b * b) / 2.0 + errors.sum::<f64>()
}

/// Hessian^-1 times gradient.
fn newton_step(points: &[Point], (w, b): Line) -> Line {
    let (mut gw, mut gb, mut hww, mut hwb, mut hbb) = (w, b, 1.0, 0.0, 1.0);
    for &(x, side, cost) in points {
        let margin = 1.0 - side * (w * x + b);
        if margin > 0.0 {
            gw -= 2.0 * cost * side * x * margin;
            gb -= 2.0 * cost * side * margin;
            hww += 2.0 * cost * x * x;
            hwb += 2.0 * cost * x;
            hbb += 2.0 * cost;
        }
    }
    let determinant = hww * hbb - hwb * hwb;
    (
        (hbb * gw - hwb * gb) / determinant,
        (hww * gb - hwb * gw) / determinant,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_least() {
        // All errors count: (1 + 2C * 2) w = 2C * 2 for points 1 and -1 of their sides, b = 0.
        let (w, b) = fit(&[(1.0, 1.0, 0.5), (-1.0, -1.0, 0.5)]);
        assert!((w - 2.0 / 3.0).abs() < 1e-9 && b.abs() < 1e-9, "{w} {b}");
        let points: Vec<Point> = (0..40)
            .map(|i| {
                let x = f64::from(i * 17 % 40) / 10.0 - 2.0;
                (
                    x,
                    if x + f64::from(i % 5) > 1.0 {
                        1.0
                    } else {
                        -1.0
                    },
                    0.3,
                )
            })
            .collect();
        let line = fit(&points);
        let value = objective(&points, line);
        for (dw, db) in [(1e-4, 0.0), (-1e-4, 0.0), (0.0, 1e-4), (0.0, -1e-4)] {
            assert!(objective(&points, (line.0 + dw, line.1 + db)) > value);
        }
    }
}
