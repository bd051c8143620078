//! The picture of an attack: how often speakers are identified, over the utterances that the attacker has.

use super::chart::{Axis, Chart, Curve, Point};
use crate::eval::attack::AttackReport;

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
