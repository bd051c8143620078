//! Disentanglement scores: does each known factor (speaker, word, shape) have dimensions of its own? Vectors
//! `[items, dims]` and the class of every item in each factor are the input; the mutual information gap, SAP and DCI are the
//! output, with the share of each dimension in each factor's importance.

mod dci;
mod logistic;
mod mig;
mod sap;
mod spread;

use std::path::Path;

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use spread::{Drawn, Draws};
pub use spread::{Spread, Spreads};

use crate::dataset::DataDir;
use crate::dataset::feats::Feats;
use crate::error::{Error, Result};
use crate::eval::interval::weighted_mean;

/// A known factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// Its name.
    pub name: String,
    /// The class of each item, from 0.
    pub classes: Vec<usize>,
}

impl Factor {
    fn count(&self) -> usize {
        self.classes.iter().max().map_or(0, |&most| most + 1)
    }
}

/// How factors are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FactorOptions {
    /// Bins of equal width per dimension, for mutual information.
    pub bins: usize,
    /// Seed of the split into training and test items, of draws and permutations.
    pub seed: u64,
    /// Draws of items with replacement, for intervals; a fifth as many permutations of classes, for chance. 0 for neither.
    pub draws: u16,
}

impl Default for FactorOptions {
    fn default() -> Self {
        Self {
            bins: 20,
            seed: 0,
            draws: 100,
        }
    }
}

/// Scores of one factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactorScores {
    /// The factor.
    pub factor: String,
    /// Its classes.
    pub classes: usize,
    /// Its entropy in bits.
    pub entropy: f64,
    /// Gap between the two dimensions with most mutual information, over the entropy (Chen et al. 2018).
    pub mig: f64,
    /// Gap in accuracy between the two most predictive dimensions, each alone (Kumar et al. 2018).
    pub sap: f64,
    /// Test accuracy of a classifier on all dimensions: DCI's informativeness.
    pub accuracy: f64,
    /// Share of the most frequent class among test items.
    pub chance: f64,
    /// DCI's completeness: 1 when one dimension has all importance, 0 when all have the same.
    pub completeness: f64,
    /// The share of each dimension in the classifier's weight.
    pub importance: Vec<f64>,
    /// Intervals and chance of the scores; none without draws. The dimensions and classifiers of the gaps stay those of the
    /// estimate, and so does the strength of the penalty; importances are fitted anew.
    #[serde(default)]
    pub spreads: Option<Spreads>,
}

/// Scores of a representation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disentanglement {
    /// Items, and training items (the rest are test items; mutual information is over all).
    pub items: (usize, usize),
    /// Dimensions.
    pub dims: usize,
    /// Mean over factors.
    pub mig: f64,
    /// Mean over factors.
    pub sap: f64,
    /// DCI's disentanglement: 1 when each dimension is important for one factor only; none for a single factor.
    pub disentanglement: Option<f64>,
    /// Mean over factors.
    pub completeness: f64,
    /// Mean accuracy over factors.
    pub informativeness: f64,
    /// The scores of each factor.
    pub factors: Vec<FactorScores>,
    /// Of the means; none without draws.
    #[serde(default)]
    pub spreads: Option<Spreads>,
    /// Of `disentanglement`.
    #[serde(default)]
    pub disentanglement_spread: Option<Spread>,
}

/// The mean over frames of every utterance of a data directory, `[utterances, dims]`.
///
/// # Errors
/// As [`Feats::checked`]; [`Error::Key`] for an utterance without frames.
pub fn pooled(dir: &DataDir, scp: &Path) -> Result<Array2<f64>> {
    let feats = Feats::open(scp, dir.utterances())?;
    let dims = match dir.utterances().first() {
        Some(first) => feats.shape(first)?.1,
        None => 0,
    };
    let mut pooled = Array2::zeros((0, dims));
    for id in dir.utterances() {
        let frames = feats.checked(id, dims)?.mapv(f64::from);
        let mean = frames
            .mean_axis(Axis(0))
            .ok_or_else(|| Error::key(scp, id, "at least one frame", "none"))?;
        // Of `dims` values, as `checked` made sure.
        let row: ArrayView1<f64> = mean.view();
        pooled
            .push_row(row)
            .map_err(|e| Error::key(scp, id, format!("{dims} values"), e.to_string()))?;
    }
    Ok(pooled)
}

