//! Rows of the table, out of the results of measurements.

use serde::{Deserialize, Serialize};

use crate::eval::abx::AbxResult;
use crate::eval::attack::{AttackReport, AttackRow};
use crate::eval::factors::{Disentanglement, Spread, Spreads};
use crate::eval::probe::{ProbeResult, Target};
use crate::eval::units::UnitScores;

/// What a measure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Who speaks: what should be left of nothing in phonetic codes, and of all in speaker embeddings.
    Speaker,
    /// What is said.
    Content,
    /// Where each lies.
    Factors,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    /// What it is about.
    pub subject: Subject,
    /// The measure.
    pub measure: String,
    /// The representation.
    pub representation: String,
    /// Its value.
    pub value: f64,
    /// 95 %, over test utterances or test speakers.
    pub interval: Option<(f64, f64)>,
    /// What guessing gives.
    pub chance: Option<f64>,
    /// The probe, the attacker, or what was compared.
    pub by: String,
}

/// A measurement that was not made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Missing {
    /// What it would have been of.
    pub what: String,
    /// What is missing.
    pub why: String,
}

/// A row with no interval, chance or method.
fn row(subject: Subject, measure: impl Into<String>, representation: &str, value: f64) -> AuditRow {
    AuditRow {
        subject,
        measure: measure.into(),
        representation: representation.into(),
        value,
        interval: None,
        chance: None,
        by: String::new(),
    }
}

pub(super) fn of_probe(result: &ProbeResult) -> Vec<AuditRow> {
    let (subject, what) = match result.target {
        Target::Speaker => (Subject::Speaker, "speaker"),
        Target::Text => (Subject::Content, "word"),
        Target::Frames | Target::Phones => (Subject::Content, "phone"),
    };
    let by = format!("{:?}", result.probe).to_lowercase();
    let name = &result.representation;
    vec![
        AuditRow {
            interval: Some(result.interval),
            chance: Some(result.chance),
            by: by.clone(),
            ..row(subject, format!("{what} probe"), name, result.accuracy)
        },
        AuditRow {
            by: format!("{by}, of {:.2}", result.entropy),
            ..row(subject, format!("{what} bits"), name, result.bits)
        },
    ]
}

/// Of the strongest attackers: identification over numbers of utterances, then equal error rates.
pub(super) fn of_attack(report: &AttackReport) -> Vec<AuditRow> {
    let strongest: Vec<&AttackRow> = report.rows.iter().filter(|row| row.headline).collect();
    let mut lengths: Vec<&str> = Vec::new();
    for attack in &strongest {
        if !lengths.contains(&attack.utterances.as_str()) {
            lengths.push(&attack.utterances);
        }
    }
    let of = |rows: fn(&AttackRow, &AttackReport) -> Option<AuditRow>| {
        let mut found = Vec::new();
        for length in &lengths {
            let own = strongest.iter().filter(|row| row.utterances == *length);
            found.extend(own.filter_map(|row| rows(row, report)));
        }
        found
    };
    [of(identified), of(equal_errors)].concat()
}

/// A measure of an attack with several utterances.
fn from(measure: &str, attack: &AttackRow) -> String {
    match attack.utterances.as_str() {
        "1" => format!("{measure} from 1 utterance"),
        count => format!("{measure} from {count} utterances"),
    }
}

fn identified(attack: &AttackRow, report: &AttackReport) -> Option<AuditRow> {
    let worst = attack.worst.as_ref();
    let worst = worst.map_or(String::new(), |worst| {
        format!("; worst {} {:.3}", worst.speaker, worst.identification)
    });
    let measure = from("identified", attack);
    let value = attack.identified?.identification;
    Some(AuditRow {
        interval: attack.intervals.identification,
        chance: Some(report.chance.identification),
        by: attack.attacker.clone() + &worst,
        ..row(Subject::Speaker, measure, &attack.representation, value)
    })
}

fn equal_errors(attack: &AttackRow, report: &AttackReport) -> Option<AuditRow> {
    let (measure, value) = (from("EER", attack), attack.detected.rocch_eer);
    Some(AuditRow {
        interval: attack.intervals.rocch_eer,
        chance: Some(report.chance.rocch_eer),
        by: attack.attacker.clone(),
        ..row(Subject::Speaker, measure, &attack.representation, value)
    })
}

pub(super) fn of_abx(representation: &str, what: &str, result: &AbxResult) -> Vec<AuditRow> {
    let scores = [("within", &result.within), ("across", &result.across)];
    let found = scores.into_iter().filter_map(|(name, score)| {
        let score = score.as_ref()?;
        let measure = format!("{what} ABX error, {name} speakers");
        Some(AuditRow {
            interval: score.interval,
            chance: Some(0.5),
            by: format!("{} triples", score.triples),
            ..row(Subject::Content, measure, representation, score.error)
        })
    });
    found.collect()
}

pub(super) fn of_factors(representation: &str, scores: &Disentanglement) -> Vec<AuditRow> {
    let mut rows = Vec::new();
    for factor in &scores.factors {
        let by = format!("{} classes", factor.classes);
        let of = |spread: fn(&Spreads) -> Spread| factor.spreads.as_ref().map(spread);
        for (name, value, spread) in [
            ("MIG", factor.mig, of(|s| s.mig)),
            ("SAP", factor.sap, of(|s| s.sap)),
        ] {
            rows.push(AuditRow {
                by: by.clone(),
                interval: spread.map(|spread| spread.interval),
                chance: spread.map(|spread| spread.chance),
                ..row(
                    Subject::Factors,
                    format!("{name} of {}", factor.factor),
                    representation,
                    value,
                )
            });
        }
    }
    if let Some(value) = scores.disentanglement {
        let spread = scores.disentanglement_spread;
        rows.push(AuditRow {
            interval: spread.map(|spread| spread.interval),
            chance: spread.map(|spread| spread.chance),
            ..row(
                Subject::Factors,
                "DCI disentanglement",
                representation,
                value,
            )
        });
    }
    rows
}

/// Of units against phones, where there are any, and against speakers.
pub(super) fn of_units(
    (representation, units): (&str, &str),
    phones: Option<UnitScores>,
    speakers: Option<UnitScores>,
) -> Vec<AuditRow> {
    let mut rows = Vec::new();
    let by = |scores: &UnitScores| format!("{units}, of {:.2}", scores.phone_entropy);
    if let Some(scores) = speakers {
        rows.push(AuditRow {
            interval: scores.bits_interval,
            chance: Some(0.0),
            by: by(&scores),
            ..row(
                Subject::Speaker,
                "speaker bits of single units",
                representation,
                scores.bits,
            )
        });
    }
    if let Some(scores) = phones {
        rows.push(AuditRow {
            interval: scores.phone_purity_interval,
            chance: Some(scores.chance),
            by: units.into(),
            ..row(
                Subject::Content,
                "phone purity of units",
                representation,
                scores.phone_purity,
            )
        });
        rows.extend(scores.pnmi.map(|pnmi| AuditRow {
            interval: scores.pnmi_interval,
            chance: Some(0.0),
            by: units.into(),
            ..row(Subject::Content, "PNMI of units", representation, pnmi)
        }));
    }
    rows
}
