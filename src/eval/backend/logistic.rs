//! Logistic regression of target trials under a prior, by Newton's method.

use ndarray::{Array1, Array2, Axis, s};

use crate::error::{Error, Result};
use crate::eval::algebra;
use crate::eval::trials::softplus;

/// Newton's steps; a handful is enough.
const MAX_STEPS: usize = 100;
/// Weight of half the squared weights in the cost: columns that say the same share a weight, and nothing else is moved.
const RIDGE: f64 = 1e-9;

/// `weights . row + offset` is a natural log-likelihood ratio.
#[derive(Debug)]
pub(super) struct Fit {
    pub(super) weights: Array1<f64>,
    pub(super) offset: f64,
}

/// Finds the map of rows `[trials, columns]` with the least cross-entropy under a prior of targets, whatever their share of
/// the trials. There are trials of both kinds.
///
/// # Errors
/// [`Error::Option`] for a prior that is not between 0 and 1, or numbers that overflow.
pub(super) fn fit(rows: &Array2<f64>, targets: &[bool], prior: f64) -> Result<Fit> {
    if !(prior > 0.0 && prior < 1.0) {
        let found = prior.to_string();
        return Err(Error::option("prior", "between 0 and 1", found));
    }
    // Newton's method wants columns of one size. One without deviation gets no weight.
    let means = rows.mean_axis(Axis(0)).expect("at least one trial");
    let deviations = rows.std_axis(Axis(0), 0.0);
    let deviations = deviations.mapv(|x| if x > 0.0 { x } else { 1.0 });
    let mut scaled = (rows - &means) / &deviations;
    scaled
        .push_column(Array1::ones(rows.nrows()).view())
        .expect("a value of each trial");
    let regression = Regression::new(scaled, targets, prior);
    let mut slope = regression.slope(Array1::zeros(rows.ncols() + 1));
    for _ in 0..MAX_STEPS {
        match regression.step(&slope)? {
            Some(next) => slope = next,
            None => break,
        }
    }
    let weights = &slope.at.slice(s![..-1]) / &deviations;
    Ok(Fit {
        offset: slope.at[rows.ncols()] - weights.dot(&means),
        weights,
    })
}

struct Regression {
    /// Standardised columns and a column of ones, `[trials, columns + 1]`.
    rows: Array2<f64>,
    /// 1 for targets, else -1, and the weight of each trial.
    signs: Array1<f64>,
    shares: Array1<f64>,
    log_odds: f64,
}

/// The cost at some weights, its gradient and second derivatives.
struct Slope {
    at: Array1<f64>,
    cost: f64,
    gradient: Array1<f64>,
    curvature: Array2<f64>,
}

impl Regression {
    fn new(rows: Array2<f64>, targets: &[bool], prior: f64) -> Self {
        let count = targets.iter().filter(|&&target| target).count();
        let share = |&target: &bool| match target {
            true => prior / count as f64,
            false => (1.0 - prior) / (targets.len() - count) as f64,
        };
        let sign = |&target: &bool| if target { 1.0 } else { -1.0 };
        Self {
            rows,
            signs: targets.iter().map(sign).collect(),
            shares: targets.iter().map(share).collect(),
            log_odds: (prior / (1.0 - prior)).ln(),
        }
    }

    fn slope(&self, at: Array1<f64>) -> Slope {
        let margins = (self.rows.dot(&at) + self.log_odds) * &self.signs;
        let wrong = margins.mapv(|margin| (-softplus(margin)).exp());
        let weighted = &wrong * &self.shares;
        let second = (&weighted * &wrong.mapv(|wrong| 1.0 - wrong)).insert_axis(Axis(1));
        let penalised = s![..at.len() - 1];
        let mut penalties = Array1::from_elem(at.len(), RIDGE);
        penalties[at.len() - 1] = 0.0;
        let weights = at.slice(penalised);
        Slope {
            cost: margins.mapv(|margin| softplus(-margin)).dot(&self.shares)
                + 0.5 * RIDGE * weights.dot(&weights),
            gradient: &penalties * &at - self.rows.t().dot(&(weighted * &self.signs)),
            curvature: self.rows.t().dot(&(&self.rows * &second)) + Array2::from_diag(&penalties),
            at,
        }
    }

    /// Newton's step, halved until it lowers the cost; none when none does.
    fn step(&self, from: &Slope) -> Result<Option<Slope>> {
        let step = algebra::solve(&from.curvature, &from.gradient)?;
        let mut share = 1.0;
        while share > 1e-6 {
            let slope = self.slope(&from.at - &(&step * share));
            if slope.cost < from.cost {
                return Ok(Some(slope));
            }
            share /= 2.0;
        }
        Ok(None)
    }
}
