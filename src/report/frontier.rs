//! Retained content against speaker leakage: a table and a chart of probe accuracies, with one curve per method.

use serde::{Deserialize, Serialize};

use super::chart::{Axis, Chart, Curve, Point};
use super::summary::{Measured, SummaryRow, mean_deviation, spread, summarise};
use super::table::Table;
use crate::error::{Error, Result};
use crate::eval::probe::{ProbeResult, Target};

/// The representation and the targets of the trade-off.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontierOptions {
    /// The representation; of a method that has only one other (raw features), that one.
    pub representation: String,
    /// The target whose information should be removed.
    pub leakage: Target,
    /// The target whose information should be kept.
    pub content: Target,
    /// The name of the parameter that changes along a curve.
    pub parameter: String,
}

/// The runs of a method at one value of the parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The name of the method, one curve.
    pub method: String,
    /// The value of the parameter; none for a method without it.
    pub value: Option<f64>,
    /// The probe results of its runs.
    pub results: Vec<ProbeResult>,
}

/// One point of the frontier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontierPoint {
    /// The name of the method, one curve.
    pub method: String,
    /// Its place on the curve.
    pub value: Option<f64>,
    /// The representation.
    pub representation: String,
    /// Accuracies of the leakage probes, one per run.
    pub leakage: Vec<f64>,
    /// Accuracies of the content probes, one per run.
    pub content: Vec<f64>,
    /// Chance levels of leakage and content.
    pub chance: (f64, f64),
}

/// Points in the order of the methods, sorted by the parameter within a method.
///
/// # Errors
/// [`Error::Option`] naming the method for probes that are missing, or that were tested on another set (another
/// chance).
pub fn frontier(cells: &[Cell], options: &FrontierOptions) -> Result<Vec<FrontierPoint>> {
    let mut points: Vec<FrontierPoint> = Vec::new();
    for cell in cells {
        let point = point(cell, options)?;
        check_chance(&name(cell), points.first(), &point, options)?;
        points.push(point);
    }
    let order: Vec<&str> = cells.iter().map(|cell| cell.method.as_str()).collect();
    let place = |point: &FrontierPoint| order.iter().position(|&method| method == point.method);
    points.sort_by(|a, b| {
        let values = (a.value.unwrap_or(0.0), b.value.unwrap_or(0.0));
        place(a).cmp(&place(b)).then(values.0.total_cmp(&values.1))
    });
    Ok(points)
}

/// The largest difference of chance within one test set. For classes of frames it depends on the rate of the codes: by 0.008
/// between every frame and every eighth of speechocean762.
fn same_chance(target: Target) -> f64 {
    match target {
        Target::Frames => 0.01,
        _ => 0.005,
    }
}

/// Refuses a point of another test set than the first.
///
/// # Errors
/// [`Error::Option`] naming `name`.
pub fn check_chance(
    name: &str,
    first: Option<&FrontierPoint>,
    point: &FrontierPoint,
    options: &FrontierOptions,
) -> Result<()> {
    let Some(first) = first else { return Ok(()) };
    let alike = |target, a: f64, b: f64| (a - b).abs() <= same_chance(target);
    if alike(options.leakage, first.chance.0, point.chance.0)
        && alike(options.content, first.chance.1, point.chance.1)
    {
        return Ok(());
    }
    let expected = format!("probes of one test set, with chance {:?}", first.chance);
    Err(Error::option(name, expected, format!("{:?}", point.chance)))
}

fn name(cell: &Cell) -> String {
    match cell.value {
        Some(value) => format!("{}@{value}", cell.method),
        None => cell.method.clone(),
    }
}

fn point(cell: &Cell, options: &FrontierOptions) -> Result<FrontierPoint> {
    let rows = summarise(&cell.method, cell.results.iter().map(Measured::of_probe));
    let point = point_of_rows(&name(cell), &rows, options)?;
    Ok(FrontierPoint {
        method: cell.method.clone(),
        value: cell.value,
        ..point
    })
}