/// Scores vectors `[items, dims]` against factors. Runs on the threads of rayon's current pool.
///
/// DCI's importances are the absolute weights of logistic regression with an L1 penalty on standardised dimensions,
/// summed over classes, as shares of each factor's sum (Eastwood and Williams 2018 use a lasso or random forests).
/// Mutual information estimated from few items and many bins is too high, by about the same amount for every dimension, so
/// gaps are less biased than the values.
///
/// # Errors
/// [`Error::Option`] for fewer than 4 items, no dimension or factor, a number that is not finite, a factor of
/// another number of items or of a single class (also among the training items), or fewer than 2 bins.
pub fn factors(
    vectors: &Array2<f64>,
    factors: &[Factor],
    options: FactorOptions,
) -> Result<Disentanglement> {
    check(vectors, factors, options)?;
    let (learn, test) = split(vectors.nrows(), options.seed);
    let standard = standardise(vectors, &learn);
    let sets = Sets {
        learn: standard.select(Axis(0), &learn),
        test: standard.select(Axis(0), &test),
    };
    let bins = mig::bins_of(vectors, options.bins);
    let halves = (&learn[..], &test[..]);
    let found = factors.iter().map(|factor| {
        score(
            factor,
            &Inputs {
                sets: &sets,
                bins: &bins,
                halves,
                options,
            },
        )
    });
    let (scores, draws): (Vec<FactorScores>, Vec<Draws>) = found.unzip();
    let mean = |value: fn(&FactorScores) -> f64| {
        scores.iter().map(value).sum::<f64>() / scores.len() as f64
    };
    let importances: Vec<&[f64]> = scores.iter().map(|s| &s.importance[..]).collect();
    let disentanglement = dci::disentanglement(&importances);
    let of_drawn = |drawn: &[&Drawn]| {
        let importances: Vec<&[f64]> = drawn.iter().map(|one| &one.importance[..]).collect();
        dci::disentanglement(&importances).unwrap_or(0.0)
    };
    let spreads = Spreads::of(&draws);
    Ok(Disentanglement {
        items: (vectors.nrows(), learn.len()),
        dims: vectors.ncols(),
        mig: mean(|s| s.mig),
        sap: mean(|s| s.sap),
        disentanglement,
        completeness: mean(|s| s.completeness),
        informativeness: mean(|s| s.accuracy),
        disentanglement_spread: (disentanglement.and(spreads))
            .map(|_| Spread::of(&draws, of_drawn)),
        spreads,
        factors: scores,
    })
}

/// Standardised vectors for training and test, `[items, dims]`.
struct Sets {
    learn: Array2<f64>,
    test: Array2<f64>,
}

/// What all factors are scored by.
struct Inputs<'a> {
    sets: &'a Sets,
    /// By dimension, the bin of each item.
    bins: &'a [Vec<usize>],
    /// Training and test items.
    halves: (&'a [usize], &'a [usize]),
    options: FactorOptions,
}

impl Inputs<'_> {
    /// Labels of training and test items.
    fn labels(&self, classes: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let pick = |items: &[usize]| items.iter().map(|&item| classes[item]).collect();
        (pick(self.halves.0), pick(self.halves.1))
    }

    /// Mutual information of each dimension and the classes.
    fn information(&self, classes: &[usize]) -> Vec<f64> {
        let once = vec![1.0; classes.len()];
        let dims = self.bins.par_iter();
        dims.map(|bins| mig::information(bins, classes, &once))
            .collect()
    }
}

