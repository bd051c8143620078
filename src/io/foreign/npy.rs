//! NumPy's array file (NEP 1), version 1.0, which `numpy.load(NAME.npy, mmap_mode="r")` maps without reading it whole.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::npy_rows::COLUMNS;
use super::{Floats, Writer};
use crate::error::{Error, Result};
use crate::io::atomic::AtomicFile;

/// Bytes before the values: enough for any shape, a multiple of 64.
const HEADER: usize = 128;

/// The concatenated rows of all entries, and their positions.
#[derive(Debug)]
pub(super) struct NpyWriter {
    array: AtomicFile,
    index: AtomicFile,
    rows: usize,
    /// Columns of the first entry, and so of all.
    columns: Option<usize>,
}

impl NpyWriter {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let named = |extension: &str| PathBuf::from(format!("{}.{extension}", path.display()));
        let mut array = AtomicFile::create(named("npy"))?;
        put(&mut array, &[0; HEADER])?;
        let mut index = AtomicFile::create(named("tsv"))?;
        put(&mut index, format!("{COLUMNS}\n").as_bytes())?;
        Ok(Self {
            array,
            index,
            rows: 0,
            columns: None,
        })
    }
}

impl Writer for NpyWriter {
    fn write(&mut self, key: &str, entry: Floats) -> Result<()> {
        let columns = *self.columns.get_or_insert(entry.columns);
        if columns != entry.columns {
            let expected = format!("{columns} columns, as the first entry has");
            let found = entry.columns.to_string();
            return Err(Error::key(self.array.path(), key, expected, found));
        }
        put(&mut self.array, &entry.bytes())?;
        let line = format!("{key}\t{}\t{}\n", self.rows, entry.height());
        self.rows += entry.height();
        put(&mut self.index, line.as_bytes())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let (mut array, columns) = (self.array, self.columns.unwrap_or(0));
        let begun = array.seek(SeekFrom::Start(0)).map(drop);
        begun.map_err(|e| Error::io(array.path())(e))?;
        put(&mut array, &header(self.rows, columns))?;
        self.index.withdraw_older()?;
        array.commit()?;
        self.index.commit()
    }
}

fn header(rows: usize, columns: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&((HEADER - 10) as u16).to_le_bytes());
    let shape =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    bytes.extend_from_slice(shape.as_bytes());
    bytes.resize(HEADER - 1, b' ');
    bytes.push(b'\n');
    bytes
}

fn put(file: &mut AtomicFile, bytes: &[u8]) -> Result<()> {
    let written = file.write_all(bytes);
    written.map_err(|e| Error::io(file.path())(e))
}
