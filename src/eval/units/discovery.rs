//! Discovery of phones by units: each unit stands for a phone, and the phones that units say are compared with those that
//! were said. Definitions, names and windows are those of discophon 0.2.0 (Poli et al. 2026, "DiscoPhon").
//!
//! Input: of each utterance one unit per `step_units_ms` and one phone per `step_phones_ms`. Output: [`Discovery`].

use std::collections::HashMap;

use ndarray::Array2;
use serde::Serialize;

use super::score::JointCounts;
use crate::error::{Error, Result};
use crate::eval::assignment::assign;
use crate::eval::edits::edits;

/// Which phone a unit stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssignmentKind {
    /// The most frequent one; several units may stand for one phone.
    ManyToOne,
    /// One that no other unit stands for, so that most steps are right.
    OneToOne,
}

/// Steps and windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DiscoveryOptions {
    /// Milliseconds per unit, a multiple of those per phone.
    pub step_units_ms: u32,
    /// Milliseconds per phone.
    pub step_phones_ms: u32,
    /// Largest distance of a boundary that counts as found, in milliseconds.
    pub margin_ms: u32,
    /// Phones of the language without silence; those that occur, without this option.
    pub phonemes: Option<usize>,
}

impl Default for DiscoveryOptions {
    fn default() -> Self {
        Self {
            step_units_ms: 20,
            step_phones_ms: 10,
            margin_ms: 20,
            phonemes: None,
        }
    }
}

/// Units and phones of an utterance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken<'a> {
    /// Its name.
    pub id: String,
    /// One per step, from 0.
    pub units: Vec<i32>,
    /// One per step.
    pub phones: Vec<&'a str>,
}

/// How well units find phones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Discovery {
    /// How phones were assigned.
    pub kind: AssignmentKind,
    /// Mutual information of phone and unit over the entropy of the phones; 0 for a single phone.
    pub pnmi: f64,
    /// Edits per phone, without repetitions.
    pub per: f64,
    /// Of boundaries; none where there are neither true nor found ones.
    pub f1: Option<f64>,
    /// R-value of boundaries (Räsänen et al. 2009); none without true ones.
    pub r_val: Option<f64>,
    /// Share of found boundaries that are true; none where none are found.
    pub precision: Option<f64>,
    /// Share of true boundaries that are found; none without true ones.
    pub recall: Option<f64>,
}

/// The measures of units of utterances. None for a one-to-one assignment of more units than there are phones.
///
/// # Errors
/// [`Error::Option`] for a step of units that is no multiple of that of phones, or more phones than there may be;
/// [`Error::Key`], naming `place`, for an utterance whose units and phones differ in length by more than one unit, or that
/// has none.
pub fn discovery(
    spoken: &[Spoken],
    kind: AssignmentKind,
    options: DiscoveryOptions,
    place: &str,
) -> Result<Option<Discovery>> {
    let repeat = repeat(options)?;
    let mut sorted: Vec<&Spoken> = spoken.iter().collect();
    sorted.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let gold = Gold::of(&sorted, repeat, options, place)?;
    let Some(phone_of) = gold.assignment(kind) else {
        return Ok(None);
    };
    let (mut edited, mut said) = (0, 0);
    let mut found = Boundaries::default();
    for (spoken, phones) in sorted.iter().zip(&gold.phones) {
        let predicted: Vec<usize> = spoken
            .units
            .iter()
            .map(|&unit| phone_of[unit as usize])
            .collect();
        found.add(
            &boundaries(phones, options.step_phones_ms),
            &boundaries(&predicted, options.step_units_ms),
            options.margin_ms.into(),
        );
        let (target, predicted) = (without_runs(phones), without_runs(&predicted));
        edited += edits(&target, &predicted).count();
        said += target.len();
    }
    Ok(Some(Discovery {
        kind,
        pnmi: gold.pnmi,
        per: edited as f64 / said as f64,
        f1: found.f1(),
        r_val: found.r_value(),
        precision: ratio(found.hits, found.predicted),
        recall: ratio(found.hits, found.gold),
    }))
}

/// Steps of phones per unit.
fn repeat(options: DiscoveryOptions) -> Result<usize> {
    let (units, phones) = (options.step_units_ms, options.step_phones_ms);
    match phones > 0 && units > 0 && units.is_multiple_of(phones) {
        true => Ok((units / phones) as usize),
        false => {
            let expected = format!("a multiple of the {phones} ms of a phone");
            Err(Error::option(
                "step of units",
                expected,
                format!("{units} ms"),
            ))
        }
    }
}

fn without_runs(phones: &[usize]) -> Vec<usize> {
    let mut phones = phones.to_vec();
    phones.dedup();
    phones
}

/// Most counts of pairs of phone and unit in memory; k-means makes far fewer units.
const MOST_COUNTS: usize = 1 << 24;