/// The point of a method without a parameter, from the rows of `unbraid eval results`.
///
/// # Errors
/// [`Error::Option`] naming the method for probes that are missing.
pub fn point_of_rows(
    method: &str,
    rows: &[SummaryRow],
    options: &FrontierOptions,
) -> Result<FrontierPoint> {
    // Those without a probe, such as random codes under attack, are no candidates.
    let probed = rows
        .iter()
        .filter(|row| row.measure == options.leakage.name());
    let mut representations: Vec<&str> = probed.map(|row| row.representation.as_str()).collect();
    representations.sort_unstable();
    representations.dedup();
    let representation = match &representations[..] {
        [only] => only,
        _ => options.representation.as_str(),
    };
    let row = |target: Target| -> Result<&SummaryRow> {
        let own = |row: &&SummaryRow| {
            row.representation == representation && row.measure == target.name()
        };
        rows.iter().find(own).ok_or_else(|| {
            let target = format!("{target:?}").to_lowercase();
            let expected = format!("a probe of {target} on representation '{representation}'");
            Error::option(
                method,
                expected,
                format!("representations {representations:?} without one"),
            )
        })
    };
    let (leakage, content) = (row(options.leakage)?, row(options.content)?);
    Ok(FrontierPoint {
        method: method.to_string(),
        value: None,
        representation: representation.to_string(),
        leakage: leakage.values.clone(),
        content: content.values.clone(),
        chance: (leakage.chance.unwrap_or(0.0), content.chance.unwrap_or(0.0)),
    })
}

/// One row per point.
pub fn table(points: &[FrontierPoint], options: &FrontierOptions) -> Table {
    let chance = points.first().map_or((0.0, 0.0), |point| point.chance);
    let column = |target: Target, chance: f64| {
        let target = format!("{target:?}").to_lowercase();
        format!("{target} (chance {chance:.3})")
    };
    let mut table = Table::new(&[
        "method",
        &options.parameter,
        "representation",
        &column(options.leakage, chance.0),
        &column(options.content, chance.1),
        "runs",
    ]);
    for point in points {
        table.row(vec![
            point.method.clone(),
            point.value.map_or("-".into(), |value| value.to_string()),
            point.representation.clone(),
            spread(&point.leakage),
            spread(&point.content),
            point.leakage.len().max(point.content.len()).to_string(),
        ]);
    }
    table
}

