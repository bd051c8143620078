//! Confidence intervals by resampling.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 1000;

/// The 95 % percentile bootstrap interval (Efron 1979) of the weighted mean of `values`, each `(sum, weight)`
/// of one utterance: utterances are drawn, not frames, since frames of one utterance are correlated. Draws of weight 0
/// have no mean and are left out; the ends are NaN where no draw has a mean.
pub fn bootstrap(values: &[(f64, f64)], seed: u64) -> (f64, f64) {
    if values.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let means = (0..RESAMPLES).map(|_| {
        let drawn = (0..values.len()).map(|_| values[rng.random_range(0..values.len())]);
        weighted_mean(drawn)
    });
    middle_of(means.collect())
}

/// The 95 % percentile bootstrap interval of a statistic of `units`, such as speakers: `statistic` gets how often each was
/// drawn. Draws are made in parallel, each from a seed of its own.
pub fn bootstrap_of(
    units: usize,
    seed: u64,
    statistic: impl Fn(&[f64]) -> f64 + Sync,
) -> (f64, f64) {
    let draws = (0..RESAMPLES as u64).into_par_iter().map(|draw| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(draw);
        let mut weights = vec![0.0; units];
        for _ in 0..units {
            weights[rng.random_range(0..units)] += 1.0;
        }
        statistic(&weights)
    });
    middle_of(draws.collect())
}

/// The ends of the middle 95 % of the finite draws; NaN where there are none.
pub fn middle_of(mut drawn: Vec<f64>) -> (f64, f64) {
    drawn.retain(|value| value.is_finite());
    drawn.sort_by(f64::total_cmp);
    let tail = drawn.len() / 40;
    match drawn.len() {
        0 => (f64::NAN, f64::NAN),
        count => (drawn[tail], drawn[count - 1 - tail]),
    }
}

/// `sum of sums / sum of weights`.
pub fn weighted_mean(values: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let (sum, weight) = values
        .into_iter()
        .fold((0.0, 0.0), |(sum, weight), (s, w)| (sum + s, weight + w));
    sum / weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_a_proportion() {
        let values: Vec<(f64, f64)> = (0..400).map(|i| (f64::from(i % 4 == 0), 1.0)).collect();
        let (low, high) = bootstrap(&values, 0);
        // Normal approximation: 0.25 +- 1.96 sqrt(0.25 * 0.75 / 400).
        assert!(
            (low - 0.2076).abs() < 0.012 && (high - 0.2924).abs() < 0.012,
            "{low} {high}"
        );
        assert_eq!(weighted_mean(values), 0.25);
    }

    #[test]
    fn a_statistic_of_units_has_the_interval_of_its_mean() {
        let values: Vec<(f64, f64)> = (0..400).map(|i| (f64::from(i % 4 == 0), 1.0)).collect();
        let mean = |weights: &[f64]| {
            weighted_mean(values.iter().zip(weights).map(|((x, _), w)| (x * w, *w)))
        };
        let (low, high) = bootstrap_of(400, 0, mean);
        let (expected_low, expected_high) = bootstrap(&values, 0);
        assert!((low - expected_low).abs() < 0.012 && (high - expected_high).abs() < 0.012);
    }

    #[test]
    fn draws_of_weight_0_are_left_out() {
        // Half of the draws of two are all of one: of no weight, or of a mean of 1.
        assert_eq!(bootstrap(&[(1.0, 1.0), (0.0, 0.0)], 0), (1.0, 1.0));
        assert!(bootstrap(&[(1.0, 0.0)], 0).0.is_nan());
    }
}
