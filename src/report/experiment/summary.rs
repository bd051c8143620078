//! Summary of a run: its settings, and its results in probes, trials, ABX errors and scores of images, with chance and baselines.

use serde::Deserialize;

use super::Part;
use super::folder::{BASELINE, ExpFolder, Field, TestSet};
use crate::error::{Error, Result};
use crate::eval::probe::{ProbeResult, Target};
use crate::io::json;
use crate::io::lines::read_text;
use crate::method::speech::ModelInfo;
use crate::report::page::{Cell, Html, command_line};
use crate::report::picture::{Colour, Picture, Shape};
use crate::report::scores::ScoreReport;
use crate::report::summary::read_results;
use crate::report::table::Table;
use crate::train::checkpoint;

/// The section.
///
/// # Errors
/// For a damaged file.
pub(super) fn section(exp: &ExpFolder, data: Option<&TestSet>) -> Result<Part> {
    let mut html = Html::default();
    html.facts(&facts(exp, data)?);
    let before = html.as_str().len();
    probes(exp, &mut html)?;
    verification(exp, data, &mut html)?;
    abx(exp, data, &mut html)?;
    images(exp, &mut html)?;
    if html.as_str().len() == before {
        html.note("No results yet: there is no probe*.json, eer_*.json, abx.tsv or scores.json.");
    }
    Ok(Part::Shown(html))
}

/// The settings of the run.
fn facts(exp: &ExpFolder, data: Option<&TestSet>) -> Result<Vec<(String, String)>> {
    let mut facts = vec![("Method".to_string(), exp.method())];
    let mut add = |name: &str, value: String| facts.push((name.to_string(), value));
    add("Configuration", exp.configuration());
    if let Some(seed) = exp.value(&["seed"]) {
        add("Seed", seed.to_string());
    }
    for (name, value) in steps(exp)? {
        add(name, value);
    }
    for (name, value) in between(exp) {
        add(name, value);
    }
    match (exp.field(), exp.value(&["data", "train"])) {
        (Field::Speech, Some(train)) => {
            add("Trained on", train.as_str().unwrap_or("?").to_string());
            if exp.file("inventory.json").is_some() {
                let info: ModelInfo = exp.experiment().read_json("inventory.json")?;
                let speakers = info.inventory.speakers.len();
                let size = format!("{} utterances, {speakers} speakers", info.utterances);
                add("Training set", size);
            }
            if let Some(data) = data {
                add("Tested on", data.dir.path().display().to_string());
            }
        }
        (Field::Images, Some(source)) => add("Trained on", source_name(source)),
        (_, None) => {}
    }
    Ok(facts)
}

/// The steps of training.
fn steps(exp: &ExpFolder) -> Result<Vec<(&'static str, String)>> {
    let steps = exp.value(&["train", "steps"]).map(ToString::to_string);
    let steps = steps.unwrap_or_else(|| "?".into());
    if exp.file("last/state.json").is_none() {
        return Ok(vec![("Steps", format!("none of {steps} saved"))]);
    }
    let state = checkpoint::read_state(&exp.path().join("last"))?;
    let mut facts = vec![("Steps", format!("{} of {steps}", state.step))];
    if let Some((step, value)) = state.best {
        let measure = exp
            .value(&["train", "select"])
            .and_then(|select| select.as_str());
        let measure = measure.unwrap_or("value");
        facts.push((
            "Best in validation",
            format!("step {step}, {measure} {value:.3}"),
        ));
    }
    Ok(facts)
}

