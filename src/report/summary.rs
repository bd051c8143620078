//! Results of several trainings side by side: probes, ABX, trials, recognition, attacks and image scores, mean and standard
//! deviation over runs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scores::ScoreReport;
use super::table::Table;
use crate::error::{Error, Result};
use crate::eval::abx::AbxResult;
use crate::eval::asr::ErrorRate;
use crate::eval::probe::ProbeResult;
use crate::eval::trials::Verification;
use crate::io::json;
use crate::io::lines::read_text;

/// One measure of one representation, over several runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// Name of the configuration.
    pub name: String,
    /// Name of the representation.
    #[serde(alias = "strand")]
    pub representation: String,
    /// What was measured: a target of probes, `EER %`, `ABX across %` and the like.
    #[serde(alias = "target")]
    pub measure: String,
    /// The value of every run.
    #[serde(alias = "accuracies")]
    pub values: Vec<f64>,
    /// What chance gives, where that is known.
    pub chance: Option<f64>,
}

/// A value of one run, as it is added to a [`SummaryRow`].
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    representation: String,
    measure: String,
    value: f64,
    chance: Option<f64>,
}

impl Measured {
    fn new(
        representation: &str,
        measure: impl Into<String>,
        value: f64,
        chance: Option<f64>,
    ) -> Self {
        Self {
            representation: representation.to_string(),
            measure: measure.into(),
            value,
            chance,
        }
    }

    /// The accuracy of a probe.
    pub fn of_probe(result: &ProbeResult) -> Self {
        let (name, chance) = (&result.representation, Some(result.chance));
        Self::new(name, result.target.name(), result.accuracy, chance)
    }
}

/// The names of files in an experiment's folder that are results, by their beginnings.
const RESULTS: [&str; 6] = ["probe", "attack", "abx", "eer_", "wer", "scores"];

/// What a file of results holds, or all files of results of a folder.
///
/// # Errors
/// [`Error::Io`]; [`Error::Line`] or [`Error::Format`] for a file that is none of what the commands write, and for a folder
/// without any.
pub fn read_measured(path: &Path) -> Result<Vec<Measured>> {
    if !path.is_dir() {
        return read_file(path);
    }
    let files = results_of(path)?;
    if files.is_empty() {
        let expected =
            "results: probe*.json, attack*.json, abx*.json, eer_*.json, wer*.json or scores*.json";
        return Err(Error::format(path, expected, "none"));
    }
    let measured: Result<Vec<_>> = files.iter().map(|file| read_file(file)).collect();
    Ok(measured?.concat())
}

