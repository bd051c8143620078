//! Similarity rank disclosure (Bäckström et al. 2025, arXiv 2508.05250): what the rank of the true speaker discloses, in bits;
//! and the greatest evidence of a rank, `eps_max` (arXiv 2608.10318).

use super::linkability::Rank;

/// How often the true speaker stands at each rank.
#[derive(Debug, Clone, PartialEq)]
pub struct RankShares {
    /// Shares of ranks 1 to N; ties are spread over the ranks that they take.
    pub counted: Vec<f64>,
    /// The same as a beta-binomial distribution of the same mean and variance: what few trials leave empty gets its share.
    pub smoothed: Vec<f64>,
    /// The same by Laplace's rule: every rank is counted once more.
    pub by_laplace: Vec<f64>,
}

impl RankShares {
    /// Of ranks among `speakers` speakers, at least 2; of at least one trial.
    pub fn of(ranks: &[Rank], speakers: usize) -> Self {
        let mut counts = vec![0.0; speakers];
        for rank in ranks {
            for count in &mut counts[rank.above..=rank.above + rank.tied] {
                *count += 1.0 / (rank.tied + 1) as f64;
            }
        }
        let trials = ranks.len() as f64;
        let counted: Vec<f64> = counts.iter().map(|count| count / trials).collect();
        let all = trials + speakers as f64;
        let by_laplace: Vec<f64> = counts.iter().map(|count| (count + 1.0) / all).collect();
        Self {
            // Narrower than any beta-binomial, as when all are at rank 1: Laplace's rule.
            smoothed: beta_binomial(&counted).unwrap_or_else(|| by_laplace.clone()),
            counted,
            by_laplace,
        }
    }

    /// The share of rank 1.
    pub fn identification(&self) -> f64 {
        self.counted[0]
    }

    /// The mean of `log2(N gamma_k)` over the smoothed shares `gamma_k`, at least 0.
    pub fn mean_bits(&self) -> f64 {
        let speakers = self.smoothed.len() as f64;
        let bits = |&share: &f64| share * (speakers * share).max(f64::MIN_POSITIVE).log2();
        self.smoothed.iter().map(bits).sum()
    }

    /// The greatest `log2(N gamma_k)`, over the counted shares; that of rank 1 is `log2(N * identification)`.
    pub fn max_bits(&self) -> f64 {
        let most = self.counted.iter().copied().fold(0.0, f64::max);
        (self.counted.len() as f64 * most).log2()
    }

    /// The greatest size of `ln(gamma_k (N - 1) / (1 - gamma_k))` over shares by Laplace's rule: a
    /// fitted distribution would claim evidence of ranks that were never seen.
    pub fn eps_max(&self) -> f64 {
        let others = self.by_laplace.len() as f64 - 1.0;
        let evidence = |&share: &f64| (share * others / (1.0 - share)).ln().abs();
        self.by_laplace.iter().map(evidence).fold(0.0, f64::max)
    }
}

/// The beta-binomial distribution on `0..shares.len()` with the mean and variance of `shares`, by the method of moments; none
/// where the variance is not above a binomial's.
fn beta_binomial(shares: &[f64]) -> Option<Vec<f64>> {
    let n = (shares.len() - 1) as f64;
    let moment = |power: i32| -> f64 {
        let terms = shares.iter().enumerate();
        terms.map(|(k, share)| share * (k as f64).powi(power)).sum()
    };
    let (first, second) = (moment(1), moment(2));
    let scale = n * (second / first - first - 1.0) + first;
    let alpha = (n * first - second) / scale;
    let beta = (n - first) * (n - second / first) / scale;
    if !(scale > 0.0 && alpha > 0.0 && beta > 0.0 && alpha.is_finite() && beta.is_finite()) {
        return None;
    }
    // Neighbouring probabilities have a rational ratio.
    let mut logs = vec![0.0];
    for k in 0..shares.len() - 1 {
        let k = k as f64;
        let ratio = (n - k) * (k + alpha) / ((k + 1.0) * (n - k - 1.0 + beta));
        logs.push(logs[logs.len() - 1] + ratio.ln());
    }
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = logs.iter().map(|log| (log - most).exp()).sum();
    Some(logs.iter().map(|log| (log - most).exp() / total).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(above: impl Iterator<Item = usize>, speakers: usize) -> RankShares {
        let ranks: Vec<Rank> = above.map(|above| Rank { above, tied: 0 }).collect();
        RankShares::of(&ranks, speakers)
    }

    #[test]
    fn ranks_by_chance_disclose_nothing() {
        let found = shares((0..400).map(|trial| trial % 8), 8);
        assert!(found.mean_bits().abs() < 1e-9 && found.max_bits().abs() < 1e-9);
        assert!(found.eps_max() < 1e-9, "{found:?}");
        // Constant scores, too.
        let tied = RankShares::of(&[Rank { above: 0, tied: 7 }; 3], 8);
        assert_eq!(tied.identification(), 0.125);
        assert!(tied.mean_bits().abs() < 1e-9);
    }

    #[test]
    fn the_first_rank_discloses_all() {
        let found = shares(std::iter::repeat_n(0, 10_000), 8);
        assert_eq!((found.identification(), found.max_bits()), (1.0, 3.0));
        assert!((found.mean_bits() - 3.0).abs() < 0.02);
        assert!(found.eps_max() > 7.0);
    }

    #[test]
    fn moments_are_kept() {
        let found = shares([0, 0, 0, 1, 0, 2, 6, 3, 0, 1].into_iter(), 8);
        for power in [1, 2] {
            let moment = |shares: &[f64]| -> f64 {
                let terms = shares.iter().enumerate();
                terms.map(|(k, share)| share * (k as f64).powi(power)).sum()
            };
            assert!((moment(&found.counted) - moment(&found.smoothed)).abs() < 1e-9);
        }
    }
}
