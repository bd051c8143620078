//! `segments`: the parts of recordings that are utterances.

use std::path::Path;

use super::table::Table;
use crate::error::{Error, Result};
use crate::io::lines::Entry;

/// An utterance's position in its recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Its recording, a key of `wav.scp`.
    pub recording: String,
    /// Start in seconds, from 0.
    pub start: f64,
    /// End in seconds, after `start`; infinite where the list has -1, the end of the recording.
    pub end: f64,
}

impl Segment {
    /// Parses the value of a line, `recording start end`.
    ///
    /// # Errors
    /// [`Error::Line`] for other columns, times that are no finite numbers, or an end that is not after the start.
    pub fn parse(path: &Path, entry: &Entry) -> Result<Self> {
        let expected = "utterance, recording, start from 0 and a later end in seconds, or -1";
        Self::of(&entry.value).ok_or_else(|| {
            let found = format!("'{} {}'", entry.key, entry.value);
            Error::line(path, entry.line, expected, found)
        })
    }

    fn of(value: &str) -> Option<Self> {
        let columns: Vec<&str> = value.split_ascii_whitespace().collect();
        let [recording, start, end] = columns[..] else {
            return None;
        };
        let seconds = |text: &str| text.parse::<f64>().ok().filter(|time| time.is_finite());
        let end = match seconds(end)? {
            -1.0 => f64::INFINITY,
            end => end,
        };
        let start = seconds(start).filter(|&start| start >= 0.0 && end > start)?;
        Some(Self {
            recording: recording.to_string(),
            start,
            end,
        })
    }
}

/// The segments of a data directory. An invalid line is kept, so that only its utterance fails.
#[derive(Debug, Clone)]
pub struct Segments {
    table: Table,
    segments: Vec<Option<Segment>>,
}

impl Segments {
    /// Reads `segments`.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let table = Table::read(path)?;
        let entries = table.entries().iter();
        let segments = entries.map(|entry| Segment::of(&entry.value)).collect();
        Ok(Self { table, segments })
    }

    /// The file that they were read from.
    pub fn path(&self) -> &Path {
        self.table.path()
    }

    /// The segment of an utterance.
    pub fn get(&self, utterance: &str) -> Option<&Segment> {
        let at = self.table.position(utterance)?;
        self.segments[at].as_ref()
    }

    /// The lines in the file's order, with their segments.
    pub fn iter(&self) -> impl Iterator<Item = (&Entry, Option<&Segment>)> {
        let segments = self.segments.iter().map(Option::as_ref);
        self.table.entries().iter().zip(segments)
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}
