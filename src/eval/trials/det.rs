//! The DET curve: miss rate over false alarm rate, on normal deviates (Martin et al. 1997).

use super::detection::Detection;

/// Rates at one threshold, both above 0 and below 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetPoint {
    /// Share of other trials that are accepted.
    pub false_alarm: f64,
    /// Share of target trials that are refused.
    pub miss: f64,
}

/// Points closer than this on both axes, in normal deviates, are drawn as one.
const NEAR: f64 = 0.01;

impl Detection {
    /// The curve from low thresholds to high ones, without points too close to be distinguished; empty when no threshold
    /// makes errors of both kinds.
    pub fn det_curve(&self) -> Vec<DetPoint> {
        let mut points: Vec<DetPoint> = Vec::new();
        let mut kept = (f64::INFINITY, f64::INFINITY);
        let open = |rate: f64| rate > 0.0 && rate < 1.0;
        for point in self.operating_points() {
            if !(open(point.miss) && open(point.false_alarm)) {
                continue;
            }
            let at = (probit(point.false_alarm), probit(point.miss));
            if (at.0 - kept.0).abs() >= NEAR || (at.1 - kept.1).abs() >= NEAR {
                kept = at;
                points.push(DetPoint {
                    false_alarm: point.false_alarm,
                    miss: point.miss,
                });
            }
        }
        points
    }
}

/// The standard normal deviate below which a share `p` of (0, 1) lies, to nine digits (Acklam's rational functions).
pub fn probit(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    let polynomial = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    let tail = |share: f64| {
        let q = (-2.0 * share.ln()).sqrt();
        polynomial(&C, q) / polynomial(&D, q)
    };
    if p < 0.024_25 {
        tail(p)
    } else if p > 1.0 - 0.024_25 {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        q * polynomial(&A, q * q) / polynomial(&B, q * q)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::ScoredTrials;
    use super::*;

    #[test]
    fn known_deviates() {
        for (p, expected) in [
            (0.5, 0.0),
            (0.841_344_746_068_543, 1.0),
            (0.001_349_898_031_630_1, -3.0),
            (0.01, -2.326_347_874_040_841),
            (1.0 - 0.01, 2.326_347_874_040_841),
        ] {
            assert!((probit(p) - expected).abs() < 1e-8, "{p}: {}", probit(p));
        }
    }

    /// Scores of two normal distributions of one width make a straight line, falling at 45 degrees.
    #[test]
    fn normal_scores_make_a_line() {
        let count = 20_000;
        let mut scored = ScoredTrials::default();
        for index in 0..count {
            let deviate = probit((index as f64 + 0.5) / count as f64);
            scored.push(deviate + 2.0, true);
            scored.push(deviate, false);
        }
        let curve = scored.detection(Path::new("t")).unwrap().det_curve();
        assert!(curve.len() > 100 && curve.len() < 2_000, "{}", curve.len());
        for point in curve
            .iter()
            .filter(|p| p.miss > 1e-3 && p.false_alarm > 1e-3)
        {
            let sum = probit(point.false_alarm) + probit(point.miss);
            assert!((sum + 2.0).abs() < 0.02, "{point:?}");
        }
    }
}