/// The bottleneck, adversaries and supervision of `disentangle`, from its configuration.
fn between(exp: &ExpFolder) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let words = |value: &toml::Value, key: &str| {
        let word = value.get(key).and_then(|word| word.as_str())?;
        Some(word.replace('_', " "))
    };
    let bottleneck = exp.value(&["method", "model", "phonetic_encoder", "bottleneck"]);
    if let Some(kind) = bottleneck.and_then(|bottleneck| words(bottleneck, "kind")) {
        facts.push(("Bottleneck", kind));
    }
    let adversaries = exp
        .value(&["method", "adversaries"])
        .and_then(|all| all.as_array());
    for adversary in adversaries.into_iter().flatten() {
        if let (Some(input), Some(update)) = (words(adversary, "input"), words(adversary, "update"))
        {
            facts.push(("Adversary", format!("input {input}, update {update}")));
        }
    }
    let weight = exp
        .value(&["method", "label_weight"])
        .and_then(|weight| weight.as_float());
    let labels = exp
        .value(&["data", "labels"])
        .and_then(|labels| labels.as_str());
    if let (Some(weight), Some(labels)) = (weight, labels)
        && exp.method() == "disentangle"
    {
        let used = if weight > 0.0 { labels } else { "none" };
        facts.push(("Supervision", used.replace('_', " ")));
    }
    facts
}

/// An image source as a line.
fn source_name(source: &toml::Value) -> String {
    let of = |key: &str| Some(source.get(key)?.as_str()?.to_string());
    let named = of("images").or_else(|| of("path"));
    named.unwrap_or_else(|| of("kind").unwrap_or_else(|| "?".into()))
}

/// Results of probes, with chance and the same probes of raw features.
fn probes(exp: &ExpFolder, html: &mut Html) -> Result<()> {
    let mut files = exp.files("", "probe", ".json")?;
    files.extend(exp.files("known", "probe", ".json")?);
    if files.is_empty() {
        return Ok(());
    }
    let baseline = Baseline::read(exp, &files)?;
    let mut rows: Vec<(Vec<String>, Picture)> = Vec::new();
    for file in &files {
        for result in read_results(&exp.path().join(file))? {
            let raw = baseline.of(file, result.target);
            rows.push((row(file, &result, raw), strip(&result, raw)));
        }
    }
    let cells: Vec<Vec<Cell>> = rows.iter().map(with_strip).collect();
    html.words("h3", "Probes");
    html.table_of(
        "Accuracy of the strongest probe on test utterances",
        &[
            "representation",
            "target",
            "0 to 100 %",
            "accuracy",
            "95 % interval",
            "chance",
            BASELINE,
            "bits",
            "probe",
            "train / test utterances",
        ],
        &cells,
    );
    html.note(&format!(
        "In the pictures the disc is the accuracy, the bar its 95 % interval, the thin line chance, and the diamond the \
         accuracy of the same probes on raw features ({BASELINE}){}. Bits are the information per label, of the entropy of \
         the labels.",
        match baseline.files.is_empty() && baseline.own.is_empty() {
            true => ", which are missing: there is neither a representation of that name here nor ../log-mel_0",
            false => "",
        }
    ));
    html.command(&command_line(results_command(exp, &files, &baseline)));
    Ok(())
}

/// A row with its picture before the accuracy.
fn with_strip((texts, strip): &(Vec<String>, Picture)) -> Vec<Cell<'_>> {
    let mut cells: Vec<Cell> = texts.iter().map(|text| Cell::Text(text)).collect();
    cells.insert(2, Cell::Picture(strip));
    cells
}

/// Results on raw features: of the baseline's folder, by the name of their file, and of the representation of that name in the
/// experiment's own files.
struct Baseline {
    files: Vec<(String, Vec<ProbeResult>)>,
    own: Vec<ProbeResult>,
}

impl Baseline {
    fn read(exp: &ExpFolder, names: &[String]) -> Result<Self> {
        let there = names
            .iter()
            .filter_map(|name| Some((name, exp.of_baseline(name)?)));
        let files = there.map(|(name, path)| Ok((name.clone(), read_results(&path)?)));
        let mut own = Vec::new();
        for name in names {
            own.extend(read_results(&exp.path().join(name))?);
        }
        own.retain(|result| result.representation == BASELINE);
        Ok(Self {
            files: files.collect::<Result<_>>()?,
            own,
        })
    }