/// Phones, silence among them, of which `found` occur.
fn classes(found: usize, options: DiscoveryOptions) -> Result<usize> {
    let classes = options
        .phonemes
        .map_or(found, |phonemes| phonemes.saturating_add(1));
    match found <= classes {
        true => Ok(classes),
        false => {
            let expected = format!("at least {}, as many as occur but for silence", found - 1);
            let found = (classes - 1).to_string();
            Err(Error::option("number of phonemes", expected, found))
        }
    }
}

/// Phones as numbers, and how often each occurs with each unit.
struct Gold {
    /// Of each utterance, numbered in the order of their first occurrence.
    phones: Vec<Vec<usize>>,
    /// `[phones, units]`.
    counts: Array2<usize>,
    pnmi: f64,
}

impl Gold {
    fn of<'a>(
        sorted: &[&Spoken<'a>],
        repeat: usize,
        options: DiscoveryOptions,
        place: &str,
    ) -> Result<Self> {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let (mut joint, mut pairs) = (JointCounts::default(), Vec::new());
        for spoken in sorted {
            let steps = spoken.units.len() * repeat;
            if steps == 0
                || spoken.phones.is_empty()
                || steps.abs_diff(spoken.phones.len()) > repeat
            {
                let expected = format!(
                    "one unit per {repeat} of its {} steps of phones",
                    spoken.phones.len()
                );
                return Err(Error::key(
                    place,
                    &spoken.id,
                    expected,
                    spoken.units.len().to_string(),
                ));
            }
            let units = spoken
                .units
                .iter()
                .flat_map(|&unit| std::iter::repeat_n(unit, repeat));
            let own = spoken.phones.iter().zip(units).map(|(phone, unit)| {
                let next = numbers.len();
                (*numbers.entry(*phone).or_insert(next), unit)
            });
            let own: Vec<(usize, i32)> = own.collect();
            let (phones, units): (Vec<i32>, Vec<i32>) = own
                .iter()
                .map(|&(phone, unit)| (phone as i32, unit))
                .unzip();
            joint.add(&phones, &units);
            pairs.extend(own);
        }
        let classes = classes(numbers.len(), options)?;
        let units = sorted.iter().flat_map(|spoken| &spoken.units).max();
        let units = units.map_or(0, |&unit| unit as usize + 1);
        if classes.saturating_mul(units) > MOST_COUNTS {
            let expected = format!("units below {}", MOST_COUNTS / classes);
            return Err(Error::format(place, expected, (units - 1).to_string()));
        }
        let mut counts = Array2::zeros((classes, units));
        pairs
            .into_iter()
            .for_each(|(phone, unit)| counts[[phone, unit as usize]] += 1);
        // What occurs only behind the last unit has no class.
        let mut next = classes;
        let mut number = |&phone: &&'a str| {
            *numbers.entry(phone).or_insert_with(|| {
                next += 1;
                next - 1
            })
        };
        let phones = sorted
            .iter()
            .map(|spoken| spoken.phones.iter().map(&mut number).collect());
        let phones = phones.collect();
        let pnmi = joint.scores().and_then(|scores| scores.pnmi).unwrap_or(0.0);
        Ok(Self {
            phones,
            counts,
            pnmi,
        })
    }

    /// The phone of each unit.
    fn assignment(&self, kind: AssignmentKind) -> Option<Vec<usize>> {
        let (classes, units) = self.counts.dim();
        // The most frequent phone first, of equally frequent ones the later, as discophon sorts them: it decides ties.
        let totals: Vec<usize> = self
            .counts
            .rows()
            .into_iter()
            .map(|row| row.sum())
            .collect();
        let mut order: Vec<usize> = (0..classes).collect();
        order.sort_by_key(|&phone| (totals[phone], phone));
        order.reverse();
        match kind {
            AssignmentKind::ManyToOne => {
                let most = |unit| {
                    let count = |&phone: &usize| self.counts[[phone, unit]];
                    // `max_by_key` takes the last of equal ones.
                    order
                        .iter()
                        .rev()
                        .copied()
                        .max_by_key(|phone| count(phone))
                        .unwrap_or(0)
                };
                Some((0..units).map(most).collect())
            }
            AssignmentKind::OneToOne if units > classes => None,
            AssignmentKind::OneToOne => {
                let gains = Array2::from_shape_fn((classes, classes), |(row, unit)| {
                    self.counts.get((order[row], unit)).copied().unwrap_or(0)
                });
                let mut phone_of = vec![0; classes];
                for (row, unit) in assign(&gains) {
                    phone_of[unit] = order[row];
                }
                Some(phone_of)
            }
        }
    }
}

/// Times in milliseconds at which the phone changes.
fn boundaries(phones: &[usize], step_ms: u32) -> Vec<i64> {
    let changes = phones
        .windows(2)
        .zip(1..)
        .filter(|(pair, _)| pair[0] != pair[1]);
    changes.map(|(_, step)| step * i64::from(step_ms)).collect()
}

/// Counts of boundaries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Boundaries {
    hits: usize,
    gold: usize,
    predicted: usize,
}

