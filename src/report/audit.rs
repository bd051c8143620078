//! An audit as one table and one page.

use super::attack::{chart, comparison, summary};
use super::page::{Chapter, Html, Page, Section};
use super::table::{Table, interval};
use crate::eval::audit::{AuditReport, AuditRow, Subject};

/// The subjects, with what a page says of them.
const SUBJECTS: [(Subject, &str, &str); 3] = [
    (
        Subject::Speaker,
        "Who speaks",
        "What probes and attackers find of the speaker. Phonetic codes without any speaker lie at chance.",
    ),
    (
        Subject::Content,
        "What is said",
        "What is left of words and phones. Little leakage is worth nothing without it.",
    ),
    (
        Subject::Factors,
        "Where it lies",
        "Whether speaker and text have dimensions of their own.",
    ),
];

const COLUMNS: [&str; 6] = [
    "measure",
    "representation",
    "value",
    "95% interval",
    "chance",
    "by",
];

/// A row per measure and representation, then what is missing.
pub fn table(report: &AuditReport) -> Table {
    let mut table = Table::new(&COLUMNS);
    report.rows.iter().for_each(|row| table.row(cells(row)));
    for missing in &report.missing {
        let dash = || "-".to_string();
        let why = missing.why.clone();
        table.row(vec![
            missing.what.clone(),
            dash(),
            dash(),
            dash(),
            dash(),
            why,
        ]);
    }
    table
}

fn cells(row: &AuditRow) -> Vec<String> {
    vec![
        row.measure.clone(),
        row.representation.clone(),
        format!("{:.3}", row.value),
        interval(row.interval, 3),
        row.chance
            .map_or("-".into(), |chance| format!("{chance:.3}")),
        row.by.clone(),
    ]
}

/// What was measured, in a line.
pub fn lead(report: &AuditReport) -> String {
    format!(
        "{}: {} utterances of {} speakers, {} frames of {} values, {} ms each.",
        report.data.features,
        report.utterances,
        report.speakers,
        report.frames,
        report.dims,
        report.data.frame_shift_ms
    )
}

/// The table in Markdown, with what it is of.
pub fn markdown(report: &AuditReport) -> String {
    let notes = report.notes.iter().map(|note| format!("- {note}\n"));
    format!(
        "# Audit of {}\n\n{}\n\n{}\n{}",
        report.data.name,
        lead(report),
        table(report).to_markdown(),
        notes.collect::<String>()
    )
}

/// The page.
pub fn page(report: &AuditReport) -> Page {
    let mut sections = Vec::new();
    for (subject, title, about) in SUBJECTS {
        let rows = || report.rows.iter().filter(|row| row.subject == subject);
        if rows().next().is_none() {
            continue;
        }
        let mut body = Html::default();
        body.paragraph(about);
        let mut table = Table::new(&COLUMNS);
        rows().for_each(|row| table.row(cells(row)));
        body.table(title, &table);
        sections.push(Section {
            title: title.into(),
            body,
        });
    }
    sections.extend(attack(report));
    sections.extend(notes(report));
    let missing = report.missing.iter();
    Page {
        title: format!("Audit of {}", report.data.name),
        lead: lead(report),
        chapters: vec![Chapter {
            title: None,
            sections,
        }],
        left_out: missing
            .map(|one| format!("{}: {}", one.what, one.why))
            .collect(),
        written_by: format!("Written by unbraid {}.", env!("CARGO_PKG_VERSION")),
    }
}

fn attack(report: &AuditReport) -> Option<Section> {
    let found = report.attack.as_ref()?;
    let mut body = Html::default();
    body.paragraph(
        "An attacker averages several utterances of a person on each side and names the person among speakers that the attacker \
         did not learn from. Half of the speakers were for learning. Random codes, words, phones and durations show what speakers \
         are found by without their voice.",
    );
    body.chart(&chart(found).svg(), summary(found).trim());
    body.table(
        "All attackers: identification rate over utterances",
        &comparison(found),
    );
    Some(Section {
        title: "Attack".into(),
        body,
    })
}

fn notes(report: &AuditReport) -> Option<Section> {
    if report.notes.is_empty() {
        return None;
    }
    let mut body = Html::default();
    report.notes.iter().for_each(|note| body.paragraph(note));
    Some(Section {
        title: "Notes".into(),
        body,
    })
}
