//! A matrix that is written row by row, whose number of rows is known only at the end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{Array2, ArrayView2};

use super::matrix;
use super::mismatch::Mismatch;
use super::sink::Sink;
use crate::error::{Error, Result};

/// Bytes per matrix that stay in memory; more are written to the shelf.
const IN_MEMORY: usize = 1 << 20;
/// Bytes of all finished matrices of a shelf that stay in memory.
const SHELF_IN_MEMORY: usize = 4 << 20;
/// Bytes read back at a time, about.
const BLOCK_BYTES: usize = 1 << 16;

/// Storage for rows that do not fit into memory: one unnamed temporary file for any number of matrices.
#[derive(Debug, Default)]
pub struct RowShelf {
    /// The file, once there is something to put into it, and its length.
    file: Mutex<Option<(File, u64)>>,
    in_memory: AtomicUsize,
}

impl RowShelf {
    /// Appends bytes; returns their offset.
    fn put(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, end) = match &mut *slot {
            Some(open) => open,
            empty => empty.insert((tempfile::tempfile()?, 0)),
        };
        let begin = *end;
        file.write_all_at(bytes, begin)?;
        *end += bytes.len() as u64;
        Ok(begin)
    }

    fn get(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        match &*self.file.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((file, _)) => file.read_exact_at(bytes, at),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Rows for [`TableWriter::write_rows`](super::TableWriter::write_rows), in memory that does not grow with their number. If it
/// is dropped before, nothing is left.
#[derive(Default)]
pub struct RowSpool {
    shelf: Arc<RowShelf>,
    /// Offsets and lengths of rows on the shelf; the last rows are in `tail`.
    shelved: Vec<(u64, usize)>,
    tail: Vec<u8>,
    rows: usize,
    cols: usize,
}

impl RowSpool {
    /// A spool without rows, a matrix of 0 by 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, which shares a shelf with others.
    pub fn on(shelf: &Arc<RowShelf>) -> Self {
        Self {
            shelf: Arc::clone(shelf),
            ..Self::default()
        }
    }

    /// Moves rows to the shelf, so that all finished spools of a shelf take at most 4 MiB of memory.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary file cannot be written, as with a full disk.
    pub fn settle(&mut self) -> Result<()> {
        let bytes = self.tail.len();
        self.tail.shrink_to_fit();
        match self.shelf.in_memory.fetch_add(bytes, Ordering::Relaxed) + bytes {
            ..=SHELF_IN_MEMORY => Ok(()),
            _ => self.put_away(),
        }
    }

    fn put_away(&mut self) -> Result<()> {
        if !self.tail.is_empty() {
            let begin = self.shelf.put(&self.tail).map_err(spool_error)?;
            self.shelved.push((begin, self.tail.len()));
            self.tail = Vec::new();
        }
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in each row; 0 before the first.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Appends a row.
    ///
    /// # Errors
    /// [`Error::Option`] for an empty row or one of another length than the first; [`Error::Io`] when the temporary
    /// file cannot be written, as with a full disk.
    pub fn push(&mut self, row: &[f32]) -> Result<()> {
        if row.is_empty() || (self.rows > 0 && row.len() != self.cols) {
            let expected = match self.rows {
                0 => "at least one number".to_string(),
                _ => format!("{} numbers, as in the first", self.cols),
            };
            let option = format!("row {} of a matrix", self.rows);
            return Err(Error::option(option, expected, row.len().to_string()));
        }
        let bytes = row.iter().flat_map(|value| value.to_le_bytes());
        self.tail.extend(bytes);
        self.cols = row.len();
        self.rows += 1;
        match self.tail.len() {
            ..IN_MEMORY => Ok(()),
            _ => self.put_away(),
        }
    }

    /// Appends the rows of a block `[rows, cols]`.
    ///
    /// # Errors
    /// As [`RowSpool::push`].
    pub fn push_rows(&mut self, block: ArrayView2<f32>) -> Result<()> {
        for row in block.rows() {
            match row.as_slice() {
                Some(row) => self.push(row)?,
                None => self.push(&row.to_vec())?,
            }
        }
        Ok(())
    }

    /// The whole matrix, in memory.
    pub(super) fn into_matrix(self) -> Result<Array2<f32>> {
        let (rows, cols) = (self.rows, self.cols);
        let mut values = Vec::with_capacity(rows * cols);
        self.for_each_row(|row| {
            values.extend_from_slice(row);
            Ok(())
        })?;
        Array2::from_shape_vec((rows, cols), values)
            .map_err(|error| spool_error(io::Error::other(error)))
    }

    /// Writes the object as a matrix written whole would be, without compression.
    pub(super) fn write(self, text: bool, sink: &mut Sink, key: &str) -> Result<()> {
        let at = |mismatch: Mismatch, path: &Path| mismatch.at(path, key);
        let mut bytes = Vec::new();
        if !text {
            bytes.extend_from_slice(b"\0B");
            matrix::write_header::<f32>(self.rows, self.cols, &mut bytes)
                .map_err(|mismatch| at(mismatch, sink.path()))?;
            sink.write(&bytes)?;
            return self.for_each_bytes(|row| sink.write(row));
        }
        let empty = self.rows == 0;
        sink.write(matrix::TEXT_BEGIN)?;
        self.for_each_row(|row| {
            bytes.clear();
            matrix::write_text_row(row, &mut bytes);
            sink.write(&bytes)
        })?;
        sink.write(matrix::text_end(empty))
    }

    fn for_each_row(self, mut take: impl FnMut(&[f32]) -> Result<()>) -> Result<()> {
        let mut values = Vec::with_capacity(self.cols);
        self.for_each_bytes(|bytes| {
            let (numbers, _) = bytes.as_chunks::<4>();
            values.clear();
            values.extend(numbers.iter().map(|number| f32::from_le_bytes(*number)));
            take(&values)
        })
    }

    fn for_each_bytes(self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let row = 4 * self.cols.max(1);
        let mut block = Vec::new();
        for &(begin, length) in &self.shelved {
            let mut left = length;
            while left > 0 {
                block.resize(left.min((BLOCK_BYTES / row).max(1) * row), 0);
                let at = begin + (length - left) as u64;
                self.shelf.get(&mut block, at).map_err(spool_error)?;
                block.chunks_exact(row).try_for_each(&mut take)?;
                left -= block.len();
            }
        }
        self.tail.chunks_exact(row).try_for_each(take)
    }
}

fn spool_error(cause: io::Error) -> Error {
    Error::io(std::env::temp_dir().join("(temporary file of rows)"))(cause)
}

#[cfg(test)]
mod tests {
    use super::super::{Compression, TableWriter, WriteOptions};
    use super::*;

    fn matrix(rows: usize, cols: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, cols), |(r, c)| (r as f32 - 3.3) * (c as f32 + 0.7))
    }

    /// The bytes of an archive and its list, written whole or row by row.
    fn written(by_row: bool, flags: &str, compression: Option<Compression>) -> (Vec<u8>, String) {
        let dir = tempfile::tempdir().unwrap();
        let (ark, scp) = (dir.path().join("a"), dir.path().join("s"));
        let name = format!("ark,scp{flags}:{},{}", ark.display(), scp.display());
        let options = WriteOptions {
            compression,
            ..WriteOptions::default()
        };
        let mut writer = TableWriter::create_with(&name, options).unwrap();
        // The second does not fit into memory.
        for (key, rows, cols) in [
            ("a", 9, 3),
            ("b", IN_MEMORY / 4 / 20 + 1, 20),
            ("c", 0, 0),
            ("d", 1, 1),
        ] {
            let whole = matrix(rows, cols);
            if by_row {
                let mut spool = RowSpool::new();
                let half = rows / 2;
                spool
                    .push_rows(whole.slice(ndarray::s![..half, ..]))
                    .unwrap();
                for row in whole.rows().into_iter().skip(half) {
                    spool.push(row.as_slice().unwrap()).unwrap();
                }
                assert_eq!((spool.rows(), spool.cols()), (rows, cols));
                writer.write_rows(key, spool).unwrap();
            } else {
                writer.write(key, &whole).unwrap();
            }
        }
        writer.finish().unwrap();
        let list = std::fs::read_to_string(scp).unwrap();
        (
            std::fs::read(&ark).unwrap(),
            list.replace(&*ark.to_string_lossy(), "a"),
        )
    }

    #[test]
    fn an_archive_is_the_same_byte_for_byte() {
        for flags in ["", ",t"] {
            assert!(
                written(true, flags, None) == written(false, flags, None),
                "{flags}"
            );
        }
        let compression = Some(Compression::Auto);
        assert!(written(true, "", compression) == written(false, "", compression));
    }

    #[test]
    fn many_spools_wait_in_one_file() {
        let shelf = Arc::default();
        let spools: Vec<(Array2<f32>, RowSpool)> = (0..900)
            .map(|number| {
                let whole = matrix(number, 7);
                let mut spool = RowSpool::on(&shelf);
                spool.push_rows(whole.view()).unwrap();
                spool.settle().unwrap();
                (whole, spool)
            })
            .collect();
        let in_memory: usize = spools.iter().map(|(_, spool)| spool.tail.capacity()).sum();
        assert!(in_memory <= SHELF_IN_MEMORY, "{in_memory}");
        for (whole, spool) in spools.into_iter().skip(1) {
            assert_eq!(spool.into_matrix().unwrap(), whole);
        }
    }

    #[test]
    fn rows_of_another_length_are_refused_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer =
            TableWriter::create(&format!("ark:{}", dir.path().join("a").display())).unwrap();
        let mut spool = RowSpool::new();
        assert!(spool.push(&[]).is_err());
        spool.push(&[1.0, 2.0]).unwrap();
        let error = spool.push(&[1.0]).unwrap_err().to_string();
        assert_eq!(
            error,
            "row 1 of a matrix: expected 2 numbers, as in the first, found 1"
        );
        drop(spool);
        let error = writer
            .write_rows("a b", RowSpool::new())
            .unwrap_err()
            .to_string();
        assert!(error.contains("a key without white space"), "{error}");
        writer.write_rows("e", RowSpool::new()).unwrap();
        writer.finish().unwrap();
        let whole = std::fs::read(dir.path().join("a")).unwrap();
        assert_eq!(whole, b"e \0BFM \x04\0\0\0\0\x04\0\0\0\0");
    }
}