/// The chart: content over leakage, so that the upper left corner is best.
pub fn chart(points: &[FrontierPoint], options: &FrontierOptions) -> Chart {
    let chance = points.first().map_or((0.0, 0.0), |point| point.chance);
    let representation = match options.representation.as_str() {
        "phonetic" => "phonetic codes",
        "speaker" => "speaker embedding",
        other => other,
    };
    let axis = |target: Target, chance: f64| Axis {
        label: format!("{target:?} probe on the {representation}").to_lowercase(),
        chance,
        places: Vec::new(),
    };
    let mut curves: Vec<Curve> = Vec::new();
    for point in points {
        let (leakage, content) = (
            mean_deviation(&point.leakage),
            mean_deviation(&point.content),
        );
        let drawn = Point {
            at: (leakage.0, content.0),
            spread: (leakage.1, content.1),
            label: point.value.map_or(String::new(), |value| value.to_string()),
        };
        match curves.iter_mut().find(|curve| curve.name == point.method) {
            Some(curve) => curve.points.push(drawn),
            None => curves.push(Curve {
                name: point.method.clone(),
                points: vec![drawn],
            }),
        }
    }
    Chart {
        title: "Retained content against speaker leakage".into(),
        subtitle: [
            "Accuracy of fresh probes, mean and standard deviation over runs. Best: upper left."
                .into(),
            match points.iter().any(|point| point.value.is_some()) {
                true => format!("Numbers at points: {}.", options.parameter),
                false => String::new(),
            },
        ],
        x: axis(options.leakage, chance.0),
        y: axis(options.content, chance.1),
        curves,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::probe::Family;

    fn result(representation: &str, target: Target, accuracy: f64, chance: f64) -> ProbeResult {
        let json = serde_json::json!({
            "representation": representation, "target": target, "probe": Family::Linear, "accuracy": accuracy,
            "range": [accuracy, accuracy], "interval": [accuracy, accuracy], "chance": chance, "classes": 4,
            "utterances": [8, 8], "runs": [],
        });
        serde_json::from_value(json).unwrap()
    }

    fn cell(method: &str, value: Option<f64>, representation: &str, leakages: &[f64]) -> Cell {
        let both = |&leakage: &f64| {
            [
                result(representation, Target::Speaker, leakage, 0.25),
                result(representation, Target::Text, 0.9, 0.5),
            ]
        };
        Cell {
            method: method.into(),
            value,
            results: leakages.iter().flat_map(both).collect(),
        }
    }

    fn options() -> FrontierOptions {
        FrontierOptions {
            representation: "phonetic".into(),
            leakage: Target::Speaker,
            content: Target::Text,
            parameter: "lambda".into(),
        }
    }

    #[test]
    fn curves_run_along_the_parameter() {
        let cells = [
            cell("log-mel", None, "log-mel", &[0.99]),
            cell("alternating", Some(1.0), "phonetic", &[0.3, 0.5]),
            cell("alternating", Some(0.1), "phonetic", &[0.8]),
        ];
        let points = frontier(&cells, &options()).unwrap();
        assert_eq!(
            table(&points, &options()).to_tsv(),
            "method\tlambda\trepresentation\tspeaker (chance 0.250)\ttext (chance 0.500)\truns\n\
             log-mel\t-\tlog-mel\t0.990\t0.900\t1\n\
             alternating\t0.1\tphonetic\t0.800\t0.900\t1\n\
             alternating\t1\tphonetic\t0.400 ± 0.141\t0.900 ± 0.000\t2\n"
        );
        let chart = chart(&points, &options());
        assert_eq!(chart.curves.len(), 2);
        let curve = &chart.curves[1].points;
        assert_eq!((curve[0].at, curve[1].at), ((0.8, 0.9), (0.4, 0.9)));
        assert_eq!(curve[1].label, "1");
    }

    #[test]
    fn points_of_different_test_sets_are_refused() {
        let mut two = cell("a", None, "x", &[0.5]);
        two.results.push(result("y", Target::Speaker, 0.5, 0.25));
        let error = frontier(&[two], &options()).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "a: expected a probe of speaker on representation 'phonetic', found representations"
            ),
            "{error}"
        );
        let mut other = cell("b", Some(0.3), "phonetic", &[0.5]);
        other.results[0].chance = 0.1;
        let cells = [cell("a", None, "phonetic", &[0.5]), other];
        let error = frontier(&cells, &options()).unwrap_err().to_string();
        assert!(
            error.starts_with("b@0.3: expected probes of one test set"),
            "{error}"
        );
    }

    /// Codes of another rate have a slightly different chance; a different chance of words means another test set.
    #[test]
    fn only_the_chance_of_frames_may_differ() {
        let check = |content: Target, chance: f64| {
            let of = |method: &str, chance: f64| Cell {
                method: method.into(),
                value: None,
                results: vec![
                    result("phonetic", Target::Speaker, 0.5, 0.25),
                    result("phonetic", content, 0.9, chance),
                ],
            };
            let options = FrontierOptions {
                content,
                ..options()
            };
            frontier(&[of("a", 0.4225), of("b", chance)], &options)
        };
        assert!(check(Target::Frames, 0.4303).is_ok());
        assert!(check(Target::Frames, 0.4403).is_err());
        assert!(check(Target::Text, 0.4303).is_err());
    }
}
