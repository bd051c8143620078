//! A low signal that is gone through twice, for its variance and for its frames: in a temporary file where it is long.

use std::io::{BufReader, BufWriter, Read, Seek, Write};

use tempfile::{SpooledTempFile, spooled_tempfile};

use crate::error::{Error, Result};

/// Bytes in memory: half a minute.
const IN_MEMORY: usize = 1 << 20;
/// Samples read at once.
const BLOCK: usize = 1 << 12;

/// A signal while it comes.
#[derive(Debug)]
pub(super) struct Shelf {
    file: BufWriter<SpooledTempFile>,
    count: usize,
    sum: f64,
    sum_of_squares: f64,
}

/// The same from its beginning: the part that is in memory.
#[derive(Debug)]
pub(super) struct Shelved {
    file: BufReader<SpooledTempFile>,
    /// Samples that are still in the file.
    left: usize,
    samples: Vec<f64>,
    /// The number of the first of them.
    first: usize,
}

impl Shelf {
    pub(super) fn new() -> Self {
        Self {
            file: BufWriter::new(spooled_tempfile(IN_MEMORY)),
            count: 0,
            sum: 0.0,
            sum_of_squares: 0.0,
        }
    }

    /// Appends samples.
    ///
    /// # Errors
    /// [`Error::Io`] of the folder of temporary files.
    pub(super) fn push(&mut self, samples: &[f64]) -> Result<()> {
        self.count += samples.len();
        for sample in samples {
            self.sum += sample;
            self.sum_of_squares += sample * sample;
        }
        (self.file.write_all(bytemuck::cast_slice(samples))).map_err(failed)
    }

    /// The variance of all samples.
    pub(super) fn variance(&self) -> f64 {
        let count = self.count.max(1) as f64;
        let mean = self.sum / count;
        self.sum_of_squares / count - mean * mean
    }

    /// The signal from its beginning.
    ///
    /// # Errors
    /// As [`Shelf::push`].
    pub(super) fn read(self) -> Result<Shelved> {
        let mut file = (self.file.into_inner()).map_err(|error| failed(error.into_error()))?;
        file.rewind().map_err(failed)?;
        Ok(Shelved {
            file: BufReader::new(file),
            left: self.count,
            samples: Vec::new(),
            first: 0,
        })
    }
}

impl Shelved {
    /// Reads on until sample number `end` is not in the file any more, or the signal is at its end.
    ///
    /// # Errors
    /// As [`Shelf::push`].
    pub(super) fn reach(&mut self, end: usize) -> Result<()> {
        while self.first + self.samples.len() < end && self.left > 0 {
            let count = BLOCK.min(self.left);
            let before = self.samples.len();
            self.samples.resize(before + count, 0.0);
            let new = bytemuck::cast_slice_mut(&mut self.samples[before..]);
            self.file.read_exact(new).map_err(failed)?;
            self.left -= count;
        }
        Ok(())
    }

    /// Forgets samples before number `first`.
    pub(super) fn forget(&mut self, first: usize) {
        let count = first.saturating_sub(self.first).min(self.samples.len());
        self.samples.drain(..count);
        self.first += count;
    }

    /// The samples in memory, and where sample `at` of the signal, perhaps before its beginning, lies in them.
    pub(super) fn at(&self, at: isize) -> (&[f64], isize) {
        (&self.samples, at - self.first as isize)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io(std::env::temp_dir())(error)
}
