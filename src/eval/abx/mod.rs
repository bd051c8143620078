//! ABX discrimination (Schatz et al. 2013): for two items a and x of one label and one item b of another, how often is x
//! nearer to b? Input: labelled sequences of frames; output: error rates within and across speakers.
//!
//! A condition has the items of one context and one speaker. In a cell, a and b are of one condition; x is of a's label
//! and context, of the same condition (within) or of that of another speaker (across). Errors are averaged over
//! contexts, then speakers, then pairs of labels, as by libri-light and fastabx.

mod conditions;
mod dtw;
pub mod items;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::eval::interval::{bootstrap_of, weighted_mean};
use conditions::{Conditions, Task};
use dtw::{Directions, Stack};

pub use dtw::Distance;

/// A labelled sequence of frames.
#[derive(Debug, Clone)]
pub struct Item {
    /// The label to discriminate: a phone or a word.
    pub label: String,
    /// The context; only items of the same context are compared.
    pub context: String,
    /// The speaker.
    pub speaker: String,
    /// `[frames, dim]`, at least one frame of finite numbers.
    pub feats: Array2<f32>,
}

/// How, and how much, is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AbxOptions {
    /// Most items of one label, context and speaker; 0 takes all.
    pub max_items: usize,
    /// Most other speakers that x comes from for one label, context and speaker of a; 0 takes all.
    pub max_speakers: usize,
    /// Seed of the random choice where there are more.
    pub seed: u64,
    /// The distance of two frames.
    pub distance: Distance,
}

impl Default for AbxOptions {
    fn default() -> Self {
        Self {
            max_items: 50,
            max_speakers: 20,
            seed: 0,
            distance: Distance::Angular,
        }
    }
}

/// The error for an ordered pair of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairScore {
    /// Label of a and x.
    pub a: String,
    /// Label of b.
    pub b: String,
    /// Error in [0, 1].
    pub error: f64,
    /// Number of cells in the mean.
    pub cells: u64,
}

/// An ABX error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbxScore {
    /// P(d(a, x) > d(b, x)) and half of P(d(a, x) = d(b, x)): 0.5 is chance.
    pub error: f64,
    /// Its 95 % bootstrap interval over the speakers of a and b; none with a single one.
    #[serde(default)]
    pub interval: Option<(f64, f64)>,
    /// Cells: pairs of labels in a context, with the speaker of a and b and that of x.
    pub cells: u64,
    /// Triples compared.
    pub triples: u64,
    /// The error of each pair of labels.
    pub pairs: Vec<PairScore>,
}

/// The result of [`abx`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbxResult {
    /// a, b and x of one speaker; none where no speaker has a label twice in a context.
    pub within: Option<AbxScore>,
    /// x of another speaker than a and b; none where no two speakers share a context.
    pub across: Option<AbxScore>,
    /// Number of items.
    pub items: usize,
    /// Groups of items of one label, context and speaker.
    pub groups: usize,
    /// Those of them that lost items to [`AbxOptions::max_items`].
    pub groups_cut: usize,
    /// Groups of a that lost speakers of x to [`AbxOptions::max_speakers`].
    pub voices_cut: usize,
}

/// Tasks per block; after each block its cells are summed, which bounds the memory.
const CHUNK: usize = 1024;

