//! Singling-out (Vauquier et al., Interspeech 2025, after Cohen and Nissim 2020): how often a threshold that should let one
//! speaker of a group through lets exactly one through.

use ndarray::{ArrayView2, s};
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

/// Scores of enrolled speakers against what groups are made of.
#[derive(Debug, Clone, Copy)]
pub struct Conversations<'a> {
    /// `[speakers, speakers]`: enrolment against test.
    pub tests: ArrayView2<'a, f64>,
    /// `[speakers, speakers * conversations]`: enrolment against calibration, one speaker's side by side.
    pub calibration: ArrayView2<'a, f64>,
}

/// What a predicate that knows nothing reaches in large groups: `1 / e`.
pub const CHANCE: f64 = 0.367_879_441_171_442_33;

/// By enrolled speaker, the share of `draws` groups of `size` test speakers (its own among them) in which exactly one test
/// scores above a threshold. The threshold lies midway between the `M`-th and the next of the group's calibration scores,
/// highest first, with `M` calibration conversations per speaker. As in the authors' package, the one that is isolated need
/// not be the enrolled speaker.
pub fn singling_out(
    scores: Conversations,
    size: usize,
    draws: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<f64> {
    let speakers = scores.tests.nrows();
    // Only one group is possible of all speakers.
    let draws = if size == speakers { 1 } else { draws };
    let isolated = |speaker: usize, rng: &mut ChaCha8Rng| {
        let others = index::sample(rng, speakers - 1, size - 1);
        let mut group: Vec<usize> = others
            .into_iter()
            .map(|o| o + usize::from(o >= speaker))
            .collect();
        group.push(speaker);
        isolates(scores, speaker, &group)
    };
    (0..speakers)
        .map(|speaker| {
            let successes = (0..draws).filter(|_| isolated(speaker, rng)).count();
            successes as f64 / draws as f64
        })
        .collect()
}

fn isolates(scores: Conversations, speaker: usize, group: &[usize]) -> bool {
    let conversations = scores.calibration.ncols() / scores.tests.ncols();
    let mut calibration: Vec<f64> = group
        .iter()
        .flat_map(|other| {
            let columns = other * conversations..(other + 1) * conversations;
            scores.calibration.slice(s![speaker, columns]).to_vec()
        })
        .collect();
    calibration.sort_by(|a, b| b.total_cmp(a));
    let threshold = (calibration[conversations - 1] + calibration[conversations]) / 2.0;
    let above = |&&other: &&usize| scores.tests[[speaker, other]] > threshold;
    group.iter().filter(above).count() == 1
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn separated_speakers_are_always_singled_out() {
        let scores = Array2::<f64>::eye(6);
        let scores = Conversations {
            tests: scores.view(),
            calibration: scores.view(),
        };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for size in [2, 4, 6] {
            assert_eq!(singling_out(scores, size, 20, &mut rng), [1.0; 6]);
        }
    }

    #[test]
    fn noise_is_singled_out_by_chance() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let speakers = 400;
        let mut noise =
            |columns| Array2::from_shape_simple_fn((speakers, columns), || rng.random::<f64>());
        let (tests, calibration) = (noise(speakers), noise(20 * speakers));
        let scores = Conversations {
            tests: tests.view(),
            calibration: calibration.view(),
        };
        let found = singling_out(scores, speakers, 1, &mut ChaCha8Rng::seed_from_u64(2));
        let mean = found.iter().sum::<f64>() / speakers as f64;
        // Of the threshold's own spread a little is lost; three standard errors of a proportion of 400.
        assert!((mean - CHANCE).abs() < 0.075, "{mean}");
    }
}
