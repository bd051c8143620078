//! Retained content against speaker leakage: of the experiments of the page, or of a single one and those beside it.

use std::path::PathBuf;

use super::Part;
use super::folder::{BASELINE, ExpFolder, Field, configuration};
use crate::error::Result;
use crate::eval::probe::Target;
use crate::io::json;
use crate::report::frontier::{
    FrontierOptions, FrontierPoint, chart, check_chance, point_of_rows, table,
};
use crate::report::page::{Html, command_line};
use crate::report::summary::{Measured, SummaryRow, read_results, summarise};
use crate::report::table::Table;

/// Configurations with the rows of their runs, in order.
struct Methods(Vec<(String, Vec<SummaryRow>)>);

/// The section.
///
/// # Errors
/// For a damaged file; [`Error::Option`] for probes of different test sets.
pub(super) fn section(exps: &[ExpFolder]) -> Result<Part> {
    let speech: Vec<&ExpFolder> = exps.iter().filter(|e| e.field() == Field::Speech).collect();
    let Some(first) = speech.first() else {
        return Part::left_out("needs an experiment on speech");
    };
    let mut methods = Methods(Vec::new());
    methods.add_baseline(first)?;
    match speech[..] {
        [only] => methods.add_siblings(only)?,
        _ => speech
            .iter()
            .try_for_each(|exp| methods.add_run(exp, &exp.configuration()))?,
    }
    let Some(options) = methods.options() else {
        return Part::left_out(
            "needs probes of speaker and of content (text, frames or phones) on the phonetic representation: probe*.json",
        );
    };
    let mut points = methods.points(&options)?;
    if let [only] = speech[..] {
        drop_twin(&mut points, only);
    }
    if points.len() < 2 {
        return Part::left_out(
            "needs a second point: ../results.json, ../log-mel_0/probe*.json or another --exp",
        );
    }
    let mut html = Html::default();
    html.paragraph(
        "Accuracy of content probes over accuracy of speaker probes. The upper left corner is best: all content, no speaker \
         information. Raw features are the baseline.",
    );
    let names: Vec<&str> = points.iter().map(|point| point.method.as_str()).collect();
    let caption = format!("Accuracy of probes, for {}.", names.join(", "));
    html.chart(&chart(&marked(&points, &speech), &options).svg(), &caption);
    html.table(
        "The same values, mean ± standard deviation over runs",
        &without_value(&table(&points, &options)),
    );
    html.command(&command(&speech, &points, &options));
    Ok(Part::Shown(html))
}