fn score(factor: &Factor, inputs: &Inputs) -> (FactorScores, Draws) {
    let (count, classes) = (factor.count(), &factor.classes);
    let (learn, test) = inputs.labels(classes);
    let entropy = mig::entropy(classes, &vec![1.0; classes.len()]);
    let information = inputs.information(classes);
    let fit = logistic::fit(&inputs.sets.learn, &learn, count);
    let importance = dci::shares(&fit.weights);
    let labels = (learn, test);
    let right = sap::right(inputs.sets, &labels, count);
    let accuracies: Vec<f64> = right.iter().map(|right| share(right)).collect();
    let of_fit = fit.right(&inputs.sets.test, &labels.1);
    let mut counts = vec![0usize; count];
    labels.1.iter().for_each(|&label| counts[label] += 1);

    let options = inputs.options;
    let resampled = (0..usize::from(options.draws)).into_par_iter().map(|draw| {
        let counts = spread::counts(classes.len(), options.seed, draw);
        let pick =
            |items: &[usize]| -> Vec<f64> { items.iter().map(|&item| counts[item]).collect() };
        let (of_learn, of_test) = (pick(inputs.halves.0), pick(inputs.halves.1));
        let weighted = |right: &[bool]| {
            let values = right.iter().zip(&of_test);
            weighted_mean(values.map(|(&right, count)| (f64::from(right) * count, *count)))
        };
        let of_dim = |&dim: &usize| mig::information(&inputs.bins[dim], classes, &counts);
        let importance = dci::shares(&fit.again(&inputs.sets.learn, &labels.0, &of_learn).weights);
        Drawn {
            mig: gap_of(top_two(&information).iter().map(of_dim)) / mig::entropy(classes, &counts),
            sap: gap_of(
                top_two(&accuracies)
                    .iter()
                    .map(|&dim| weighted(&right[dim])),
            ),
            accuracy: weighted(&of_fit),
            completeness: dci::completeness(&importance),
            importance,
        }
    });
    let permutations = spread::permutations(options.draws.into());
    let permuted = (0..permutations).into_par_iter().map(|draw| {
        let classes = spread::permuted(classes, options.seed, draw);
        let labels = inputs.labels(&classes);
        let fit = fit.again(&inputs.sets.learn, &labels.0, &vec![1.0; labels.0.len()]);
        let importance = dci::shares(&fit.weights);
        let accuracies = sap::right(inputs.sets, &labels, count);
        let accuracies = accuracies.iter().map(|right| share(right)).collect();
        Drawn {
            mig: top_gap(inputs.information(&classes)) / entropy,
            sap: top_gap(accuracies),
            accuracy: fit.accuracy(&inputs.sets.test, &labels.1),
            completeness: dci::completeness(&importance),
            importance,
        }
    });
    let draws = Draws {
        resampled: resampled.collect(),
        permuted: permuted.collect(),
    };
    let scores = FactorScores {
        factor: factor.name.clone(),
        classes: count,
        entropy: entropy / std::f64::consts::LN_2,
        mig: top_gap(information.clone()) / entropy,
        sap: top_gap(accuracies.clone()),
        accuracy: share(&of_fit),
        chance: counts.iter().max().map_or(0.0, |&most| most as f64) / labels.1.len() as f64,
        completeness: dci::completeness(&importance),
        importance,
        spreads: Spreads::of(std::slice::from_ref(&draws)),
    };
    (scores, draws)
}

fn share(right: &[bool]) -> f64 {
    right.iter().filter(|&&right| right).count() as f64 / right.len() as f64
}

/// Where the greatest value is, and the second.
fn top_two(values: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    places.truncate(2);
    places
}

/// The first of one or two values minus the second.
fn gap_of(mut values: impl Iterator<Item = f64>) -> f64 {
    values.next().unwrap_or(0.0) - values.next().unwrap_or(0.0)
}

/// The greatest value minus the second; minus 0 when there is only one.
fn top_gap(mut values: Vec<f64>) -> f64 {
    values.sort_by(|a, b| b.total_cmp(a));
    values.first().unwrap_or(&0.0) - values.get(1).unwrap_or(&0.0)
}