/// The ABX errors of items. `source` is named in errors; `progress` is called with the number of finished tasks and of all.
/// Runs on the threads of rayon's current pool.
///
/// # Errors
/// [`Error::Format`] when there is nothing to compare; [`Error::Key`] for items of different dimension.
pub fn abx(
    items: &[Item],
    options: AbxOptions,
    source: &Path,
    mut progress: impl FnMut(usize, usize),
) -> Result<AbxResult> {
    check_dimensions(items, source)?;
    let conditions = Conditions::of(items, options);
    let plan = conditions.tasks(options);
    let directions: Vec<Directions> = items
        .par_iter()
        .map(|item| Directions::of(&item.feats, options.distance))
        .collect();
    let mut sums = [Sums::default(), Sums::default()];
    for (done, chunk) in plan.tasks.chunks(CHUNK).enumerate() {
        let cells: Vec<Vec<Cell>> = chunk
            .par_iter()
            .map(|task| score(task, &conditions, &directions, options.distance))
            .collect();
        for cell in cells.iter().flatten() {
            sums[usize::from(cell.across)].add(cell);
        }
        progress(
            (done * CHUNK + chunk.len()).min(plan.tasks.len()),
            plan.tasks.len(),
        );
    }
    let [within, across] = sums.map(|sums| sums.finish(&conditions));
    if within.is_none() && across.is_none() {
        let expected = "two labels in one context of a speaker, and one of them once more";
        return Err(Error::format(source, expected, "no such items"));
    }
    Ok(AbxResult {
        within,
        across,
        items: items.len(),
        groups: conditions.groups(),
        groups_cut: conditions.groups_cut(),
        voices_cut: plan.voices_cut,
    })
}

fn check_dimensions(items: &[Item], source: &Path) -> Result<()> {
    let Some(first) = items.first() else {
        return Err(Error::format(source, "items to compare", "none"));
    };
    let dim = first.feats.ncols();
    match items.iter().find(|item| item.feats.ncols() != dim) {
        None => Ok(()),
        Some(item) => {
            let expected = format!("{dim} values per frame, as the first has");
            let found = item.feats.ncols().to_string();
            Err(Error::key(source, &item.label, expected, found))
        }
    }
}

/// The error of one cell.
struct Cell {
    a: u32,
    b: u32,
    /// Speaker of a and b.
    speaker: u32,
    across: bool,
    error: f64,
    triples: u64,
}

/// All cells of one label a in one condition.
fn score(
    task: &Task,
    conditions: &Conditions,
    directions: &[Directions],
    distance: Distance,
) -> Vec<Cell> {
    let condition = &conditions.conditions[task.condition];
    let own = &condition.groups[&task.label];
    let stacks: Vec<(u32, Stack)> = condition
        .groups
        .iter()
        .map(|(&label, group)| {
            (
                label,
                Stack::of(group.iter().map(|&item| &directions[item])),
            )
        })
        .collect();
    let mut cells = Vec::new();
    for &(across, other) in &task.x_conditions {
        let xs = &conditions.conditions[other].groups[&task.label];
        // Per label and per x, the distances to its items.
        let directions_of_xs: Vec<_> = xs.iter().map(|&x| &directions[x]).collect();
        let distances: Vec<(u32, Vec<Vec<f32>>)> = (stacks.iter())
            .map(|(label, stack)| (*label, stack.distances(&directions_of_xs, distance)))
            .collect();
        let Some((_, to_a)) = distances.iter().find(|(label, _)| *label == task.label) else {
            continue;
        };
        let to_a: Vec<Vec<f32>> = to_a
            .iter()
            .enumerate()
            .map(|(x, row)| sorted(row, (!across).then_some(x)))
            .collect();
        for (label, to_b) in distances.iter().filter(|(label, _)| *label != task.label) {
            let halves: u64 = to_a.iter().zip(to_b).map(|(a, b)| half_errors(a, b)).sum();
            let b_count = to_b.first().map_or(0, Vec::len);
            let a_count = own.len() - usize::from(!across);
            let triples = (xs.len() * a_count * b_count) as u64;
            cells.push(Cell {
                a: task.label,
                b: *label,
                speaker: condition.speaker,
                across,
                error: halves as f64 / 2.0 / triples as f64,
                triples,
            });
        }
    }
    cells
}

/// A row in ascending order, without the element `without` (x itself).
fn sorted(row: &[f32], without: Option<usize>) -> Vec<f32> {
    let mut row = row.to_vec();
    if let Some(place) = without {
        row.remove(place);
    }
    row.sort_unstable_by(f32::total_cmp);
    row
}