    /// Accuracy on this target: from the file of the same name, or else from any. Converted speech has no file of raw features,
    /// for example.
    fn of(&self, file: &str, target: Target) -> Option<f64> {
        let same = self.files.iter().filter(|(name, _)| name == file);
        let beside = same.chain(&self.files).flat_map(|(_, results)| results);
        let results = self.own.iter().chain(beside);
        let mut own = results.filter(|result| result.target == target);
        own.next().map(|result| result.accuracy)
    }
}

fn row(file: &str, result: &ProbeResult, raw: Option<f64>) -> Vec<String> {
    let bits = match result.entropy > 0.0 {
        true => format!("{:.2} / {:.2}", result.bits, result.entropy),
        false => "-".into(),
    };
    // The name in files of earlier versions.
    let name = match result.representation.as_str() {
        "swap" => "conversion",
        name => name,
    };
    // Recipes with unseen speakers have the results on training speakers in a folder of their own.
    let representation = match file.strip_prefix("known/") {
        Some(_) => format!("{name} (training speakers)"),
        None => name.to_string(),
    };
    vec![
        representation,
        format!("{:?}", result.target).to_lowercase(),
        format!("{:.3}", result.accuracy),
        format!("{:.3} - {:.3}", result.interval.0, result.interval.1),
        format!("{:.3}", result.chance),
        raw.map_or("-".into(), |raw| format!("{raw:.3}")),
        bits,
        format!("{:?}", result.probe).to_lowercase(),
        format!("{} / {}", result.utterances.0, result.utterances.1),
    ]
}

/// `unbraid eval results` of the same files.
fn results_command(exp: &ExpFolder, files: &[String], baseline: &Baseline) -> Vec<String> {
    let list = |paths: Vec<String>| paths.join(",");
    let own = files.iter().map(|file| exp.path().join(file));
    let own = list(own.map(|path| path.display().to_string()).collect());
    let mut words = vec!["unbraid".to_string(), "eval".into(), "results".into()];
    let raw = baseline
        .files
        .iter()
        .filter_map(|(name, _)| exp.of_baseline(name));
    let raw: Vec<String> = raw.map(|path| path.display().to_string()).collect();
    if !raw.is_empty() {
        words.push(format!("{BASELINE}={}", list(raw)));
    }
    words.push(format!("{}={own}", exp.configuration()));
    words
}

const INK: Colour = Colour([34, 34, 34, 255]);
const GREY: Colour = Colour([120, 120, 120, 255]);
const PALE: Colour = Colour([225, 225, 225, 255]);
const BLUE: Colour = Colour([0, 114, 178, 255]);
const ORANGE: Colour = Colour([213, 94, 0, 255]);

/// An accuracy on a scale from 0 to 100 %, with interval, chance and raw features.
fn strip(result: &ProbeResult, raw: Option<f64>) -> Picture {
    const MIDDLE: f64 = 9.0;
    let at = |share: f64| 6.0 + 140.0 * share.clamp(0.0, 1.0);
    let bar = |from: f64, to: f64, height: f64, fill| Shape::Rectangle {
        at: (from, MIDDLE - height / 2.0),
        size: ((to - from).max(1.0), height),
        fill,
    };
    let chance = at(result.chance);
    let mut shapes = vec![
        bar(at(0.0), at(1.0), 2.0, PALE),
        bar(at(result.interval.0), at(result.interval.1), 6.0, BLUE),
        bar(chance - 0.75, chance + 0.75, 16.0, GREY),
    ];
    if let Some(raw) = raw {
        let (x, r) = (at(raw), 5.5);
        let corners = [
            (x, MIDDLE - r),
            (x + r, MIDDLE),
            (x, MIDDLE + r),
            (x - r, MIDDLE),
        ];
        shapes.push(Shape::Area {
            points: corners.to_vec(),
            fill: ORANGE,
        });
    }
    shapes.push(Shape::Dots {
        points: vec![(at(result.accuracy), MIDDLE)],
        radius: 4.5,
        fill: INK,
    });
    let raw = raw.map_or(String::new(), |raw| format!(", raw features {raw:.3}"));
    Picture {
        width: 152,
        height: 18,
        title: format!(
            "accuracy {:.3}, chance {:.3}{raw}",
            result.accuracy, result.chance
        ),
        shapes,
    }
}

