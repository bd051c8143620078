//! All measures of one attack, from its scores over several draws of utterances.

use std::path::Path;

use ndarray::{Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::d_sys::d_sys;
use super::lid::{Lid, disclosure};
use super::linkability::{Rank, linkability, ranks};
use super::rocch::{accepted_at, rocch_eer};
use super::singling_out::{Conversations, singling_out};
use super::srd::RankShares;
use super::zebra::Zebra;
use crate::error::Result;
use crate::eval::backend::Calibration;
use crate::eval::interval::{bootstrap, middle_of};
use crate::eval::trials::{Detection, ScoredTrials};

/// The false alarm rate at which accepted target trials are counted.
pub const FALSE_ALARM: f64 = 1e-3;
/// Resamples of speakers for intervals of what is no mean over speakers.
const RESAMPLES: usize = 200;

/// Scores of one draw of utterances.
#[derive(Debug, Clone)]
pub struct DrawScores {
    /// `[speakers, speakers]`: enrolment against test.
    pub tests: Array2<f64>,
    /// The same against other utterances of the test speakers, where there are enough.
    pub calibration: Option<Array2<f64>>,
}

/// What trials alone measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detected {
    /// Equal error rate on the convex hull of the ROC curve.
    pub rocch_eer: f64,
    /// Global linkability; none of fewer than 20 mated trials.
    pub d_sys: Option<f64>,
    /// Expected disclosure of ZEBRA in bits, at most 0.721.
    pub zebra_bits: f64,
    /// Its worst case, the greatest size of a log-likelihood ratio to base 10.
    pub zebra_worst: f64,
    /// Its category.
    pub zebra_tag: char,
    /// True positive rate at a false positive rate of 0.001.
    pub tpr: f64,
}

impl Detected {
    /// Measures trials.
    pub fn of(detection: &Detection) -> Self {
        let zebra = Zebra::of(detection);
        Self {
            rocch_eer: rocch_eer(detection),
            d_sys: d_sys(detection),
            zebra_bits: zebra.expected_bits,
            zebra_worst: zebra.worst,
            zebra_tag: zebra.tag(),
            tpr: accepted_at(detection, FALSE_ALARM),
        }
    }
}

/// What the ranks of the true speakers measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Identified {
    /// Share of tests whose true speaker scores highest; ties are broken by chance.
    pub identification: f64,
    /// The same by the rule of linkability, in which ties count for the attacker.
    pub linkability: f64,
    /// Share of enrolled speakers who are singled out; none where utterances do not suffice for calibration.
    pub singling_out: Option<f64>,
    /// Similarity rank disclosure in bits, mean.
    pub srd_mean: f64,
    /// And at most.
    pub srd_max: f64,
    /// Local identity disclosure in bits, mean.
    pub lid_mean: f64,
    /// Share of tests that disclose more than nothing.
    pub lid_positive: f64,
    /// Disclosure of the worst test.
    pub lid_max: f64,
    /// The greatest evidence of a rank, in nats.
    pub eps_max: f64,
}

/// Measures with a 95 % interval over test speakers each, as far as they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Intervals {
    /// Of [`Identified::identification`].
    pub identification: Option<(f64, f64)>,
    /// Of [`Identified::singling_out`].
    pub singling_out: Option<(f64, f64)>,
    /// Of [`Identified::srd_mean`].
    pub srd_mean: Option<(f64, f64)>,
    /// Of [`Identified::lid_mean`].
    pub lid_mean: Option<(f64, f64)>,
    /// Of [`Detected::rocch_eer`].
    pub rocch_eer: Option<(f64, f64)>,
    /// Of [`Detected::d_sys`].
    pub d_sys: Option<(f64, f64)>,
    /// Of [`Detected::zebra_bits`].
    pub zebra_bits: Option<(f64, f64)>,
    /// Of [`Detected::tpr`].
    pub tpr: Option<(f64, f64)>,
}

