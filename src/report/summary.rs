//! Results of several trainings side by side: a row a representation, a column a target, mean and spread over runs.

use clap::ValueEnum;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::table::Table;
use crate::error::Result;
use crate::eval::probe::{ProbeResult, Target};
use crate::io::json;

/// A representation over several runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// Name of the configuration.
    pub name: String,
    /// Name of the representation.
    pub representation: String,
    /// What was read.
    pub target: Target,
    /// Accuracy of every run.
    pub accuracies: Vec<f64>,
    /// Chance.
    pub chance: f64,
}

/// Reads the JSON that `unbraid eval probe` wrote.
///
/// # Errors
/// [`crate::Error::Io`], or [`crate::Error::Line`] for another content.
pub fn read_results(path: &Path) -> Result<Vec<ProbeResult>> {
    json::read(path, "results of unbraid eval probe")
}

/// Puts the results of runs of configuration `name` together, by representation and target.
pub fn summarise(name: &str, runs: &[Vec<ProbeResult>]) -> Vec<SummaryRow> {
    let mut rows: Vec<SummaryRow> = Vec::new();
    for result in runs.iter().flatten() {
        let same = |row: &&mut SummaryRow| {
            row.representation == result.representation && row.target == result.target
        };
        match rows.iter_mut().find(same) {
            Some(row) => row.accuracies.push(result.accuracy),
            None => rows.push(SummaryRow {
                name: name.to_string(),
                representation: result.representation.clone(),
                target: result.target,
                accuracies: vec![result.accuracy],
                chance: result.chance,
            }),
        }
    }
    rows
}

/// One line a configuration and representation, one column a target, with chance in the column's head.
pub fn table(rows: &[SummaryRow]) -> Table {
    let targets: Vec<Target> = Target::value_variants()
        .iter()
        .copied()
        .filter(|target| rows.iter().any(|row| row.target == *target))
        .collect();
    let mut header = vec!["configuration".to_string(), "representation".to_string()];
    for target in &targets {
        let chance = rows
            .iter()
            .find(|row| row.target == *target)
            .map_or(0.0, |row| row.chance);
        header.push(format!(
            "{} (chance {chance:.3})",
            format!("{target:?}").to_lowercase()
        ));
    }
    header.push("runs".to_string());
    let mut table = Table::new(&header.iter().map(String::as_str).collect::<Vec<_>>());
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for row in rows {
        if !lines.contains(&(&row.name, &row.representation)) {
            lines.push((&row.name, &row.representation));
        }
    }
    for (name, representation) in lines {
        let own = |target: Target| {
            rows.iter().find(|row| {
                row.name == name && row.representation == representation && row.target == target
            })
        };
        let mut cells = vec![name.to_string(), representation.to_string()];
        cells.extend(
            targets
                .iter()
                .map(|&target| own(target).map_or("-".into(), |row| spread(&row.accuracies))),
        );
        let runs = targets
            .iter()
            .filter_map(|&target| own(target))
            .map(|row| row.accuracies.len())
            .max();
        cells.push(runs.unwrap_or(0).to_string());
        table.row(cells);
    }
    table
}

/// Mean and standard deviation, 0 of a single value.
pub fn mean_deviation(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (values.len() - 1) as f64).sqrt())
}

/// `mean`, and `± standard deviation` for more than one.
pub fn spread(values: &[f64]) -> String {
    let (mean, deviation) = mean_deviation(values);
    match values.len() {
        0 | 1 => format!("{mean:.3}"),
        _ => format!("{mean:.3} ± {deviation:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_become_mean_and_deviation() {
        let row = |name: &str, target, accuracies: &[f64]| SummaryRow {
            name: name.into(),
            representation: "z".into(),
            target,
            accuracies: accuracies.to_vec(),
            chance: 0.1,
        };
        let rows = [
            row("a", Target::Text, &[0.9, 0.8]),
            row("b", Target::Text, &[0.5]),
        ];
        let tsv = table(&rows).to_tsv();
        assert_eq!(
            tsv,
            "configuration\trepresentation\ttext (chance 0.100)\truns\na\tz\t0.850 ± 0.071\t2\nb\tz\t0.500\t1\n"
        );
    }
}