/// The files of results of a folder, by name.
fn results_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".json") && RESULTS.iter().any(|begin| name.starts_with(begin)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What `unbraid eval abx` writes of a representation.
#[derive(Deserialize)]
struct AbxReport {
    #[serde(alias = "strand")]
    representation: String,
    on: String,
    #[serde(flatten)]
    result: AbxResult,
}

/// What is put side by side of what `unbraid eval attack` writes.
#[derive(Deserialize)]
struct AttackReport {
    chance: Identified,
    rows: Vec<AttackRow>,
}

#[derive(Deserialize)]
struct AttackRow {
    representation: String,
    utterances: String,
    headline: bool,
    identified: Option<Identified>,
}

#[derive(Deserialize)]
struct Identified {
    identification: f64,
}

/// What `unbraid asr score` writes.
#[derive(Deserialize)]
struct RecognitionReport {
    labels: String,
    rates: Vec<ErrorRate>,
}

fn read_file(path: &Path) -> Result<Vec<Measured>> {
    let text = read_text(path)?;
    let what =
        "results of eval probe, eval attack, eval abx, verify score, asr score or image evaluate";
    let content: Value = json::parse(&text, path, 1, what)?;
    let first = content.get(0).unwrap_or(&content);
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if first.get("target").is_some() {
        let results: Vec<ProbeResult> = json::parse(&text, path, 1, what)?;
        return Ok(results.iter().map(Measured::of_probe).collect());
    }
    if first.get("across").is_some() {
        let reports: Vec<AbxReport> = json::parse(&text, path, 1, what)?;
        return Ok(reports.iter().flat_map(of_abx).collect());
    }
    if first.get("dev_speakers").is_some() {
        let report: AttackReport = json::parse(&text, path, 1, what)?;
        return Ok(of_attack(&report));
    }
    if first.get("eer").is_some() {
        let found: Verification = json::parse(&text, path, 1, what)?;
        let name = stem.strip_prefix("eer_").unwrap_or(&stem);
        return Ok(vec![Measured::new(
            name,
            "EER %",
            100.0 * found.eer,
            Some(50.0),
        )]);
    }
    if first.get("rates").is_some() {
        let report: RecognitionReport = json::parse(&text, path, 1, what)?;
        let name = stem.strip_prefix("wer_").unwrap_or(&stem);
        let all = report.rates.iter().find(|rate| rate.group.1.is_empty());
        let percent = all.and_then(|rate| rate.percent);
        let measure = format!("errors in {} %", report.labels);
        return Ok(percent
            .map(|percent| Measured::new(name, measure, percent, None))
            .into_iter()
            .collect());
    }
    if first.get("scores").is_some() {
        let report: ScoreReport = json::parse(&text, path, 1, what)?;
        let measured = report.scores.iter().map(|score| {
            let chance = score.beside.iter().find(|(name, _)| name == "chance");
            Measured::new(
                &score.set,
                score.name.as_str(),
                score.value,
                chance.map(|(_, value)| *value),
            )
        });
        return Ok(measured.collect());
    }
    Err(Error::format(path, what, "other JSON"))
}

fn of_abx(report: &AbxReport) -> Vec<Measured> {
    let of = match report.on.as_str() {
        "text" => String::new(),
        other => format!("{other} "),
    };
    let both = [
        ("within", &report.result.within),
        ("across", &report.result.across),
    ];
    let found = both.into_iter().filter_map(|(kind, score)| {
        let error = 100.0 * score.as_ref()?.error;
        let measure = format!("ABX {of}{kind} %");
        Some(Measured::new(
            &report.representation,
            measure,
            error,
            Some(50.0),
        ))
    });
    found.collect()
}

/// The strongest attacker's identification rate from one utterance on each side, and from as many as there are.
fn of_attack(report: &AttackReport) -> Vec<Measured> {
    let shown = |length: &&str| ["1", "all"].contains(length);
    let rows = report.rows.iter().filter(|row| row.headline);
    let measured = rows.filter_map(|row| {
        let length = Some(row.utterances.as_str()).filter(shown)?;
        let rate = row.identified.as_ref()?.identification;
        let measure = format!("attack L={length} %");
        let chance = 100.0 * report.chance.identification;
        Some(Measured::new(
            &row.representation,
            measure,
            100.0 * rate,
            Some(chance),
        ))
    });
    measured.collect()
}

/// Reads the JSON that `unbraid eval probe` wrote.
///
/// # Errors
/// [`Error::Io`], or [`Error::Line`] for another content.
pub fn read_results(path: &Path) -> Result<Vec<ProbeResult>> {
    json::read(path, "results of unbraid eval probe")
}

/// Puts what runs of configuration `name` measured together, by representation and measure.
pub fn summarise(name: &str, measured: impl IntoIterator<Item = Measured>) -> Vec<SummaryRow> {
    let mut rows: Vec<SummaryRow> = Vec::new();
    for one in measured {
        let same = |row: &&mut SummaryRow| {
            row.representation == one.representation && row.measure == one.measure
        };
        match rows.iter_mut().find(same) {
            Some(row) => row.values.push(one.value),
            None => rows.push(SummaryRow {
                name: name.to_string(),
                representation: one.representation,
                measure: one.measure,
                values: vec![one.value],
                chance: one.chance,
            }),
        }
    }
    rows
}

/// Measures that stand first, in this order.
const ORDER: [&str; 9] = [
    "speaker",
    "attack L=1 %",
    "attack L=all %",
    "EER %",
    "text",
    "frames",
    "phones",
    "ABX within %",
    "ABX across %",
];

/// More measures than a line of a terminal has room for.
const WIDE: usize = 8;

/// One line per configuration and representation, one column per measure, with chance in the column's head; where there are
/// many measures, one line each.
pub fn table(rows: &[SummaryRow]) -> Table {
    let mut measures: Vec<&str> = Vec::new();
    for row in rows {
        if !measures.contains(&row.measure.as_str()) {
            measures.push(&row.measure);
        }
    }
    let place = |measure: &str| ORDER.iter().position(|known| *known == measure);
    measures.sort_by_key(|measure| place(measure).unwrap_or(ORDER.len()));
    match measures.len() > WIDE {
        true => long_table(rows),
        false => wide_table(rows, &measures),
    }
}

fn wide_table(rows: &[SummaryRow], measures: &[&str]) -> Table {
    let mut header = vec!["configuration".to_string(), "representation".to_string()];
    for measure in measures {
        let chance =
            chance_of(rows, measure).map(|chance| format!(" (chance {})", short(measure, chance)));
        header.push(format!("{measure}{}", chance.unwrap_or_default()));
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
        let own = |measure: &str| {
            rows.iter().find(|row| {
                row.name == name && row.representation == representation && row.measure == measure
            })
        };
        let mut cells = vec![name.to_string(), representation.to_string()];
        cells.extend(measures.iter().map(|&measure| match own(measure) {
            None => "-".into(),
            Some(row) if row.chance == chance_of(rows, measure) => value(row),
            Some(row) => {
                let chance = row
                    .chance
                    .map_or("unknown".into(), |chance| short(measure, chance));
                format!("{} (chance {chance})", value(row))
            }
        }));
        let runs = measures
            .iter()
            .filter_map(|&measure| own(measure))
            .map(|row| row.values.len());
        cells.push(runs.max().unwrap_or(0).to_string());
        table.row(cells);
    }
    table
}

/// The chance that stands in a column's head: that of its first row.
fn chance_of(rows: &[SummaryRow], measure: &str) -> Option<f64> {
    rows.iter().find(|row| row.measure == measure)?.chance
}

fn long_table(rows: &[SummaryRow]) -> Table {
    let mut table = Table::new(&[
        "configuration",
        "representation",
        "measure",
        "value",
        "chance",
        "runs",
    ]);
    for row in rows {
        table.row(vec![
            row.name.clone(),
            row.representation.clone(),
            row.measure.clone(),
            value(row),
            row.chance
                .map_or("-".into(), |chance| plain(&row.measure, chance)),
            row.values.len().to_string(),
        ]);
    }
    table
}

fn value(row: &SummaryRow) -> String {
    let (mean, deviation) = mean_deviation(&row.values);
    match row.values.len() {
        1 => plain(&row.measure, mean),
        _ => format!(
            "{} ± {}",
            plain(&row.measure, mean),
            plain(&row.measure, deviation)
        ),
    }
}

/// Chance, of percentages without decimals.
fn short(measure: &str, value: f64) -> String {
    match measure.ends_with('%') {
        true => format!("{value:.1}").trim_end_matches(".0").into(),
        false => plain(measure, value),
    }
}

/// Percentages with two decimals, anything else with three.
fn plain(measure: &str, value: f64) -> String {
    match measure.ends_with('%') {
        true => format!("{value:.2}"),
        false => format!("{value:.3}"),
    }
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
        let row = |name: &str, measure: &str, values: &[f64], chance| SummaryRow {
            name: name.into(),
            representation: "z".into(),
            measure: measure.into(),
            values: values.to_vec(),
            chance,
        };
        let rows = [
            row("a", "text", &[0.9, 0.8], Some(0.1)),
            row("a", "EER %", &[45.5], Some(50.0)),
            row("b", "text", &[0.5], Some(0.2)),
        ];
        assert_eq!(
            table(&rows).to_tsv(),
            "configuration\trepresentation\tEER % (chance 50)\ttext (chance 0.100)\truns\n\
             a\tz\t45.50\t0.850 ± 0.071\t2\nb\tz\t-\t0.500 (chance 0.200)\t1\n"
        );
        let many: Vec<SummaryRow> = (0..9)
            .map(|n| row("a", &format!("m{n}"), &[1.0], None))
            .collect();
        assert!(
            table(&many)
                .to_tsv()
                .starts_with("configuration\trepresentation\tmeasure\tvalue")
        );
    }

    #[test]
    fn every_kind_of_results_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        put(
            "eer_phonetic.json",
            r#"{"targets":1,"nontargets":1,"eer":0.25,"threshold":0.0,"min_dcf_01":1.0,"min_dcf_05":1.0,"cllr":1.0,"min_cllr":1.0}"#,
        );
        put(
            "abx.json",
            r#"[{"strand":"z","on":"text","within":null,"across":{"error":0.1,"cells":1,"triples":1,"pairs":[]},
                "items":1,"groups":1,"groups_cut":0,"voices_cut":0}]"#,
        );
        put(
            "scores.json",
            r#"{"method":"m","seed":0,"scores":[{"set":"test","name":"nmi","value":0.5,"beside":[["chance",0.1]]}]}"#,
        );
        put("notes.json", "[]");
        let rows = summarise("a", read_measured(dir.path()).unwrap());
        let found: Vec<(&str, &str, f64)> = rows
            .iter()
            .map(|row| {
                (
                    row.representation.as_str(),
                    row.measure.as_str(),
                    row.values[0],
                )
            })
            .collect();
        let expected = [
            ("z", "ABX across %", 10.0),
            ("phonetic", "EER %", 25.0),
            ("test", "nmi", 0.5),
        ];
        assert_eq!(found, expected);
        let error = read_measured(&dir.path().join("notes.json"))
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("found other JSON"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let error = read_measured(empty.path()).unwrap_err().to_string();
        assert!(error.contains("expected results: probe*.json"), "{error}");
    }
}