/// Twice the number of errors of an x: 2 for every b nearer than an a, 1 for a tie.
fn half_errors(to_a: &[f32], to_b: &[f32]) -> u64 {
    to_b.iter()
        .map(|&b| {
            let not_farther = to_a.partition_point(|&a| a <= b);
            let nearer = to_a.partition_point(|&a| a < b);
            (2 * (to_a.len() - not_farther) + (not_farther - nearer)) as u64
        })
        .sum()
}

/// Sums of errors of cells.
#[derive(Debug, Default)]
struct Sums {
    /// By labels of a and b, then by speaker of a: sum and count.
    by_pair: BTreeMap<(u32, u32), BTreeMap<u32, (f64, u64)>>,
    triples: u64,
}

impl Sums {
    fn add(&mut self, cell: &Cell) {
        let speakers = self.by_pair.entry((cell.a, cell.b)).or_default();
        let (sum, count) = speakers.entry(cell.speaker).or_default();
        *sum += cell.error;
        *count += 1;
        self.triples += cell.triples;
    }

    fn finish(self, conditions: &Conditions) -> Option<AbxScore> {
        let contexts = conditions.has_contexts();
        let pairs: Vec<PairScore> = self
            .by_pair
            .iter()
            .map(|(&(a, b), speakers)| PairScore {
                a: conditions.label(a).to_string(),
                b: conditions.label(b).to_string(),
                error: pair_error(speakers, contexts, |_| 1.0),
                cells: speakers.values().map(|(_, count)| count).sum(),
            })
            .collect();
        (!pairs.is_empty()).then(|| AbxScore {
            error: pairs.iter().map(|pair| pair.error).sum::<f64>() / pairs.len() as f64,
            interval: self.interval(contexts),
            cells: pairs.iter().map(|pair| pair.cells).sum(),
            triples: self.triples,
            pairs,
        })
    }

    /// Over the speakers of a and b.
    fn interval(&self, contexts: bool) -> Option<(f64, f64)> {
        let speakers: BTreeSet<u32> = self
            .by_pair
            .values()
            .flat_map(BTreeMap::keys)
            .copied()
            .collect();
        let places: HashMap<u32, usize> = speakers.into_iter().zip(0..).collect();
        (places.len() > 1).then(|| {
            bootstrap_of(places.len(), 0, |drawn| {
                let errors = self.by_pair.values();
                let errors =
                    errors.map(|of| pair_error(of, contexts, |speaker| drawn[places[&speaker]]));
                weighted_mean(
                    errors
                        .filter(|error| error.is_finite())
                        .map(|error| (error, 1.0)),
                )
            })
        })
    }
}