/// Training and test items: a half each, drawn by `seed`, in ascending order.
pub fn split(items: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..items).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut test = order.split_off(items.div_ceil(2));
    order.sort_unstable();
    test.sort_unstable();
    (order, test)
}

/// Mean 0 and deviation 1 over the training items; a dimension that is constant there becomes 0.
fn standardise(vectors: &Array2<f64>, learn: &[usize]) -> Array2<f64> {
    let seen = vectors.select(Axis(0), learn);
    let mean = seen.mean_axis(Axis(0)).unwrap_or_default();
    let scale: Array1<f64> = seen
        .std_axis(Axis(0), 0.0)
        .mapv(|std| if std > 1e-12 { 1.0 / std } else { 0.0 });
    (vectors - &mean) * &scale
}

fn check(vectors: &Array2<f64>, factors: &[Factor], options: FactorOptions) -> Result<()> {
    let wrong =
        |what: &str, expected: &str, found: String| Err(Error::option(what, expected, found));
    if vectors.nrows() < 4 || vectors.ncols() == 0 {
        let found = format!(
            "{} items of {} dimensions",
            vectors.nrows(),
            vectors.ncols()
        );
        return wrong("vectors", "at least 4 items of a dimension", found);
    }
    if let Some(value) = vectors.iter().find(|value| !value.is_finite()) {
        return wrong("vectors", "finite numbers", value.to_string());
    }
    if factors.is_empty() {
        return wrong("factors", "at least one", "none".into());
    }
    if options.bins < 2 {
        return wrong("bins", "at least 2", options.bins.to_string());
    }
    let (learn, _) = split(vectors.nrows(), options.seed);
    for factor in factors {
        let name = format!("factor {}", factor.name);
        if factor.classes.len() != vectors.nrows() {
            let expected = format!("the class of {} items", vectors.nrows());
            return wrong(&name, &expected, factor.classes.len().to_string());
        }
        let first = factor.classes[learn[0]];
        if learn.iter().all(|&item| factor.classes[item] == first) {
            let expected = "at least 2 classes in the training half of the items";
            return wrong(&name, expected, "1".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(mix: f64) -> (Array2<f64>, Vec<Factor>) {
        let classes: Vec<Vec<usize>> = vec![
            (0..120).map(|i| i % 3).collect(),
            (0..120).map(|i| (i / 3) % 4).collect(),
        ];
        let vectors = Array2::from_shape_fn((120, 3), |(i, dim)| {
            let noise = ((i * 7919 + dim * 104_729) % 1009) as f64 / 1009.0;
            match dim {
                0 => classes[0][i] as f64 + mix * classes[1][i] as f64 + 0.1 * noise,
                1 => classes[1][i] as f64 + mix * classes[0][i] as f64 + 0.1 * noise,
                _ => noise,
            }
        });
        let factors = ["three", "four"]
            .iter()
            .zip(classes)
            .map(|(name, classes)| Factor {
                name: name.to_string(),
                classes,
            })
            .collect();
        (vectors, factors)
    }

    #[test]
    fn one_dimension_per_factor_is_disentangled_and_a_mixture_is_not() {
        let options = FactorOptions {
            draws: 0,
            ..FactorOptions::default()
        };
        let (vectors, known) = made(0.0);
        let clean = factors(&vectors, &known, options).unwrap();
        let (vectors, known) = made(0.9);
        let mixed = factors(&vectors, &known, options).unwrap();
        assert!(
            clean.mig > 0.7 && mixed.mig < 0.3,
            "{} {}",
            clean.mig,
            mixed.mig
        );
        assert!(clean.sap > 0.1 + mixed.sap, "{} {}", clean.sap, mixed.sap);
        let (a, b) = (
            clean.disentanglement.unwrap(),
            mixed.disentanglement.unwrap(),
        );
        assert!(a > 0.85 && b < 0.3, "{a} {b}");
        assert!(clean.completeness > mixed.completeness);
        assert!(clean.informativeness > 0.95, "{}", clean.informativeness);
        assert!((clean.factors[0].entropy - 3f64.log2()).abs() < 1e-9);
        assert!(clean.factors[0].importance[0] > 0.9);
        let sum: f64 = clean.factors[1].importance.iter().sum();
        assert!((sum - 1.0).abs() < 1e-9);
        assert_eq!((clean.items, clean.dims), ((120, 60), 3));
    }

    #[test]
    fn intervals_hold_scores_and_chance_is_far_from_them() {
        let (vectors, known) = made(0.3);
        let found = factors(&vectors, &known, FactorOptions::default()).unwrap();
        let check = |name: &str, value: f64, spread: Spread| {
            let (low, high) = spread.interval;
            assert!(
                low <= value + 0.02 && value <= high + 0.02,
                "{name} {value} {spread:?}"
            );
            assert!(low < high || value == 1.0, "{name} {value} {spread:?}");
            assert!(spread.chance < value, "{name} {value} {spread:?}");
        };
        for factor in &found.factors {
            let spreads = factor.spreads.unwrap();
            check("MIG", factor.mig, spreads.mig);
            check("SAP", factor.sap, spreads.sap);
            check("accuracy", factor.accuracy, spreads.accuracy);
            check("completeness", factor.completeness, spreads.completeness);
            assert!((spreads.accuracy.chance - factor.chance).abs() < 0.15);
        }
        let spreads = found.spreads.unwrap();
        check("mean MIG", found.mig, spreads.mig);
        let spread = found.disentanglement_spread.unwrap();
        check("disentanglement", found.disentanglement.unwrap(), spread);
        let without = FactorOptions {
            draws: 0,
            ..FactorOptions::default()
        };
        let plain = factors(&vectors, &known, without).unwrap();
        assert!(plain.spreads.is_none() && plain.factors[0].spreads.is_none());
        assert_eq!(plain.factors[0].mig, found.factors[0].mig);
        // Vectors that tell nothing are at chance.
        let noise = Array2::from_shape_fn((120, 3), |(i, dim)| {
            ((i * i * 7919 + dim * 104_729 + i * 31) % 1009) as f64 / 1009.0
        });
        let nothing = factors(&noise, &known, FactorOptions::default()).unwrap();
        let mig = nothing.spreads.unwrap().mig;
        assert!(
            (nothing.mig - mig.chance).abs() < 0.05,
            "{} {mig:?}",
            nothing.mig
        );
    }

    #[test]
    fn inputs_that_cannot_be_scored_are_refused() {
        let (vectors, known) = made(0.0);
        let options = FactorOptions::default();
        let factor = |classes: Vec<usize>| {
            vec![Factor {
                name: "x".into(),
                classes,
            }]
        };
        let few = Array2::zeros((3, 1));
        let mut broken = vectors.clone();
        broken[[3, 1]] = f64::NAN;
        let no_bins = FactorOptions { bins: 1, ..options };
        for (found, expected) in [
            (
                factors(&few, &known, options),
                "vectors: expected at least 4 items",
            ),
            (
                factors(&broken, &known, options),
                "vectors: expected finite numbers, found NaN",
            ),
            (
                factors(&vectors, &[], options),
                "factors: expected at least one, found none",
            ),
            (
                factors(&vectors, &known, no_bins),
                "bins: expected at least 2, found 1",
            ),
            (
                factors(&vectors, &factor(vec![0; 7]), options),
                "factor x: expected the class of 120 items, found 7",
            ),
            (
                factors(&vectors, &factor(vec![1; 120]), options),
                "factor x: expected at least 2 classes",
            ),
        ] {
            let error = found.unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn the_gap_is_between_the_two_greatest() {
        assert_eq!(top_gap(vec![0.1, 0.75, 0.5]), 0.25);
        assert_eq!(top_gap(vec![0.75]), 0.75);
    }
}
