//! `segments`: the parts of recordings that are utterances.

use std::path::Path;

use super::table::Table;
use crate::error::{Error, Result};
use crate::io::lines::Entry;

/// One utterance's place in its recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Its recording, a key of `wav.scp`.
    pub recording: String,
    /// Where it begins, in seconds, from 0.
    pub start: f64,
    /// Where it ends, in seconds, after `start`.
    pub end: f64,
}

impl Segment {
    /// Parses the value of a line, `recording start end`.
    ///
    /// # Errors
    /// [`Error::Line`] for other columns, times that are no finite numbers or an end not after the start.
    pub fn parse(path: &Path, entry: &Entry) -> Result<Self> {
        let expected = "utterance, recording, start from 0 and a later end in seconds";
        let refuse = || Error::line(path, entry.line, expected, format!("'{}'", entry.value));
        let columns: Vec<&str> = entry.value.split_ascii_whitespace().collect();
        let [recording, start, end] = columns[..] else {
            return Err(refuse());
        };
        let seconds = |text: &str| text.parse::<f64>().ok().filter(|time| time.is_finite());
        match (seconds(start), seconds(end)) {
            (Some(start), Some(end)) if start >= 0.0 && end > start => Ok(Self {
                recording: recording.to_string(),
                start,
                end,
            }),
            _ => Err(refuse()),
        }
    }
}

/// The segments of a data directory.
#[derive(Debug, Clone)]
pub struct Segments {
    table: Table,
    segments: Vec<Segment>,
}

impl Segments {
    /// Reads `segments`.
    ///
    /// # Errors
    /// As [`Table::read`] and [`Segment::parse`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let table = Table::read(path)?;
        let segments = table
            .entries()
            .iter()
            .map(|entry| Segment::parse(table.path(), entry))
            .collect::<Result<_>>()?;
        Ok(Self { table, segments })
    }

    /// The file that they were read from.
    pub fn path(&self) -> &Path {
        self.table.path()
    }

    /// The segment of an utterance.
    pub fn get(&self, utterance: &str) -> Option<&Segment> {
        self.table.position(utterance).map(|at| &self.segments[at])
    }

    /// Utterances and their segments, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Segment)> {
        let keys = self.table.entries().iter().map(|entry| entry.key.as_str());
        keys.zip(&self.segments)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}
