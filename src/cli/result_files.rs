//! The files that commands with `--out PREFIX` leave beside the table that they print.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Error;
use crate::io::atomic;
use crate::report::table::Table;

/// `PREFIX.json` and `PREFIX.tsv`, and what is added; they are of one run, whenever that is killed.
pub(super) struct ResultFiles<'a> {
    prefix: &'a Path,
    files: Vec<(PathBuf, String)>,
}

impl<'a> ResultFiles<'a> {
    /// All numbers as JSON, the table as TSV.
    ///
    /// # Errors
    /// [`Error::Format`] for values that JSON cannot hold.
    pub(super) fn new(
        prefix: &'a Path,
        values: &impl Serialize,
        table: &Table,
    ) -> crate::Result<Self> {
        let files = Vec::new();
        let json = serde_json::to_string_pretty(values).map_err(|error| {
            Error::format(prefix, "numbers that JSON can hold", error.to_string())
        })?;
        let files = Self { prefix, files };
        Ok(files.with("json", json + "\n").with("tsv", table.to_tsv()))
    }

    /// Tries whether they can be made, before the work whose outcome they are to hold; without a prefix there are none.
    ///
    /// # Errors
    /// [`Error::Io`] naming `PREFIX.json`.
    pub(super) fn try_place(prefix: Option<&Path>) -> crate::Result<()> {
        prefix.map_or(Ok(()), |prefix| {
            atomic::try_place(format!("{}.json", prefix.display()))
        })
    }

    /// One more, `PREFIX.ENDING`.
    pub(super) fn with(mut self, ending: &str, content: String) -> Self {
        let path = format!("{}.{ending}", self.prefix.display());
        self.files.push((path.into(), content));
        self
    }

    /// Writes them.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub(super) fn write(self) -> crate::Result<()> {
        atomic::write_together(&self.files)
    }
}
