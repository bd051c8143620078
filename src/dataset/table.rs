//! A text table in memory, in the order of its file, with lookup by key.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::io::lines::{self, Entry};

/// The lines `key value` of a file with unique keys.
#[derive(Debug, Clone)]
pub struct Table {
    path: PathBuf,
    entries: Vec<Entry>,
    /// Indices into `entries`, by key.
    sorted: Vec<u32>,
}

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    /// As [`lines::read_table`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let entries = lines::read_table(path)?;
        let count = u32::try_from(entries.len())
            .map_err(|_| Error::format(path, "at most 2^32 lines", "more"))?;
        let mut sorted: Vec<u32> = (0..count).collect();
        sorted.sort_unstable_by_key(|&i| entries[i as usize].key.as_str());
        Ok(Self {
            path: path.to_path_buf(),
            entries,
            sorted,
        })
    }

    /// The file of the table.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lines in the file's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The index of `key` in [`Table::entries`].
    pub fn position(&self, key: &str) -> Option<usize> {
        self.sorted
            .binary_search_by_key(&key, |&i| self.entries[i as usize].key.as_str())
            .ok()
            .map(|at| self.sorted[at] as usize)
    }

    /// The line of `key`.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.position(key).map(|at| &self.entries[at])
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entry(key).map(|entry| entry.value.as_str())
    }
}
