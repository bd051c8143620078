//! Attacks as tables, and as a curve: how often speakers are identified, over the utterances that the attacker has.

use super::chart::{Axis, Chart, Curve, Point};
use super::table::{Table, interval};
use crate::eval::attack::measures::Identified;
use crate::eval::attack::{AttackReport, AttackRow};

/// A curve per representation, of its strongest attacker; places to the right are numbers of utterances.
pub fn chart(report: &AttackReport) -> Chart {
    let headlines = || {
        report
            .rows
            .iter()
            .filter(|row| row.headline && row.identified.is_some())
    };
    let mut places: Vec<String> = Vec::new();
    for row in headlines() {
        if !places.contains(&row.utterances) {
            places.push(row.utterances.clone());
        }
    }
    let last = places.len().saturating_sub(1).max(1) as f64;
    let mut curves: Vec<Curve> = Vec::new();
    for row in headlines() {
        let (Some(ranks), Some(place)) = (
            row.identified,
            places.iter().position(|p| *p == row.utterances),
        ) else {
            continue;
        };
        let width = row
            .intervals
            .identification
            .map_or(0.0, |(low, high)| high - low);
        let point = Point {
            at: (place as f64 / last, ranks.identification),
            spread: (0.0, width / 2.0),
            label: String::new(),
        };
        match curves
            .iter_mut()
            .find(|curve| curve.name == row.representation)
        {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                name: row.representation.clone(),
                points: vec![point],
            }),
        }
    }
    Chart {
        title: "Speakers identified by an attacker".into(),
        subtitle: [
            format!(
                "Strongest attacker on {} held-out training speakers; {} test speakers, {} draws.",
                report.dev_speakers, report.test_speakers, report.options.draws
            ),
            "Bars are as long as the 95 % bootstrap interval over test speakers. Best: low.".into(),
        ],
        x: Axis {
            label: "utterances averaged on each side".into(),
            chance: 0.0,
            places,
        },
        y: Axis {
            label: "identification rate".into(),
            chance: report.chance.identification,
            places: Vec::new(),
        },
        curves,
    }
}

/// A column: its name, whether only the file has it, and its cell.
type Column = (&'static str, bool, fn(&AttackRow, &AttackReport) -> String);

const COLUMNS: &[Column] = &[
    ("representation", false, |row, _| row.representation.clone()),
    ("utterances", false, |row, _| row.utterances.clone()),
    ("attacker", false, |row, _| row.attacker.clone()),
    ("strongest", true, |row, _| {
        if row.headline { "yes" } else { "no" }.into()
    }),
    ("identified", false, |row, _| {
        ranks(row, |ranks| ranks.identification)
    }),
    ("95% interval", false, |row, _| {
        interval(row.intervals.identification, 3)
    }),
    ("chance", false, |row, report| {
        number(row.identified.map(|_| report.chance.identification))
    }),
    ("worst speaker", false, |row, _| {
        let worst = row.worst.as_ref();
        worst.map_or("-".into(), |worst| {
            format!("{:.3} {}", worst.identification, worst.speaker)
        })
    }),
    ("linkability", false, |row, _| {
        ranks(row, |ranks| ranks.linkability)
    }),
    ("singled out", false, |row, _| {
        number(row.identified.and_then(|ranks| ranks.singling_out))
    }),
    ("ROCCH-EER", false, |row, _| {
        number(Some(row.detected.rocch_eer))
    }),
    ("95% interval", false, |row, _| {
        interval(row.intervals.rocch_eer, 3)
    }),
    ("TPR", false, |row, _| number(Some(row.detected.tpr))),
    ("D_sys", false, |row, _| number(row.detected.d_sys)),
    ("ZEBRA", false, |row, _| {
        format!("{:.3} {}", row.detected.zebra_bits, row.detected.zebra_tag)
    }),
    ("ZEBRA worst", true, |row, _| {
        number(Some(row.detected.zebra_worst))
    }),
    ("SRD", false, |row, _| ranks(row, |ranks| ranks.srd_mean)),
    ("SRD max", true, |row, _| ranks(row, |ranks| ranks.srd_max)),
    ("LID", false, |row, _| ranks(row, |ranks| ranks.lid_mean)),
    ("LID positive", true, |row, _| {
        ranks(row, |ranks| ranks.lid_positive)
    }),
    ("LID max", true, |row, _| ranks(row, |ranks| ranks.lid_max)),
    ("eps_max", false, |row, _| ranks(row, |ranks| ranks.eps_max)),
];

/// A row per attack with all columns, or per strongest attack with those that fit a screen.
pub fn table(report: &AttackReport, all: bool) -> Table {
    let columns = || COLUMNS.iter().filter(|(_, only_file, _)| all || !only_file);
    let mut table = Table::new(&columns().map(|(name, _, _)| *name).collect::<Vec<_>>());
    for row in report.rows.iter().filter(|row| all || row.headline) {
        table.row(columns().map(|(_, _, cell)| cell(row, report)).collect());
    }
    table
}

fn ranks(row: &AttackRow, value: fn(&Identified) -> f64) -> String {
    number(row.identified.as_ref().map(value))
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.3}"))
}

/// The identification rate of every attacker, a column per number of utterances.
pub fn comparison(report: &AttackReport) -> Table {
    let mut lengths: Vec<&str> = Vec::new();
    let mut attacks: Vec<(&str, &str)> = Vec::new();
    let of_draws = || report.rows.iter().filter(|row| row.identified.is_some());
    for row in of_draws() {
        if !lengths.contains(&row.utterances.as_str()) {
            lengths.push(&row.utterances);
        }
        let attack = (row.representation.as_str(), row.attacker.as_str());
        if !attacks.contains(&attack) {
            attacks.push(attack);
        }
    }
    let header = [vec!["identified by", "of"], lengths.clone()].concat();
    let mut table = Table::new(&header);
    for (representation, attacker) in attacks {
        let at = |length: &&str| {
            let of = |row: &&AttackRow| {
                (
                    row.representation.as_str(),
                    row.attacker.as_str(),
                    row.utterances.as_str(),
                ) == (representation, attacker, *length)
            };
            let row = of_draws().find(of);
            let mark = if row.is_some_and(|row| row.headline) {
                " *"
            } else {
                ""
            };
            let rate = row.and_then(|row| row.identified.map(|ranks| ranks.identification));
            number(rate) + mark
        };
        let rates = lengths.iter().map(at);
        table.row(
            [attacker.to_string(), representation.to_string()]
                .into_iter()
                .chain(rates)
                .collect(),
        );
    }
    table
}

/// What the tables rest on, as a line.
pub fn summary(report: &AttackReport) -> String {
    format!(
        "* strongest on {} of {} training speakers; {} test speakers, {} draws\n",
        report.dev_speakers,
        report.dev_speakers + report.train_speakers,
        report.test_speakers,
        report.options.draws
    )
}
