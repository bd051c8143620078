//! The cost of log-likelihood ratios over all priors and costs, Cllr (Brümmer and du Preez 2006, eq. 7 and section 5), and
//! their cost after the best calibration, minCllr: isotonic regression by the pool adjacent violators algorithm.

use super::detection::Detection;

/// A run of neighbouring scores with one log-likelihood ratio in the best calibration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool {
    /// Target trials of the run.
    pub(crate) targets: u64,
    /// Other trials of the run.
    pub(crate) nontargets: u64,
}

impl Pool {
    /// Whether its share of targets is at least `next`'s, so that both have to be merged.
    fn violates(&self, next: &Self) -> bool {
        let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
        product(self.targets, next.nontargets) >= product(next.targets, self.nontargets)
    }
}

impl Detection {
    /// Cllr: the cost of the scores as natural log-likelihood ratios, in bits: 0 at best, 1 for a constant 0, more for
    /// misleading scores.
    pub fn cllr(&self) -> f64 {
        let mean = |scores: &[f64], sign: f64| {
            let sum: f64 = scores.iter().map(|score| softplus(sign * score)).sum();
            sum / scores.len() as f64
        };
        (mean(self.targets(), -1.0) + mean(self.nontargets(), 1.0)) / (2.0 * std::f64::consts::LN_2)
    }

    /// minCllr: the least cost of any increasing function of the scores on these trials.
    pub fn min_cllr(&self) -> f64 {
        let (all_targets, all_others) =
            (self.targets().len() as f64, self.nontargets().len() as f64);
        let cost = |pool: Pool| {
            let (targets, others) = (pool.targets as f64, pool.nontargets as f64);
            // Over targets and others, from the ratio of their shares. A pool of one kind costs nothing.
            let of = |own: f64, all: f64, rest: f64, all_rest: f64| match own {
                0.0 => 0.0,
                _ => own / all * (rest / own * (all / all_rest)).ln_1p(),
            };
            of(targets, all_targets, others, all_others)
                + of(others, all_others, targets, all_targets)
        };
        let sum: f64 = self.pools().into_iter().map(cost).sum();
        sum / (2.0 * std::f64::consts::LN_2)
    }

    /// Shares of targets rise strictly from pool to pool, lowest scores first, so that there are few of them.
    pub(crate) fn pools(&self) -> Vec<Pool> {
        let mut pools: Vec<Pool> = Vec::new();
        for ties in self.ties() {
            let mut pool = Pool {
                targets: ties.targets as u64,
                nontargets: ties.nontargets as u64,
            };
            while let Some(last) = pools.pop_if(|last| last.violates(&pool)) {
                pool.targets += last.targets;
                pool.nontargets += last.nontargets;
            }
            pools.push(pool);
        }
        pools
    }
}

/// `ln(1 + exp(x))`.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::ScoredTrials;
    use super::*;

    fn detection(targets: &[f64], nontargets: &[f64]) -> Detection {
        let mut scored = ScoredTrials::default();
        scored.extend(targets.iter().map(|&score| (score, true)));
        scored.extend(nontargets.iter().map(|&score| (score, false)));
        scored.detection(Path::new("t")).unwrap()
    }

    #[test]
    fn a_known_cost() {
        let found = detection(&[1.0], &[-2.0]).cllr();
        let expected = ((1.0 + (-1f64).exp()).log2() + (1.0 + (-2f64).exp()).log2()) / 2.0;
        assert!((found - expected).abs() < 1e-12);
        // Very wrong, and still finite.
        assert!((detection(&[-1e4], &[1e4]).cllr() - 1e4 / std::f64::consts::LN_2).abs() < 1e-9);
    }

    #[test]
    fn pools_are_merged_until_shares_rise() {
        let found = detection(&[1.0, 2.0, 3.0], &[0.0, 1.5, 1.7]);
        assert_eq!(found.pools().len(), 3);
        // 0: n; 1 to 1.7: t n n, a share of 1/3; 2 and 3: t.
        let expected = (0.5 * (1f64 / 3.0 * 3f64.log2())) + 0.5 * (2.0 / 3.0 * 1.5f64.log2());
        assert!(
            (found.min_cllr() - expected).abs() < 1e-12,
            "{}",
            found.min_cllr()
        );
    }

    #[test]
    fn no_increasing_function_costs_less() {
        let (targets, others) = ([0.1, 0.4, 0.9, 1.2, 2.0], [-1.0, 0.2, 0.5, 0.3, 1.0, -0.2]);
        let least = detection(&targets, &others).min_cllr();
        for (scale, offset) in [(0.5, 0.0), (1.0, -0.5), (2.0, -1.0), (4.0, -2.0)] {
            let by = |scores: &[f64]| -> Vec<f64> {
                scores.iter().map(|score| scale * score + offset).collect()
            };
            assert!(detection(&by(&targets), &by(&others)).cllr() > least);
        }
    }
}
