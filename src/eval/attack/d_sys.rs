//! Global linkability `D_sys` (Gomez-Barrero et al., IEEE TIFS 2018, eq. 3 to 6): the overlap of the scores of mated and
//! non-mated trials.

use crate::eval::trials::Detection;

/// The most bins of the histograms.
const MOST_BINS: usize = 100;
/// Mated trials per bin.
const TRIALS_PER_BIN: usize = 10;

/// From 0 (no link) to about 1 (every mated score is beyond all others); none for fewer than 20 mated trials, which make no
/// two bins. Densities are histograms of `min(mated / 10, 100)` bins over the range of all scores, the ratio of prior
/// probabilities is 1, and the integral is a trapezium rule over the bins' centres, so that half a bin at either end is lost.
pub fn d_sys(detection: &Detection) -> Option<f64> {
    let (targets, others) = (detection.targets(), detection.nontargets());
    let bins = (targets.len() / TRIALS_PER_BIN).min(MOST_BINS);
    if bins < 2 {
        return None;
    }
    let low = targets[0].min(others[0]);
    let high = targets[targets.len() - 1].max(others[others.len() - 1]);
    let width = (high - low) / bins as f64;
    if !(width > 0.0 && width.is_finite()) {
        return Some(0.0);
    }
    let edges: Vec<f64> = (1..bins).map(|bin| low + bin as f64 * width).collect();
    let (mated, other) = (density(targets, &edges), density(others, &edges));
    let linked: Vec<f64> = mated
        .iter()
        .zip(&other)
        .map(|(&mated, &other)| mated * local(mated, other))
        .collect();
    // Densities are shares over widths, and the trapezium's width cancels that of the bins.
    Some(
        linked
            .windows(2)
            .map(|pair| (pair[0] + pair[1]) / 2.0)
            .sum(),
    )
}

/// `D(s)` from the densities of mated and of other trials.
fn local(mated: f64, other: f64) -> f64 {
    match (mated, other) {
        (_, 0.0) => 1.0,
        (mated, other) if mated <= other => 0.0,
        (mated, other) => 2.0 * (mated / other) / (1.0 + mated / other) - 1.0,
    }
}

/// The share of sorted scores in every bin, from one inner edge (included) to the next.
fn density(scores: &[f64], edges: &[f64]) -> Vec<f64> {
    let mut begins = vec![0];
    begins.extend(
        edges
            .iter()
            .map(|edge| scores.partition_point(|score| score < edge)),
    );
    begins.push(scores.len());
    let share = |ends: &[usize]| (ends[1] - ends[0]) as f64 / scores.len() as f64;
    begins.windows(2).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::detection;
    use super::*;

    #[test]
    fn closed_cases() {
        let even = |from: f64| {
            (0..200)
                .map(|i| from + f64::from(i) / 200.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(d_sys(&detection(&even(0.0), &even(0.0))), Some(0.0));
        assert_eq!(d_sys(&detection(&[1.0; 20], &[1.0; 9])), Some(0.0));
        assert_eq!(d_sys(&detection(&even(0.0)[..19], &even(0.0))), None);
        // Apart: 20 bins, of which 10 hold a tenth of the mated scores each; half of the last is lost.
        let apart = d_sys(&detection(&even(1.0), &even(0.0))).unwrap();
        assert!((apart - 0.95).abs() < 0.01, "{apart}");
    }
}