impl Methods {
    fn of(&mut self, name: &str) -> &mut Vec<SummaryRow> {
        let place = self.0.iter().position(|(other, _)| other == name);
        let place = place.unwrap_or_else(|| {
            self.0.push((name.to_string(), Vec::new()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    fn add_row(&mut self, row: SummaryRow) {
        // The baseline's own files may have added it already.
        let of = self.of(&row.name.clone());
        if !of
            .iter()
            .any(|known| known.representation == row.representation && known.measure == row.measure)
        {
            of.push(row);
        }
    }

    fn add_baseline(&mut self, exp: &ExpFolder) -> Result<()> {
        let mut results = Vec::new();
        for name in exp.files("", "probe", ".json")? {
            if let Some(path) = exp.of_baseline(&name) {
                results.extend(read_results(&path)?);
            }
        }
        let rows = summarise(BASELINE, results.iter().map(Measured::of_probe));
        rows.into_iter().for_each(|row| self.add_row(row));
        Ok(())
    }

    /// Adds the rows of the table of results beside an experiment, and the experiment itself.
    fn add_siblings(&mut self, exp: &ExpFolder) -> Result<()> {
        if let Some(path) = exp.beside("", "results.json") {
            let rows: Vec<SummaryRow> = json::read(&path, "what unbraid eval results writes")?;
            rows.into_iter().for_each(|row| self.add_row(row));
        }
        self.add_run(exp, exp.name())
    }

    /// The probes of a run, as one more of `name`.
    fn add_run(&mut self, exp: &ExpFolder, name: &str) -> Result<()> {
        let mut results = Vec::new();
        for file in exp.files("", "probe", ".json")? {
            results.extend(read_results(&exp.path().join(file))?);
        }
        for row in summarise(name, results.iter().map(Measured::of_probe)) {
            let own = self.of(name);
            let same = |known: &&mut SummaryRow| {
                known.representation == row.representation && known.measure == row.measure
            };
            match own.iter_mut().find(same) {
                Some(known) => known.values.extend(row.values),
                None => own.push(row),
            }
        }
        Ok(())
    }

    /// The content target with probes of most methods.
    fn options(&self) -> Option<FrontierOptions> {
        let with = |content: Target| {
            let options = options(content);
            let points = self
                .0
                .iter()
                .filter(|(name, rows)| point_of_rows(name, rows, &options).is_ok());
            (points.count(), options)
        };
        let counted = [Target::Text, Target::Frames, Target::Phones].map(with);
        let best = counted
            .into_iter()
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.filter(|(count, _)| *count > 0)
            .map(|(_, options)| options)
    }

    /// Points of the methods with probes of both targets, all of one test set.
    fn points(&self, options: &FrontierOptions) -> Result<Vec<FrontierPoint>> {
        let points = self
            .0
            .iter()
            .filter_map(|(name, rows)| point_of_rows(name, rows, options).ok());
        let points: Vec<FrontierPoint> = points.collect();
        for point in &points {
            check_chance(&point.method, points.first(), point, options)?;
        }
        Ok(points)
    }
}

fn options(content: Target) -> FrontierOptions {
    FrontierOptions {
        representation: "phonetic".into(),
        leakage: Target::Speaker,
        content,
        parameter: "value".into(),
    }
}

/// Removes the configuration's point where it has only the run that is reported.
fn drop_twin(points: &mut Vec<FrontierPoint>, exp: &ExpFolder) {
    let of = |name: &str| points.iter().find(|point| point.method == name).cloned();
    if let (Some(own), Some(twin)) = (of(exp.name()), of(&exp.configuration()))
        && (&own.leakage, &own.content) == (&twin.leakage, &twin.content)
        && own.method != twin.method
    {
        points.retain(|point| point.method != twin.method);
    }
}

/// The table without the column of the swept parameter.
fn without_value(table: &Table) -> Table {
    let kept = |cells: &[String]| -> Vec<String> {
        let cells = cells.iter().enumerate().filter(|(column, _)| *column != 1);
        cells.map(|(_, cell)| cell.clone()).collect()
    };
    let header = kept(table.header());
    let mut narrow = Table::new(&header.iter().map(String::as_str).collect::<Vec<_>>());
    table.rows().iter().for_each(|row| narrow.row(kept(row)));
    narrow
}

/// The points with marked names: the baseline and, on the page of a single experiment, its own.
fn marked(points: &[FrontierPoint], exps: &[&ExpFolder]) -> Vec<FrontierPoint> {
    let name = |point: &FrontierPoint| match (point.method.as_str(), exps) {
        (BASELINE, _) => format!("{BASELINE} (raw)"),
        (name, [only]) if name == only.name() => format!("{name} (this run)"),
        (name, _) => name.to_string(),
    };
    let marked = points.iter().map(|point| FrontierPoint {
        method: name(point),
        ..point.clone()
    });
    marked.collect()
}

/// `unbraid eval frontier` of the existing folders.
fn command(exps: &[&ExpFolder], points: &[FrontierPoint], options: &FrontierOptions) -> String {
    let content = format!("{:?}", options.content).to_lowercase();
    let mut words = vec![
        "unbraid".to_string(),
        "eval".into(),
        "frontier".into(),
        "--content".into(),
        content,
    ];
    for point in points {
        let mut files = Vec::new();
        for folder in folders(exps, &point.method) {
            files.extend(probes(&folder));
        }
        if !files.is_empty() {
            words.push(format!("{}={}", point.method, files.join(",")));
        }
    }
    command_line(words)
}

/// Folders of a configuration's runs: of those given, or, of a single experiment's page, those beside it.
fn folders(exps: &[&ExpFolder], method: &str) -> Vec<PathBuf> {
    let own = exps.iter().filter(|exp| match exps.len() {
        1 => exp.name() == method,
        _ => exp.configuration() == method,
    });
    let own: Vec<PathBuf> = own.map(|exp| exp.path().to_path_buf()).collect();
    let Some(first) = exps.first().filter(|_| own.is_empty()) else {
        return own;
    };
    let beside = match first.path().parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => first.path().join(".."),
    };
    let entries = std::fs::read_dir(&beside).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| configuration(name) == method && name != method)
        .collect();
    names.sort();
    names.into_iter().map(|name| beside.join(name)).collect()
}

/// Files of a run's probes.
fn probes(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with("probe") && name.ends_with(".json"))
        .map(|name| folder.join(name).display().to_string())
        .collect();
    names.sort();
    names
}
