//! How far scores of factors depend on the utterances at hand, and what they are where vectors tell nothing of a factor.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::eval::interval::middle_of;

/// Draws with replacement for each permutation of classes.
const DRAWS_PER_PERMUTATION: usize = 5;

/// Of a score: its 95 % bootstrap interval over items, and its mean where the classes of items are permuted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The ends of the middle 95 % of draws.
    pub interval: (f64, f64),
    /// The mean over permutations.
    pub chance: f64,
}

/// Of the scores of a factor, or of their means over factors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spreads {
    /// Of the mutual information gap.
    pub mig: Spread,
    /// Of SAP.
    pub sap: Spread,
    /// Of the accuracy.
    pub accuracy: Spread,
    /// Of the completeness.
    pub completeness: Spread,
}

/// The scores of one draw.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub(super) mig: f64,
    pub(super) sap: f64,
    pub(super) accuracy: f64,
    pub(super) completeness: f64,
    pub(super) importance: Vec<f64>,
}

/// All draws of a factor: with replacement, and with permuted classes.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    pub(super) resampled: Vec<Drawn>,
    pub(super) permuted: Vec<Drawn>,
}

/// Permutations for so many draws with replacement.
pub(super) fn permutations(draws: usize) -> usize {
    draws.div_ceil(DRAWS_PER_PERMUTATION)
}

/// How often each item is drawn, with replacement; the same for every factor.
pub(super) fn counts(items: usize, seed: u64, draw: usize) -> Vec<f64> {
    let mut rng = generator(seed, draw);
    let mut counts = vec![0.0; items];
    for _ in 0..items {
        counts[rng.random_range(0..items)] += 1.0;
    }
    counts
}

/// The classes in another order.
pub(super) fn permuted(classes: &[usize], seed: u64, draw: usize) -> Vec<usize> {
    let mut classes = classes.to_vec();
    classes.shuffle(&mut generator(seed, draw));
    classes
}

fn generator(seed: u64, draw: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(1 + draw as u64);
    rng
}

impl Spread {
    /// Of a score of the draws of all factors; `of` gets one draw of each.
    pub(super) fn of(factors: &[Draws], of: impl Fn(&[&Drawn]) -> f64) -> Self {
        let each = |draws: fn(&Draws) -> &[Drawn]| -> Vec<f64> {
            let count = factors.first().map_or(0, |factor| draws(factor).len());
            let joint = |at: usize| -> Vec<&Drawn> {
                factors.iter().map(|factor| &draws(factor)[at]).collect()
            };
            (0..count).map(|at| of(&joint(at))).collect()
        };
        let permuted = each(|draws| &draws.permuted);
        Self {
            interval: middle_of(each(|draws| &draws.resampled)),
            chance: permuted.iter().sum::<f64>() / permuted.len() as f64,
        }
    }
}

impl Spreads {
    /// Of the means over these factors; none without draws.
    pub(super) fn of(factors: &[Draws]) -> Option<Self> {
        factors
            .first()
            .filter(|factor| !factor.resampled.is_empty())?;
        let mean = |value: fn(&Drawn) -> f64| {
            Spread::of(factors, |drawn| {
                drawn.iter().map(|one| value(one)).sum::<f64>() / drawn.len() as f64
            })
        };
        Some(Self {
            mig: mean(|drawn| drawn.mig),
            sap: mean(|drawn| drawn.sap),
            accuracy: mean(|drawn| drawn.accuracy),
            completeness: mean(|drawn| drawn.completeness),
        })
    }
}
