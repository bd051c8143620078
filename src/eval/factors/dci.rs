//! Disentanglement and completeness (Eastwood and Williams 2018, section 2) of importances.

use ndarray::{Array2, Axis};

/// The share of each dimension in the absolute weights `[dims, classes]`; all 0 when all weights are 0.
pub(super) fn shares(weights: &Array2<f64>) -> Vec<f64> {
    let sums = weights.mapv(f64::abs).sum_axis(Axis(1));
    let total = sums.sum();
    match total > 0.0 {
        true => (sums / total).to_vec(),
        false => sums.to_vec(),
    }
}

/// 1 minus the entropy of a factor's shares over dimensions, divided by its maximum.
pub(super) fn completeness(importance: &[f64]) -> f64 {
    concentration(importance)
}

/// Mean over dimensions, weighted by their importance, of 1 minus the normalised entropy of their shares over factors; none
/// for a single factor.
pub(super) fn disentanglement(factors: &[&[f64]]) -> Option<f64> {
    let dims = factors.first()?.len();
    let (mut sum, mut total) = (0.0, 0.0);
    for dim in 0..dims {
        let shares: Vec<f64> = factors.iter().map(|importance| importance[dim]).collect();
        let weight: f64 = shares.iter().sum();
        sum += weight * concentration(&shares);
        total += weight;
    }
    (factors.len() > 1 && total > 0.0).then(|| sum / total)
}

/// 1 when one share is 1, 0 when shares are equal or all 0; 1 for a single share.
fn concentration(shares: &[f64]) -> f64 {
    let total: f64 = shares.iter().sum();
    if total <= 0.0 {
        return 0.0;
    }
    if shares.len() < 2 {
        return 1.0;
    }
    let entropy: f64 = shares
        .iter()
        .map(|share| share / total)
        .filter(|&share| share > 0.0)
        .map(|share| -share * share.ln())
        .sum();
    1.0 - entropy / (shares.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn shares_are_of_absolute_weights() {
        assert_eq!(
            shares(&array![[1.0, -2.0], [0.0, 0.0], [0.5, 0.5]]),
            [0.75, 0.0, 0.25]
        );
        assert_eq!(shares(&array![[0.0], [0.0]]), [0.0, 0.0]);
    }

    #[test]
    fn concentration_by_hand() {
        assert_eq!(concentration(&[0.0, 3.0, 0.0]), 1.0);
        assert!(concentration(&[2.0, 2.0, 2.0, 2.0]).abs() < 1e-12);
        // Two of four places: entropy ln 2 of ln 4.
        assert!((concentration(&[1.0, 1.0, 0.0, 0.0]) - 0.5).abs() < 1e-12);
    }
}
