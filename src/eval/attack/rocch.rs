//! The equal error rate on the convex hull of the ROC curve (Brümmer and du Preez, BOSARIS 2013), which does not depend on how
//! scores are spaced, and the share of target trials that are accepted at a low false alarm rate (VoxGuard 2025).

use crate::eval::trials::Detection;

/// Where the hull of miss over false alarm rates crosses the diagonal, in `[0, 0.5]`. The hull's corners lie between the
/// pools of isotonic regression.
pub fn rocch_eer(detection: &Detection) -> f64 {
    let targets = detection.targets().len() as f64;
    let others = detection.nontargets().len() as f64;
    // From a threshold below all scores to one above.
    let (mut miss, mut false_alarm) = (0.0, 1.0);
    let (mut missed, mut refused) = (0, 0);
    for pool in detection.pools() {
        missed += pool.targets;
        refused += pool.nontargets;
        let next = (missed as f64 / targets, 1.0 - refused as f64 / others);
        if next.0 >= next.1 {
            let (before, after) = (false_alarm - miss, next.0 - next.1);
            let share = before / (before + after);
            return false_alarm + share * (next.1 - false_alarm);
        }
        (miss, false_alarm) = next;
    }
    0.5
}

/// The share of target trials above a threshold that at most a share `false_alarm` of the others exceeds.
pub fn accepted_at(detection: &Detection, false_alarm: f64) -> f64 {
    let (targets, others) = (detection.targets(), detection.nontargets());
    let exceed = (false_alarm * others.len() as f64).floor() as usize;
    let threshold = others[others.len() - 1 - exceed.min(others.len() - 1)];
    let below = targets.partition_point(|score| *score <= threshold);
    (targets.len() - below) as f64 / targets.len() as f64
}

#[cfg(test)]
mod tests {
    use super::super::tests::detection;
    use super::*;

    #[test]
    fn closed_cases() {
        for (targets, others, eer) in [
            (vec![2.0, 3.0], vec![0.0, 1.0], 0.0),
            (vec![1.0, 2.0], vec![1.0, 2.0], 0.5),
            (vec![0.0, 1.0], vec![2.0, 3.0], 0.5),
            (vec![1.0; 3], vec![1.0; 5], 0.5),
            // Corners (1, 0), (0.5, 0), (0, 0.5), (0, 1).
            (vec![1.0, 3.0], vec![0.0, 2.0], 0.25),
        ] {
            let found = rocch_eer(&detection(&targets, &others));
            assert!(
                (found - eer).abs() < 1e-12,
                "{targets:?} {others:?}: {found}"
            );
        }
    }

    #[test]
    fn few_false_alarms_are_allowed() {
        let others: Vec<f64> = (0..2000).map(f64::from).collect();
        // Two of 2000 may exceed the threshold, which is then 1997.
        let detection = detection(&[1997.0, 1997.5, 1999.5, 5.0], &others);
        assert_eq!(accepted_at(&detection, 1e-3), 0.5);
        assert_eq!(accepted_at(&detection, 1e-4), 0.25);
        assert_eq!(accepted_at(&detection, 1.0), 1.0);
    }
}
