//! ZEBRA (Nautsch et al., Interspeech 2020): what scores disclose in bits on average over all priors, and at worst.

use std::f64::consts::{LN_2, LN_10};

use crate::eval::trials::{Detection, Pool, ScoredTrials};

/// Disclosure of a set of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Zebra {
    /// Expected disclosure in bits, from 0 to `1 / log 4 = 0.721`.
    pub expected_bits: f64,
    /// The strongest evidence: the greatest size of a log-likelihood ratio to base 10.
    pub worst: f64,
}

impl Zebra {
    /// Measures scores: isotonic regression gives their log-likelihood ratios. Laplace's rule adds a trial of each kind beyond
    /// either end, so that all are finite.
    pub fn of(detection: &Detection) -> Self {
        let counts = (
            detection.targets().len() as f64,
            detection.nontargets().len() as f64,
        );
        let mut pools = with_dummies(detection).pools();
        let ratios: Vec<f64> = pools
            .iter()
            .map(|pool| {
                let odds = pool.targets as f64 / pool.nontargets as f64;
                (odds * counts.1 / counts.0).ln()
            })
            .collect();
        drop_dummies(&mut pools);
        let (mut cost, mut worst) = (0.0, 0f64);
        for (pool, &ratio) in pools.iter().zip(&ratios) {
            let (targets, others) = (pool.targets as f64, pool.nontargets as f64);
            cost += targets / counts.0 * expected_cost(ratio);
            cost += others / counts.1 * expected_cost(-ratio);
            if pool.targets + pool.nontargets > 0 {
                worst = worst.max(ratio.abs() / LN_10);
            }
        }
        Self {
            expected_bits: (0.5 - cost) / LN_2,
            worst,
        }
    }

    /// The category of the worst case: `0` for none, then `A` to `F` below 10, 100, 10^4, 10^5, 10^6 to one and beyond.
    pub fn tag(&self) -> char {
        match self.worst {
            worst if worst <= f64::EPSILON => '0',
            worst if worst < 1.0 => 'A',
            worst if worst < 2.0 => 'B',
            worst if worst < 4.0 => 'C',
            worst if worst < 5.0 => 'D',
            worst if worst < 6.0 => 'E',
            _ => 'F',
        }
    }
}

fn with_dummies(detection: &Detection) -> Detection {
    let mut scored = ScoredTrials::default();
    scored.extend(detection.targets().iter().map(|&score| (score, true)));
    scored.extend(detection.nontargets().iter().map(|&score| (score, false)));
    for end in [f64::NEG_INFINITY, f64::INFINITY] {
        scored.extend([(end, true), (end, false)]);
    }
    let source = std::path::Path::new("scores");
    scored
        .detection(source)
        .expect("trials of both kinds, none NaN, as they were")
}

/// Takes the dummies out of the first and the last pool.
fn drop_dummies(pools: &mut [Pool]) {
    let drop = |pool: Option<&mut Pool>| {
        if let Some(pool) = pool {
            pool.targets -= 1;
            pool.nontargets -= 1;
        }
    };
    drop(pools.first_mut());
    drop(pools.last_mut());
}

/// `int_0^1 p ln(1 + (1 - p) / (p a)) dp = (c - ln a) / (2 c^2)`, with `c = a - 1`: what a target trial of a likelihood ratio
/// `a` costs on average over all priors, in nats; a non-target trial costs that of `1 / a`.
fn expected_cost(log_ratio: f64) -> f64 {
    let c = log_ratio.exp_m1();
    match log_ratio.abs() < 1e-4 {
        // Its series: the difference above has no digits left.
        true => 0.25 - c / 6.0 + c * c / 8.0,
        false => (c - log_ratio) / (2.0 * c * c),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::detection;
    use super::*;

    #[test]
    fn closed_cases() {
        let same: Vec<f64> = (0..5000).map(f64::from).collect();
        let none = Zebra::of(&detection(&same, &same));
        assert!(
            none.expected_bits.abs() < 1e-12 && none.worst.abs() < 1e-12,
            "{none:?}"
        );
        assert_eq!(none.tag(), '0');
        let beyond: Vec<f64> = same.iter().map(|score| score + 1e4).collect();
        let all = Zebra::of(&detection(&beyond, &same));
        assert!(
            (all.expected_bits - 1.0 / 4f64.ln()).abs() < 2e-3,
            "{all:?}"
        );
        // 5000 of one kind and a dummy, against a dummy of the other.
        assert!((all.worst - 5001f64.log10()).abs() < 1e-9, "{all:?}");
        assert_eq!(all.tag(), 'C');
    }

    #[test]
    fn the_cost_is_the_integral() {
        for log_ratio in [-6.0, -1.0, -2e-4, -1e-5, 0.0, 5e-5, 2e-4, 1.0, 6.0f64] {
            let steps = 200_000;
            let sum: f64 = (0..steps)
                .map(|step| {
                    let p = (f64::from(step) + 0.5) / f64::from(steps);
                    p * ((1.0 - p) / (p * log_ratio.exp())).ln_1p()
                })
                .sum();
            let found = expected_cost(log_ratio);
            assert!(
                (found - sum / f64::from(steps)).abs() < 1e-8,
                "{log_ratio}: {found}"
            );
        }
    }
}
