//! Kaldi's CTM: `utterance channel start duration phone` per line; lines that begin with `;;` are comments.

use std::path::Path;

use super::{PhonesByUtterance, TimedPhone};
use crate::error::{Error, Result};
use crate::io::lines::parse as parse_lines;

/// The phones of a CTM.
///
/// # Errors
/// [`Error::Line`] for a line of another form.
pub(super) fn parse(path: &Path, text: &str) -> Result<PhonesByUtterance<String>> {
    let mut phones: PhonesByUtterance<String> = PhonesByUtterance::new();
    for entry in parse_lines(path, text.as_bytes())? {
        if entry.key.starts_with(";;") {
            continue;
        }
        let wrong = |expected: &str| {
            let found = format!("'{}'", entry.value);
            Err(Error::line(path, entry.line, expected, found))
        };
        let fields: Vec<&str> = entry.value.split_ascii_whitespace().collect();
        let [_channel, start, duration, phone, ..] = fields[..] else {
            return wrong("'utterance channel start duration phone'");
        };
        let (Some(start), Some(duration)) = (super::seconds(start), super::seconds(duration))
        else {
            return wrong("start and duration in seconds, from 0");
        };
        phones.entry(entry.key).or_default().push(TimedPhone {
            start,
            duration,
            phone: phone.to_string(),
        });
    }
    Ok(phones)
}
