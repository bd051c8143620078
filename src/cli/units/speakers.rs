//! Who speaks, by number.

use std::path::Path;

use crate::dataset::table::Table;
use crate::error::{Error, Result};

/// Speakers of a table's utterances, numbered in the order in which they come.
pub(super) struct Speakers {
    utt2spk: Table,
    names: Vec<String>,
}

impl Speakers {
    /// From lines 'UTT SPEAKER'.
    pub(super) fn read(utt2spk: &Path) -> Result<Self> {
        Ok(Self {
            utt2spk: Table::read(utt2spk)?,
            names: Vec::new(),
        })
    }

    /// The number of an utterance's speaker.
    ///
    /// # Errors
    /// [`Error::Key`] for an utterance without a line.
    pub(super) fn of(&mut self, id: &str) -> Result<usize> {
        let name = self.utt2spk.get(id).ok_or_else(|| {
            let expected = "a line of every utterance that has units";
            Error::key(self.utt2spk.path(), id, expected, "none")
        })?;
        let known = self.names.iter().rposition(|known| known == name);
        Ok(known.unwrap_or_else(|| {
            self.names.push(name.to_string());
            self.names.len() - 1
        }))
    }
}
