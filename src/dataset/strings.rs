//! Label sequences of utterances without times, for CTC.

use std::path::{Path, PathBuf};

use super::datadir::DataDir;
use super::label_kind::{Labels, MOST_CLASSES, NO_LABEL, numbers};

use super::table::Table;
use crate::error::{Error, Result};

/// A data directory's table of label sequences, and how its lines are read.
#[derive(Debug)]
pub struct StringTable {
    table: Table,
    kind: Labels,
}

impl StringTable {
    /// `utt2phones`, or `text` for words and characters.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub fn open(dir: &DataDir, kind: Labels) -> Result<Self> {
        let name = match kind {
            Labels::PhoneSequence => "utt2phones",
            _ => "text",
        };
        let table = Table::read(dir.path().join(name))?;
        Ok(Self { table, kind })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.table.path()
    }

    /// The label sequence of an utterance, possibly empty.
    ///
    /// # Errors
    /// [`Error::Key`] for an utterance without a line.
    pub fn of(&self, id: &str) -> Result<Vec<String>> {
        let line = self.table.get(id).ok_or_else(|| {
            let expected = format!("its {}", self.kind.name());
            Error::key(self.path(), id, expected, "none")
        })?;
        Ok(self.kind.split(line))
    }
}

/// Outputs that CTC needs for a sequence: one per label, and one between two equal labels.
pub fn least_outputs<L: PartialEq>(string: &[L]) -> usize {
    string.len() + string.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

/// The label sequences of a data directory's utterances, as class numbers.
#[derive(Debug)]
pub(super) struct Strings {
    path: PathBuf,
    name: &'static str,
    /// For each utterance.
    of: Vec<Box<[u16]>>,
}

impl Strings {
    /// The label sequences of `ids`, numbered as in the sorted `names` of training.
    ///
    /// # Errors
    /// A missing table; an utterance that is not in it; a label outside `names`; more than 65536 labels.
    pub(super) fn open(
        dir: &DataDir,
        kind: Labels,
        ids: &[String],
        names: &[String],
    ) -> Result<Self> {
        let (table, name) = (StringTable::open(dir, kind)?, kind.name());
        if names.len() > MOST_CLASSES as usize {
            let expected = format!("at most {MOST_CLASSES} different {name}");
            let found = names.len().to_string();
            return Err(Error::format(table.path(), expected, found));
        }
        let of = ids.iter().map(|id| {
            let own = table.of(id)?;
            let known = numbers(own.iter().map(String::as_str), names);
            match known.iter().position(|&number| number == NO_LABEL) {
                Some(place) => {
                    let expected = format!("{name} of the training set");
                    Err(Error::key(table.path(), id, expected, own[place].clone()))
                }
                None => Ok(known.into_iter().map(|number| number as u16).collect()),
            }
        });
        Ok(Self {
            of: of.collect::<Result<_>>()?,
            path: table.path().to_path_buf(),
            name,
        })
    }

    /// Whether the sequence of an utterance is empty.
    pub(super) fn is_empty(&self, utterance: usize) -> bool {
        self.of[utterance].is_empty()
    }

    /// The label sequence of an utterance.
    pub(super) fn of(&self, utterance: usize) -> Vec<i64> {
        self.of[utterance]
            .iter()
            .map(|&label| label.into())
            .collect()
    }

    /// Refuses a sequence of utterance `id` that needs more than `codes` outputs, as in [`least_outputs`].
    pub(super) fn refuse_crowded(&self, utterance: usize, id: &str, codes: usize) -> Result<()> {
        let least = least_outputs(&self.of[utterance]);
        if least <= codes {
            return Ok(());
        }
        let expected = format!("{} for at most {codes} codes", self.name);
        let found = format!("{} that take {least}", self.name);
        Err(Error::key(&self.path, id, expected, found))
    }
}