/// Scores with what every measure reads of them.
#[derive(Debug)]
pub struct Scores<'a> {
    draws: &'a [DrawScores],
    ranks: Vec<Vec<Rank>>,
    /// `[draws][tests]`.
    disclosed: Vec<Vec<f64>>,
    /// By enrolled speaker.
    singled_out: Option<Vec<f64>>,
}

impl<'a> Scores<'a> {
    /// Of at least one draw of at least two speakers.
    pub fn new(draws: &'a [DrawScores], calibration: Calibration) -> Self {
        let ranks = draws.iter().map(|draw| ranks(draw.tests.view())).collect();
        let disclosed = draws
            .iter()
            .map(|draw| disclosure(draw.tests.view(), calibration));
        Self {
            ranks,
            disclosed: disclosed.collect(),
            singled_out: singled_out(draws),
            draws,
        }
    }

    fn speakers(&self) -> usize {
        self.draws[0].tests.nrows()
    }

    /// Share of draws in which each test speaker is identified.
    pub fn by_speaker(&self) -> Vec<f64> {
        let draws = self.draws.len() as f64;
        let share = |speaker: usize| -> f64 {
            self.ranks
                .iter()
                .map(|draw| draw[speaker].identified())
                .sum()
        };
        (0..self.speakers())
            .map(|speaker| share(speaker) / draws)
            .collect()
    }

    /// Linkability among 2 to all candidates.
    pub fn by_candidates(&self) -> Vec<f64> {
        let all: Vec<usize> = (0..self.speakers()).collect();
        (2..=self.speakers())
            .map(|candidates| self.linkability(&all, candidates))
            .collect()
    }

    fn linkability(&self, tests: &[usize], candidates: usize) -> f64 {
        let others = self.speakers() - 1;
        let of = |rank: &Rank| linkability(rank.above, others, candidates);
        mean(
            self.ranks
                .iter()
                .flat_map(|draw| tests.iter().map(|&test| of(&draw[test]))),
        )
    }

    /// Measures of ranks, for some test speakers.
    pub fn identified(&self, tests: &[usize]) -> Identified {
        let ranks: Vec<Rank> = select(&self.ranks, tests);
        let shares = RankShares::of(&ranks, self.speakers());
        let lid = Lid::of(&select(&self.disclosed, tests));
        let singled_out = self.singled_out.as_ref();
        Identified {
            identification: shares.identification(),
            linkability: self.linkability(tests, self.speakers()),
            singling_out: singled_out.map(|by| mean(tests.iter().map(|&test| by[test]))),
            srd_mean: shares.mean_bits(),
            srd_max: shares.max_bits(),
            lid_mean: lid.mean,
            lid_positive: lid.positive,
            lid_max: lid.max,
            eps_max: shares.eps_max(),
        }
    }

    /// Measures of trials, for some test speakers: each against every enrolled one.
    ///
    /// # Errors
    /// [`crate::Error::Format`] for scores that are NaN.
    pub fn detected(&self, tests: &[usize]) -> Result<Detected> {
        let mut scored = ScoredTrials::default();
        for draw in self.draws {
            for &test in tests {
                let column = draw.tests.index_axis(Axis(1), test);
                scored.extend(
                    column
                        .iter()
                        .enumerate()
                        .map(|(enrolled, &score)| (score, enrolled == test)),
                );
            }
        }
        Ok(Detected::of(&scored.detection(Path::new("scores"))?))
    }

    /// The interval of the identification rate over speakers.
    pub fn identification_interval(&self, seed: u64) -> Intervals {
        let values: Vec<(f64, f64)> = self
            .by_speaker()
            .iter()
            .map(|&share| (share, 1.0))
            .collect();
        Intervals {
            identification: Some(bootstrap(&values, seed)),
            ..Intervals::default()
        }
    }

