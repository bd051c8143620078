//! Linkability (Vauquier et al., Interspeech 2025): how often a test speaker is found among candidates.

use ndarray::ArrayView2;

/// Where the true speaker stands among all enrolled ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// Other speakers with a higher score.
    pub above: usize,
    /// Other speakers with the same score.
    pub tied: usize,
}

impl Rank {
    /// The share of identification that it is worth: ties are broken by chance.
    pub fn identified(self) -> f64 {
        match self.above {
            0 => 1.0 / (self.tied + 1) as f64,
            _ => 0.0,
        }
    }
}

/// The rank of every test, of scores `[enrolled speakers, tests]` in which test `t` is of speaker `t`.
pub fn ranks(scores: ArrayView2<f64>) -> Vec<Rank> {
    let rank = |(test, column): (usize, ndarray::ArrayView1<f64>)| {
        let own = column[test];
        Rank {
            above: column.iter().filter(|score| **score > own).count(),
            tied: column.iter().filter(|score| **score == own).count() - 1,
        }
    };
    scores.columns().into_iter().enumerate().map(rank).collect()
}

/// The probability that the true speaker scores highest among `candidates` (itself one of them), the others drawn without
/// replacement from `others`, of which `above` score strictly higher: `C(others - above, c - 1) / C(others, c - 1)`. Ties
/// count for the attacker, as in the authors' package.
pub fn linkability(above: usize, others: usize, candidates: usize) -> f64 {
    (0..candidates.saturating_sub(1).min(others))
        .map(|drawn| (others - drawn).saturating_sub(above) as f64 / (others - drawn) as f64)
        .product()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn ranks_count_higher_and_equal_scores() {
        let scores = array![[0.9, 0.5, 0.1], [0.2, 0.5, 0.7], [0.3, 0.5, 0.4]];
        let found = ranks(scores.view());
        let expected = [(0, 0), (0, 2), (1, 0)].map(|(above, tied)| Rank { above, tied });
        assert_eq!(found, expected);
        let identified: f64 = found.iter().map(|rank| rank.identified()).sum();
        assert!((identified - 4.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn closed_cases() {
        // Nobody above; one candidate; all above; C(7, 2) / C(9, 2).
        for (above, candidates, expected) in
            [(0, 10, 1.0), (9, 1, 1.0), (9, 2, 0.0), (2, 3, 21.0 / 36.0)]
        {
            assert!((linkability(above, 9, candidates) - expected).abs() < 1e-12);
        }
    }
}
