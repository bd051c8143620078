//! Samples without a header, as they come through a pipe: one channel, the low byte first.

use std::io::{self, Read};
use std::path::PathBuf;

use crate::error::{Error, Result};

/// The encoding of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawFormat {
    /// 16 bits, two's complement; full scale is 32768.
    S16le,
    /// IEEE 754 single precision; full scale is 1.
    F32le,
}

impl RawFormat {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::S16le => 2,
            Self::F32le => 4,
        }
    }

    /// Whole samples with full scale at 1.
    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::S16le => (bytes.as_chunks::<2>().0.iter())
                .map(|raw| f32::from(i16::from_le_bytes(*raw)) / 32768.0)
                .collect(),
            Self::F32le => (bytes.as_chunks::<4>().0.iter())
                .map(|raw| f32::from_le_bytes(*raw))
                .collect(),
        }
    }
}

/// Samples out of a source of bytes, in pieces of one size but for the last.
#[derive(Debug)]
pub struct RawSamples<R> {
    source: R,
    /// The source's name, for messages.
    name: PathBuf,
    format: RawFormat,
    buffer: Vec<u8>,
    given: usize,
    /// Once the source is at its end: the bytes that are no whole sample.
    left: Option<usize>,
}

impl<R: Read> RawSamples<R> {
    /// Pieces of `samples` samples, at least 1, of the source called `name`.
    pub fn new(source: R, name: impl Into<PathBuf>, format: RawFormat, samples: usize) -> Self {
        Self {
            source,
            name: name.into(),
            format,
            buffer: vec![0; samples.max(1) * format.bytes()],
            given: 0,
            left: None,
        }
    }

    /// The next samples with full scale at 1; none at the end. All that came before an error has been given.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] when the source holds nothing, or ends within a sample.
    pub fn next_piece(&mut self) -> Result<Option<Vec<f32>>> {
        if let Some(left) = self.left {
            return self.end(left);
        }
        let filled = self.fill()?;
        let left = filled % self.format.bytes();
        if filled < self.buffer.len() {
            self.left = Some(left);
        }
        if filled == left {
            return self.end(left);
        }
        let samples = self.format.decode(&self.buffer[..filled - left]);
        self.given += samples.len();
        Ok(Some(samples))
    }

    /// Reads until the buffer is full or the source at its end; how many bytes.
    fn fill(&mut self) -> Result<usize> {
        let mut filled = 0;
        while filled < self.buffer.len() {
            match self.source.read(&mut self.buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(&self.name)(error)),
            }
        }
        Ok(filled)
    }

    fn end(&self, left: usize) -> Result<Option<Vec<f32>>> {
        if left > 0 {
            let expected = format!("whole samples of {} bytes", self.format.bytes());
            let found = format!("{left} left over after {} samples", self.given);
            return Err(Error::format(&self.name, expected, found));
        }
        match self.given {
            0 => Err(Error::format(&self.name, "samples", "none")),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte a read, as a slow pipe might.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    /// All samples, and the error at the end if there is one.
    fn all(bytes: &[u8], format: RawFormat, piece: usize) -> (Vec<f32>, Option<String>) {
        let mut source = RawSamples::new(Slow(bytes), "pipe", format, piece);
        let mut found = Vec::new();
        loop {
            match source.next_piece() {
                Ok(Some(samples)) => found.extend(samples),
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error.to_string())),
            }
        }
    }

    #[test]
    fn samples_come_in_any_pieces() {
        let bytes = [0, 0x80, 0, 0x40, 1, 0];
        for piece in 1..5 {
            let expected = vec![-1.0, 0.5, 1.0 / 32768.0];
            assert_eq!(all(&bytes, RawFormat::S16le, piece), (expected, None));
        }
        let bytes: Vec<u8> = [0.25f32, -3.0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        assert_eq!(all(&bytes, RawFormat::F32le, 4), (vec![0.25, -3.0], None));
    }

    #[test]
    fn an_end_within_a_sample_is_reported_after_the_samples() {
        for piece in 1..4 {
            let (found, error) = all(&[0, 0x40, 0, 0x40, 7], RawFormat::S16le, piece);
            assert_eq!(found, [0.5, 0.5]);
            let expected =
                "pipe: expected whole samples of 2 bytes, found 1 left over after 2 samples";
            assert_eq!(error.unwrap(), expected);
        }
        let (found, error) = all(&[1, 2, 3], RawFormat::F32le, 9);
        assert!(found.is_empty() && error.unwrap().contains("found 3 left over after 0"));
        let (_, error) = all(&[], RawFormat::S16le, 9);
        assert_eq!(error.unwrap(), "pipe: expected samples, found none");
    }
}
