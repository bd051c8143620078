//! All probes of a target, and the strongest of them.

use std::collections::BTreeMap;

use super::options::{ProbeData, ProbeOptions};
use super::result::{Family, GroupResult, ProbeResult, ProbeRun, Target};
use super::task::{Task, UtteranceResult};
use crate::error::{Error, Result};
use crate::eval::grouping::Grouping;
use crate::eval::interval::{bootstrap, weighted_mean};

/// Trains all probes on `data` and reports the strongest family. `progress` is called after each probe.
///
/// # Errors
/// Errors of reading the data; [`Error::Key`] for a test label that the training set lacks; [`Error::Format`] when there is
/// a single class.
pub fn probe(
    representation: &str,
    target: Target,
    data: ProbeData,
    options: &ProbeOptions,
    mut progress: impl FnMut(&ProbeRun),
) -> Result<ProbeResult> {
    options.check()?;
    let task = Task::open(target, data.sets, options)?;
    let mut runs = Vec::new();
    let mut tests: Vec<(Family, Vec<UtteranceResult>)> = Vec::new();
    for &family in &options.families {
        if family == Family::Cnn && task.train.holds_vectors() {
            continue; // A vector has no time axis for convolutions; the MLP is its strongest probe.
        }
        for seed in 0..options.seeds {
            let (run, test) = task.cross_validate(family, seed, options)?;
            progress(&run);
            runs.push(run);
            tests.push((family, test));
        }
    }
    summarise((representation, data.by), &task, runs, &tests)
}

fn summarise(
    (representation, groupings): (&str, &[Grouping]),
    task: &Task,
    runs: Vec<ProbeRun>,
    tests: &[(Family, Vec<UtteranceResult>)],
) -> Result<ProbeResult> {
    let mean = |family: Family, value: fn(&ProbeRun) -> f64| {
        let own = runs.iter().filter(|run| run.family == family);
        weighted_mean(own.map(|run| (value(run), 1.0)))
    };
    let strongest = runs
        .iter()
        .map(|run| run.family)
        .max_by(|&a, &b| mean(a, |r| r.dev).total_cmp(&mean(b, |r| r.dev)))
        .ok_or_else(|| Error::option("probe families", "one that fits the features", "none"))?;
    let of_strongest = || {
        runs.iter()
            .filter(|run| run.family == strongest)
            .map(|run| run.test)
    };
    // The mean over seeds per utterance, so that the interval belongs to the reported accuracy.
    let chosen: Vec<&Vec<UtteranceResult>> = tests
        .iter()
        .filter(|(family, _)| *family == strongest)
        .map(|(_, test)| test)
        .collect();
    let by_utterance: Vec<(f64, f64)> = (0..chosen.first().map_or(0, |test| test.len()))
        .map(|u| {
            let right: f64 = chosen.iter().map(|test| test[u].right).sum();
            (right / chosen.len() as f64, chosen[0][u].counted)
        })
        .collect();
    if by_utterance.iter().all(|(_, labels)| *labels == 0.0) {
        let expected = format!("{representation}: test utterances with labels");
        return Err(Error::option("--target", expected, "none"));
    }
    let spread = task.spread()?;
    Ok(ProbeResult {
        representation: representation.to_string(),
        target: task.target,
        probe: strongest,
        accuracy: mean(strongest, |run| run.test),
        range: (
            of_strongest().fold(f64::INFINITY, f64::min),
            of_strongest().fold(f64::NEG_INFINITY, f64::max),
        ),
        interval: bootstrap(&by_utterance, 0),
        chance: spread.chance,
        bits: (spread.entropy - mean(strongest, |run| run.cross_entropy)).max(0.0),
        entropy: spread.entropy,
        classes: task.classes as usize,
        utterances: task.utterances(),
        groups: groupings
            .iter()
            .flat_map(|by| by_group(by, &by_utterance))
            .collect(),
        runs,
    })
}

/// The groups of a grouping, in the order of their names; a group without labels has no accuracy and is left out.
fn by_group(grouping: &Grouping, by_utterance: &[(f64, f64)]) -> Vec<GroupResult> {
    let mut groups: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for (value, &counts) in grouping.values.iter().zip(by_utterance) {
        groups.entry(value).or_default().push(counts);
    }
    groups
        .into_iter()
        .filter(|(_, counts)| counts.iter().any(|(_, labels)| *labels > 0.0))
        .map(|(value, counts)| GroupResult {
            by: grouping.name.clone(),
            value: value.to_string(),
            accuracy: weighted_mean(counts.iter().copied()),
            interval: bootstrap(&counts, 0),
            utterances: counts.len(),
        })
        .collect()
}