    /// Intervals of all measures over test speakers, each drawn with all of its trials.
    ///
    /// # Errors
    /// As [`Scores::detected`].
    pub fn intervals(&self, seed: u64) -> Result<Intervals> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let speakers = self.speakers();
        let mut drawn = Vec::with_capacity(RESAMPLES);
        for _ in 0..RESAMPLES {
            let tests: Vec<usize> = (0..speakers)
                .map(|_| rng.random_range(0..speakers))
                .collect();
            drawn.push((self.identified(&tests), self.detected(&tests)?));
        }
        let interval = |value: &dyn Fn(&(Identified, Detected)) -> Option<f64>| {
            let values: Option<Vec<f64>> = drawn.iter().map(value).collect();
            values.map(middle_of)
        };
        Ok(Intervals {
            singling_out: interval(&|(ranks, _)| ranks.singling_out),
            srd_mean: interval(&|(ranks, _)| Some(ranks.srd_mean)),
            lid_mean: interval(&|(ranks, _)| Some(ranks.lid_mean)),
            rocch_eer: interval(&|(_, trials)| Some(trials.rocch_eer)),
            d_sys: interval(&|(_, trials)| trials.d_sys),
            zebra_bits: interval(&|(_, trials)| Some(trials.zebra_bits)),
            tpr: interval(&|(_, trials)| Some(trials.tpr)),
            ..self.identification_interval(seed)
        })
    }
}

fn select<T: Copy>(draws: &[Vec<T>], tests: &[usize]) -> Vec<T> {
    draws
        .iter()
        .flat_map(|draw| tests.iter().map(|&test| draw[test]))
        .collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

/// By enrolled speaker over all draws, in groups of all test speakers.
fn singled_out(draws: &[DrawScores]) -> Option<Vec<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut shares = vec![0.0; draws[0].tests.nrows()];
    for draw in draws {
        let scores = Conversations {
            tests: draw.tests.view(),
            calibration: draw.calibration.as_ref()?.view(),
        };
        for (share, found) in
            shares
                .iter_mut()
                .zip(singling_out(scores, draw.tests.nrows(), 1, &mut rng))
        {
            *share += found / draws.len() as f64;
        }
    }
    Some(shares)
}

#[cfg(test)]
mod tests {
    use super::super::lid;
    use super::*;

    fn measured(tests: Array2<f64>) -> (Identified, Detected, Intervals) {
        let draws = vec![
            DrawScores {
                calibration: Some(tests.clone()),
                tests,
            };
            4
        ];
        let speakers = draws[0].tests.nrows();
        let all: Vec<usize> = (0..speakers).collect();
        let line = lid::calibrate(draws.iter().map(|draw| &draw.tests));
        let scores = Scores::new(&draws, line.unwrap());
        let found = (scores.identified(&all), scores.detected(&all).unwrap());
        (found.0, found.1, scores.intervals(0).unwrap())
    }

    #[test]
    fn separated_speakers_are_all_found() {
        let (ranks, trials, intervals) = measured(Array2::eye(10));
        assert_eq!((ranks.identification, ranks.linkability), (1.0, 1.0));
        assert_eq!(ranks.singling_out, Some(1.0));
        assert_eq!((trials.rocch_eer, trials.tpr), (0.0, 1.0));
        assert_eq!(intervals.identification, Some((1.0, 1.0)));
        assert_eq!(intervals.rocch_eer, Some((0.0, 0.0)));
    }

    #[test]
    fn constant_scores_find_nobody() {
        let (ranks, trials, intervals) = measured(Array2::from_elem((10, 10), 0.5));
        assert!((ranks.identification - 0.1).abs() < 1e-12);
        assert_eq!(
            (trials.rocch_eer, trials.tpr, trials.d_sys),
            (0.5, 0.0, Some(0.0))
        );
        assert!(
            trials.zebra_bits.abs() < 1e-3
                && ranks.srd_mean.abs() < 1e-9
                && ranks.lid_mean.abs() < 1e-9
        );
        assert!(
            intervals
                .identification
                .is_some_and(|(low, high)| low < 0.1001 && high > 0.0999)
        );
    }
}
