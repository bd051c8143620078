//! Files of items for ABX as of libri-light and ZeroSpeech (`#file onset offset #phone prev-phone next-phone speaker`), and
//! alignments with the first four of these columns, as of discophon. Columns are separated by white space and named in the
//! first line, in any order.

use std::path::Path;

use super::{PhonesByUtterance, TimedPhone};
use crate::error::{Error, Result};
use crate::io::lines::read_text;

/// A phone in its context.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The utterance.
    pub utterance: String,
    /// The phone and its time; of a triphone, the time of all three.
    pub phone: TimedPhone<String>,
    /// The phones before and after.
    pub neighbours: [String; 2],
    /// The speaker.
    pub speaker: String,
}

/// Whether a text has the head of such a file.
pub(super) fn is_item(text: &str) -> bool {
    text.lines()
        .next()
        .is_some_and(|line| line.split_ascii_whitespace().any(|name| name == "#file"))
}

const PLACE: [&str; 4] = ["#file", "onset", "offset", "#phone"];
const CONTEXT: [&str; 3] = ["prev-phone", "next-phone", "speaker"];

/// Reads a file of items with contexts and speakers.
///
/// # Errors
/// [`Error::Io`]; [`Error::Line`] for missing columns and malformed rows.
pub fn read_items(path: &Path) -> Result<Vec<Item>> {
    let names: Vec<&str> = PLACE.into_iter().chain(CONTEXT).collect();
    let mut items = Vec::new();
    rows(path, &read_text(path)?, &names, |fields, phone| {
        items.push(Item {
            utterance: fields[0].to_string(),
            phone,
            neighbours: [fields[4].to_string(), fields[5].to_string()],
            speaker: fields[6].to_string(),
        });
    })?;
    Ok(items)
}

/// The phones of each utterance, in the order of their times.
///
/// # Errors
/// As [`read_items`], which needs more columns; [`Error::Key`] for phones that overlap.
pub(super) fn parse_alignment(path: &Path, text: &str) -> Result<PhonesByUtterance<String>> {
    let mut phones: PhonesByUtterance<String> = PhonesByUtterance::new();
    rows(path, text, &PLACE, |fields, phone| {
        phones.entry(fields[0].to_string()).or_default().push(phone);
    })?;
    for (utterance, phones) in &mut phones {
        phones.sort_by(|a, b| a.start.total_cmp(&b.start));
        let end = |phone: &TimedPhone<String>| phone.start + phone.duration;
        let overlap = phones
            .windows(2)
            .find(|pair| pair[1].start < end(&pair[0]) - 1e-6);
        if let Some([a, b]) = overlap {
            let expected = "phones one after another, as items of triphones are not";
            let found = format!(
                "'{}' to {:.3} and '{}' from {:.3}",
                a.phone,
                end(a),
                b.phone,
                b.start
            );
            return Err(Error::key(path, utterance, expected, found));
        }
    }
    Ok(phones)
}

/// Calls `visit` for each row with the fields of these columns, the first four of which are [`PLACE`].
fn rows(
    path: &Path,
    text: &str,
    names: &[&str],
    mut visit: impl FnMut(&[&str], TimedPhone<String>),
) -> Result<()> {
    let head = text.lines().next().unwrap_or_default();
    let columns: Vec<&str> = head.split_ascii_whitespace().collect();
    let places = names
        .iter()
        .map(|name| columns.iter().position(|column| column == name));
    let Some(places) = places.collect::<Option<Vec<usize>>>() else {
        let (last, others) = names.split_last().unwrap_or((&"", &[]));
        let expected = format!("columns {} and {last}", others.join(", "));
        return Err(Error::line(path, 1, expected, format!("'{head}'")));
    };
    for (line, row) in (1..).zip(text.lines()).skip(1) {
        let cells: Vec<&str> = row.split_ascii_whitespace().collect();
        if cells.len() != columns.len() {
            let expected = format!("{} columns", columns.len());
            return Err(Error::line(path, line, expected, cells.len().to_string()));
        }
        let fields: Vec<&str> = places.iter().map(|&place| cells[place]).collect();
        let times = super::seconds(fields[1]).zip(super::seconds(fields[2]));
        let Some((start, end)) = times.filter(|(start, end)| start < end) else {
            let expected = "onset and offset in seconds, the onset first";
            let found = format!("'{}' and '{}'", fields[1], fields[2]);
            return Err(Error::line(path, line, expected, found));
        };
        let phone = fields[3].to_string();
        visit(
            &fields,
            TimedPhone {
                start,
                duration: end - start,
                phone,
            },
        );
    }
    Ok(())
}
