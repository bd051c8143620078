//! Scores of image methods over several trainings: median, least and greatest.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::table::Table;
use crate::error::Result;
use crate::eval::score::Score;
use crate::io::json;

/// The output of `unbraid image evaluate --out` for one training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreReport {
    /// Name of the method.
    pub method: String,
    /// Seed of the training.
    pub seed: u64,
    /// Its scores.
    pub scores: Vec<Score>,
}

impl ScoreReport {
    /// Reads a report.
    ///
    /// # Errors
    /// [`crate::Error::Io`] or [`crate::Error::Line`] naming the file.
    pub fn read(path: &Path) -> Result<Self> {
        json::read(path, "what unbraid image evaluate writes")
    }
}

/// A score over the trainings of a configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreSummary {
    /// Name of the configuration.
    pub configuration: String,
    /// Name of the set.
    pub set: String,
    /// The measure.
    pub name: String,
    /// Median over trainings.
    pub median: f64,
    /// Least and greatest.
    pub range: (f64, f64),
    /// Number of trainings.
    pub runs: usize,
    /// Medians of chance, lower bounds and baselines, by name.
    pub beside: Vec<(String, f64)>,
}

/// The scores of one configuration, in the order of its first training.
pub fn summarise_scores(configuration: &str, reports: &[ScoreReport]) -> Vec<ScoreSummary> {
    let mut order: Vec<(&str, &str)> = Vec::new();
    let mut by_name: BTreeMap<(&str, &str), Vec<&Score>> = BTreeMap::new();
    for score in reports.iter().flat_map(|report| &report.scores) {
        let key = (score.set.as_str(), score.name.as_str());
        let scores = by_name.entry(key).or_default();
        if scores.is_empty() {
            order.push(key);
        }
        scores.push(score);
    }
    order
        .into_iter()
        .map(|key| summary(configuration, key, &by_name[&key]))
        .collect()
}

fn summary(configuration: &str, (set, name): (&str, &str), scores: &[&Score]) -> ScoreSummary {
    let values = sorted(scores.iter().map(|score| score.value));
    let names = scores.iter().flat_map(|score| &score.beside);
    let mut beside: Vec<(String, f64)> = Vec::new();
    for (name, _) in names {
        if beside.iter().all(|(other, _)| other != name) {
            let of = |score: &&Score| Some(score.beside.iter().find(|(n, _)| n == name)?.1);
            let values = sorted(scores.iter().filter_map(of));
            beside.push((name.clone(), median(&values)));
        }
    }
    ScoreSummary {
        configuration: configuration.to_string(),
        set: set.to_string(),
        name: name.to_string(),
        median: median(&values),
        range: (values[0], values[values.len() - 1]),
        runs: values.len(),
        beside,
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values, at least one.
fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[half],
        _ => (sorted[half - 1] + sorted[half]) / 2.0,
    }
}

/// One row per score.
pub fn score_table(summaries: &[ScoreSummary]) -> Table {
    let mut table = Table::new(&[
        "configuration",
        "set",
        "score",
        "median",
        "from",
        "to",
        "runs",
        "baselines",
    ]);
    for of in summaries {
        let beside = of.beside.iter();
        let beside: Vec<String> = beside
            .map(|(name, value)| format!("{name} {value:.3}"))
            .collect();
        table.row(vec![
            of.configuration.clone(),
            of.set.clone(),
            of.name.clone(),
            format!("{:.4}", of.median),
            format!("{:.4}", of.range.0),
            format!("{:.4}", of.range.1),
            of.runs.to_string(),
            beside.join(", "),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(seed: u64, value: f64) -> ScoreReport {
        ScoreReport {
            method: "m".into(),
            seed,
            scores: vec![
                Score::new("test", "b", value).beside("chance", 0.1 * value),
                Score::new("test", "a", 1.0),
            ],
        }
    }

    #[test]
    fn the_median_and_its_range() {
        let reports = [report(0, 3.0), report(1, 1.0), report(2, 2.0)];
        let found = summarise_scores("x", &reports);
        let names: Vec<&str> = found.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(
            (found[0].median, found[0].range, found[0].runs),
            (2.0, (1.0, 3.0), 3)
        );
        assert!((found[0].beside[0].1 - 0.2).abs() < 1e-12);
        assert_eq!(median(&[1.0, 4.0]), 2.5);
        assert!(
            score_table(&found)
                .to_tsv()
                .contains("x\ttest\tb\t2.0000\t1.0000\t3.0000\t3\tchance 0.200")
        );
    }
}