/// The results of `unbraid verify score --out`, without those of calibration.
#[derive(Debug, Deserialize)]
struct Verified {
    targets: usize,
    nontargets: usize,
    eer: f64,
    min_dcf_01: f64,
    min_dcf_05: f64,
}

fn verification(exp: &ExpFolder, data: Option<&TestSet>, html: &mut Html) -> Result<()> {
    let files = exp.files("", "eer_", ".json")?;
    if files.is_empty() {
        return Ok(());
    }
    let header = [
        "embeddings",
        "EER %",
        "chance %",
        "minDCF(0.01)",
        "minDCF(0.05)",
        "targets",
        "nontargets",
    ];
    let mut table = Table::new(&header);
    for file in &files {
        let found: Verified =
            json::read(exp.path().join(file), "what unbraid verify score writes")?;
        table.row(vec![
            name_of(file, "eer_", ".json").to_string(),
            format!("{:.2}", 100.0 * found.eer),
            "50".into(),
            format!("{:.3}", found.min_dcf_01),
            format!("{:.3}", found.min_dcf_05),
            found.targets.to_string(),
            found.nontargets.to_string(),
        ]);
    }
    html.words("h3", "Verification");
    html.table(
        "Speaker verification trials; a constant decision has a minDCF of 1",
        &table,
    );
    let commands = files.iter().map(|file| score_command(exp, data, file));
    html.command(&commands.collect::<Vec<_>>().join("\n"));
    Ok(())
}

/// A file's name without its prefix and suffix.
pub(super) fn name_of<'a>(file: &'a str, begin: &str, end: &str) -> &'a str {
    let file = file.strip_prefix(begin).unwrap_or(file);
    file.strip_suffix(end).unwrap_or(file)
}

/// The test set's data directory, or its name in recipes.
fn data_path(data: Option<&TestSet>) -> String {
    data.map_or("data/test".into(), |data| {
        data.dir.path().display().to_string()
    })
}

/// The command of recipes: with the vectors of a representation, or the means of its matrices.
fn score_command(exp: &ExpFolder, data: Option<&TestSet>, file: &str) -> String {
    let name = name_of(file, "eer_", ".json");
    let set = data.map_or("test", TestSet::name);
    let of_set = name.strip_suffix(&format!("_{set}")).unwrap_or(name);
    let vectors = [
        format!("mean_{of_set}_{set}.scp"),
        format!("{of_set}_{set}.scp"),
    ];
    let vectors = vectors.iter().find(|name| exp.file(name).is_some());
    let vectors = vectors.map_or("EMBEDDINGS.scp", |name| name);
    let path = |name: &str| exp.path().join(name).display().to_string();
    command_line([
        "unbraid",
        "verify",
        "score",
        "--trials",
        &format!("{}/trials", data_path(data)),
        "--out",
        &path(&format!("eer_{name}")),
        &format!("scp:{}", path(vectors)),
    ])
}

/// The present name of a column, which tables of earlier versions may have under another name.
fn present_name(column: &str) -> &str {
    match column {
        "strand" => "representation",
        other => other,
    }
}