impl Boundaries {
    /// Counts those of an utterance. A true boundary is found where one lies within the margin of it; windows that would
    /// overlap end in the middle, which belongs to the earlier one (Räsänen et al. 2009, section 2.3).
    fn add(&mut self, gold: &[i64], predicted: &[i64], margin_ms: i64) {
        let middle = |a: i64, b: i64| (a + b).div_euclid(2);
        for (place, &time) in gold.iter().enumerate() {
            let (mut low, mut high) = ((time - margin_ms).max(0), time + margin_ms);
            if let Some(before) = place.checked_sub(1) {
                low = low.max(middle(gold[before], time) + 1);
            }
            if let Some(&after) = gold.get(place + 1) {
                high = high.min(middle(time, after));
            }
            let first = predicted.partition_point(|&time| time < low);
            self.hits += usize::from(predicted.get(first).is_some_and(|&time| time <= high));
        }
        self.gold += gold.len();
        self.predicted += predicted.len();
    }

    fn f1(&self) -> Option<f64> {
        ratio(2 * self.hits, self.gold + self.predicted)
    }

    fn r_value(&self) -> Option<f64> {
        let recall = ratio(self.hits, self.gold)?;
        let over = ratio(self.predicted, self.gold)? - 1.0;
        let missed = (1.0 - recall).hypot(over);
        let inserted = (recall - 1.0 - over).abs() / std::f64::consts::SQRT_2;
        Some(1.0 - (missed + inserted) / 2.0)
    }
}

fn ratio(part: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken<'a>(id: &str, units: &[i32], phones: &'a str) -> Spoken<'a> {
        Spoken {
            id: id.into(),
            units: units.to_vec(),
            phones: phones.split_terminator("").skip(1).collect(),
        }
    }

    fn run(
        spoken: &[Spoken],
        kind: AssignmentKind,
        phonemes: Option<usize>,
    ) -> Result<Option<Discovery>> {
        let options = DiscoveryOptions {
            phonemes,
            ..DiscoveryOptions::default()
        };
        discovery(spoken, kind, options, "units")
    }

    #[test]
    fn units_that_are_phones_find_everything() {
        let all = [
            spoken("a", &[0, 0, 1, 2], "xxxxyyzz"),
            spoken("b", &[2, 1], "zzyy"),
        ];
        for kind in [AssignmentKind::ManyToOne, AssignmentKind::OneToOne] {
            let found = run(&all, kind, None).unwrap().unwrap();
            assert!((found.pnmi - 1.0).abs() < 1e-12);
            assert_eq!(
                (found.per, found.f1, found.r_val),
                (0.0, Some(1.0), Some(1.0))
            );
        }
    }

    #[test]
    fn one_to_one_needs_as_many_phones_as_units() {
        let all = [spoken("a", &[0, 1, 2, 0], "xxxxyyyx")];
        let kind = AssignmentKind::OneToOne;
        assert_eq!(run(&all, kind, None).unwrap(), None);
        // Unit 0 is x, unit 2 y, unit 1 a phone that is missing: x ? y x.
        let found = run(&all, kind, Some(2)).unwrap().unwrap();
        assert_eq!(found.per, 1.0 / 3.0);
        let found = run(&all, AssignmentKind::ManyToOne, None).unwrap().unwrap();
        assert_eq!(found.per, 0.0);
    }

    #[test]
    fn windows_of_boundaries_do_not_overlap() {
        let count = |gold: &[i64], predicted: &[i64]| {
            let mut found = Boundaries::default();
            found.add(gold, predicted, 20);
            found.hits
        };
        assert_eq!(count(&[40, 100], &[60, 80]), 2);
        assert_eq!(count(&[40, 100], &[61, 79]), 0);
        // The middle, 50, is of the first one.
        assert_eq!(count(&[40, 60], &[50]), 1);
        assert_eq!(count(&[40, 60], &[50, 51]), 2);
        assert_eq!(count(&[40, 60], &[45, 50]), 1);
    }

    #[test]
    fn a_single_phone_has_no_boundaries() {
        let found = run(
            &[spoken("a", &[3, 3], "xxxx")],
            AssignmentKind::ManyToOne,
            None,
        );
        let found = found.unwrap().unwrap();
        assert_eq!(
            (found.pnmi, found.per, found.f1, found.r_val),
            (0.0, 0.0, None, None)
        );
    }

    #[test]
    fn lengths_may_differ_by_a_unit() {
        for (units, phones, right) in [
            (&[0, 0][..], "xx", true),
            (&[0, 0], "xxxxxx", true),
            (&[0, 0], "xxxxxxx", false),
            (&[0, 0, 0], "xxx", false),
            (&[], "x", false),
            (&[0], "", false),
        ] {
            let found = run(
                &[spoken("a", units, phones)],
                AssignmentKind::ManyToOne,
                None,
            );
            assert_eq!(found.is_ok(), right, "{units:?} {phones}");
        }
        let found = run(
            &[spoken("a", &[0], "xy")],
            AssignmentKind::ManyToOne,
            Some(0),
        );
        let error = found.unwrap_err().to_string();
        assert!(
            error.starts_with("number of phonemes: expected at least 1"),
            "{error}"
        );
    }
}