/// The error of a pair of labels, its speakers weighted; NaN where all weights are 0. With contexts, cells are averaged
/// over contexts and speakers of x first, then over speakers; without them over all speakers at once, as the reference
/// implementations do.
fn pair_error(
    speakers: &BTreeMap<u32, (f64, u64)>,
    contexts: bool,
    weight: impl Fn(u32) -> f64,
) -> f64 {
    weighted_mean(speakers.iter().map(|(&speaker, &(sum, count))| {
        let (weight, cells) = (weight(speaker), count as f64);
        match contexts {
            true => (weight * sum / cells, weight),
            false => (weight * sum, weight * cells),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(label: &str, speaker: &str, degrees: f32) -> Item {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Item {
            label: label.into(),
            context: String::new(),
            speaker: speaker.into(),
            feats: ndarray::array![[cos, sin]],
        }
    }

    fn run(items: &[Item], options: AbxOptions) -> Result<AbxResult> {
        abx(items, options, Path::new("data"), |_, _| {})
    }

    #[test]
    fn errors_of_items_on_a_circle() {
        // Speaker s: a at 0 and 40 degrees, b at 30. x = 0: a is 40 away, b 30: wrong. x = 40: a 40, b 10: wrong.
        // Speaker t: a at 0 and 10, b at 90: both right; b has no second item.
        let items = [
            item("a", "s", 0.0),
            item("a", "s", 40.0),
            item("b", "s", 30.0),
            item("a", "t", 0.0),
            item("a", "t", 10.0),
            item("b", "t", 90.0),
        ];
        let found = run(&items, AbxOptions::default()).unwrap();
        let within = found.within.unwrap();
        assert_eq!((within.error, within.cells, within.triples), (0.5, 2, 4));
        // a: x of t at 0 and 10 against a {0, 40}, b {30} of s: 0 against 30 right, 40 against 30 wrong; 10 against
        // 20 right, 30 against 20 wrong: 2 of 4. x of s at 0 and 40 against a {0, 10}, b {90} of t: all right.
        // b: x of t at 90 against b {30} and a {0, 40} of s: 60 against 90 right, 60 against 50 wrong. x of s at 30
        // against b {90} and a {0, 10} of t: 60 against 30 and 20, both wrong.
        let across = found.across.unwrap();
        let pairs: Vec<f64> = across.pairs.iter().map(|pair| pair.error).collect();
        assert_eq!(pairs, [0.25, 0.75]);
        assert_eq!((across.error, across.cells, across.triples), (0.5, 4, 12));
        assert_eq!((found.items, found.groups, found.groups_cut), (6, 4, 0));
    }

    #[test]
    fn ties_are_half_an_error() {
        assert_eq!(half_errors(&[0.1, 0.2, 0.2, 0.4], &[0.2, 0.5]), 4);
        let items = [("a", 10.0), ("a", 10.0), ("b", 10.0)].map(|(l, d)| item(l, "s", d));
        assert_eq!(
            run(&items, AbxOptions::default())
                .unwrap()
                .within
                .unwrap()
                .error,
            0.5
        );
    }

    #[test]
    fn what_is_cut_is_counted_and_the_seed_decides() {
        let items: Vec<Item> = (0..40)
            .map(|n| {
                let (label, speaker) = (["a", "b"][n % 2], ["s", "t", "u", "v"][n % 4]);
                item(label, speaker, (n * n * 37 % 179) as f32)
            })
            .chain((0..40).map(|n| {
                let (label, speaker) = (["b", "a"][n % 2], ["s", "t", "u", "v"][n % 4]);
                item(label, speaker, (n * n * 53 % 173) as f32)
            }))
            .collect();
        let all = run(&items, AbxOptions::default()).unwrap();
        assert_eq!((all.groups, all.groups_cut, all.voices_cut), (8, 0, 0));
        assert_eq!(all.across.as_ref().unwrap().cells, 24);
        let cut = |seed| {
            let options = AbxOptions {
                max_items: 4,
                max_speakers: 1,
                seed,
                ..AbxOptions::default()
            };
            run(&items, options).unwrap()
        };
        let one = cut(1);
        assert_eq!((one.groups_cut, one.voices_cut), (8, 8));
        assert_eq!(one.across.as_ref().unwrap().triples, 8 * 64);
        assert_eq!(one.within.as_ref().unwrap().triples, 8 * 4 * 3 * 4);
        assert_eq!(one, cut(1));
        assert_ne!(one, cut(2));
    }

    #[test]
    fn nothing_to_compare_is_refused() {
        let lone = [item("a", "s", 0.0), item("b", "t", 1.0)];
        let error = run(&lone, AbxOptions::default()).unwrap_err().to_string();
        assert!(error.starts_with("data: expected two labels"), "{error}");
        let error = run(&[], AbxOptions::default()).unwrap_err().to_string();
        assert_eq!(error, "data: expected items to compare, found none");
        let mut wide = item("b", "s", 1.0);
        wide.feats = ndarray::array![[1.0, 2.0, 3.0]];
        let error = run(&[lone[0].clone(), wide], AbxOptions::default());
        let expected = "data: b: expected 2 values per frame, as the first has, found 3";
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
}