/// The table of `unbraid eval abx`, below that of raw features.
fn abx(exp: &ExpFolder, data: Option<&TestSet>, html: &mut Html) -> Result<()> {
    let Some(path) = exp.file("abx.tsv") else {
        return Ok(());
    };
    let raw = exp.of_baseline("abx.tsv");
    let mut table = Table::new(&[
        "representation",
        "on",
        "within %",
        "within 95%",
        "across %",
        "across 95%",
        "chance %",
        "items",
    ]);
    for path in raw.iter().chain([&path]) {
        let text = read_text(path)?;
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or("").split('\t').collect();
        for (index, line) in lines.enumerate() {
            let cells: Vec<&str> = line.split('\t').collect();
            let found = |name: &str| {
                let column = header
                    .iter()
                    .position(|column| present_name(column) == name);
                column
                    .and_then(|column| cells.get(column))
                    .map(|cell| cell.to_string())
            };
            let of = |name: &str| {
                found(name).ok_or_else(|| {
                    let expected = format!("a column '{name}', as unbraid eval abx writes");
                    Error::line(path, index + 2, expected, format!("'{line}'"))
                })
            };
            // Files of earlier versions have none.
            let interval = |name: &str| found(name).unwrap_or("-".into());
            table.row(vec![
                of("representation")?,
                of("on")?,
                of("within %")?,
                interval("within 95%"),
                of("across %")?,
                interval("across 95%"),
                "50".into(),
                of("items")?,
            ]);
        }
    }
    html.words("h3", "ABX errors");
    html.table(
        "ABX errors within a speaker and across speakers, with bootstrap intervals over speakers; lower is better",
        &table,
    );
    html.command(&abx_command(exp, data)?);
    Ok(())
}

/// The command of the table, with the options of `abx.json`; the rest is as in recipes.
fn abx_command(exp: &ExpFolder, data: Option<&TestSet>) -> Result<String> {
    #[derive(Deserialize)]
    struct Report {
        #[serde(alias = "strand")]
        representation: String,
        phones: Option<Phones>,
    }
    #[derive(Deserialize)]
    struct Phones {
        #[serde(alias = "ctm")]
        alignments: String,
        frame_shift_ms: f64,
        in_context: bool,
    }
    let set = data.map_or("test", TestSet::name);
    let mut words = vec![
        "unbraid".to_string(),
        "eval".into(),
        "abx".into(),
        data_path(data),
    ];
    let reports: Vec<Report> = match exp.file("abx.json") {
        Some(path) => json::read(&path, "what unbraid eval abx writes")?,
        None => Vec::new(),
    };
    if let Some(phones) = reports.iter().find_map(|report| report.phones.as_ref()) {
        words.extend(["--alignments".into(), phones.alignments.clone()]);
        words.extend(["--frame-shift-ms".into(), phones.frame_shift_ms.to_string()]);
        if !phones.in_context {
            words.push("--without-context".into());
        }
    }
    for report in &reports {
        let scp = exp
            .path()
            .join(format!("{}_{set}.scp", report.representation));
        words.extend([
            "--representation".into(),
            format!("{}={}", report.representation, scp.display()),
        ]);
    }
    words.extend(["--out".into(), exp.path().join("abx").display().to_string()]);
    Ok(command_line(words))
}

/// Scores of an image method, each with chance, lower bounds and baselines.
fn images(exp: &ExpFolder, html: &mut Html) -> Result<()> {
    let Some(path) = exp.file("scores.json") else {
        return Ok(());
    };
    let report = ScoreReport::read(&path)?;
    let mut table = Table::new(&["set", "score", "value", "beside it"]);
    for score in &report.scores {
        let beside = score.beside.iter();
        let beside = beside.map(|(name, value)| format!("{name} {}", significant(*value)));
        table.row(vec![
            score.set.clone(),
            score.name.clone(),
            significant(score.value),
            beside.collect::<Vec<_>>().join(" · "),
        ]);
    }
    html.words("h3", "Scores");
    html.table(
        "On the test set, with chance, lower bounds and baselines",
        &table,
    );
    let file = format!("{}={}", exp.configuration(), path.display());
    html.command(&command_line(["unbraid", "image", "results", &file]));
    Ok(())
}

/// As `unbraid image evaluate` prints it.
fn significant(value: f64) -> String {
    format!("{value:.4}")
}
