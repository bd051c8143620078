//! The bytes of one audio file, wherever they lie: a file, memory, what a command or a named pipe gave.

use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::io::MediaSource;
use tempfile::SpooledTempFile;

use crate::error::{Error, Result};
use crate::io::inputs;

/// What a command or a named pipe gives stays in memory up to here, and goes to an unnamed file beyond.
const IN_MEMORY: usize = 16 << 20;
/// The most that is taken from a command or a named pipe, the largest size of a RIFF header.
pub(crate) const MOST_STREAMED: u64 = 1 << 32;

trait Seekable: Read + Seek + Send + Sync {}
impl<T: Read + Seek + Send + Sync> Seekable for T {}

/// Bytes that can be gone through again, and how many there are.
pub(super) struct Bytes {
    inner: Box<dyn Seekable>,
    /// Counted here: asked of a file, it is a call of the operating system.
    position: u64,
    length: u64,
}

impl Bytes {
    /// Opens a file; a named pipe or device is read to its end first.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut file = inputs::open(path).map_err(Error::io(path))?;
        let kind = file.metadata().map_err(Error::io(path))?;
        if kind.is_dir() {
            return Err(Error::io(path)(io::ErrorKind::IsADirectory.into()));
        }
        if kind.is_file() {
            return Self::new(BufReader::new(file)).map_err(Error::io(path));
        }
        let mut spool = spool();
        let taken = io::copy(&mut (&mut file).take(MOST_STREAMED + 1), &mut spool);
        if taken.map_err(Error::io(path))? > MOST_STREAMED {
            return Err(too_long(path));
        }
        Self::spooled(spool).map_err(Error::io(path))
    }

    /// Bytes in memory.
    pub(super) fn memory(bytes: Vec<u8>) -> Self {
        Self {
            length: bytes.len() as u64,
            inner: Box::new(Cursor::new(bytes)),
            position: 0,
        }
    }

    /// What was spooled, from its beginning.
    pub(super) fn spooled(spool: SpooledTempFile) -> io::Result<Self> {
        Self::new(BufReader::new(spool))
    }

    fn new(mut inner: impl Seekable + 'static) -> io::Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        inner.seek(SeekFrom::Start(0))?;
        Ok(Self {
            inner: Box::new(inner),
            position: 0,
            length,
        })
    }

    /// The first bytes, at most `count`; afterwards the position is at the beginning.
    pub(super) fn start(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.rewind()?;
        self.here(count)
    }

    /// The next bytes, at most `count`; afterwards the position is unchanged.
    pub(super) fn here(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let at = self.position;
        let next = self.next(count)?;
        self.seek(SeekFrom::Start(at))?;
        Ok(next)
    }

    /// The next bytes, at most `count`.
    pub(super) fn next(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut next = Vec::new();
        self.take(count as u64).read_to_end(&mut next)?;
        Ok(next)
    }

    /// Exactly `N` bytes, or none when there are fewer.
    pub(super) fn array<const N: usize>(&mut self, name: &Path) -> Result<Option<[u8; N]>> {
        let mut array = [0; N];
        match self.read_exact(&mut array) {
            Ok(()) => Ok(Some(array)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(Error::io(name)(error)),
        }
    }

    /// Ends so many bytes earlier.
    pub(super) fn leave_out_last(&mut self, count: u64) {
        self.length = self.length.saturating_sub(count);
    }

    /// Where the next byte lies.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Moves to a position, or to the end for a later one, which a wrong size in a file may give.
    pub(super) fn go_to(&mut self, position: u64, name: &Path) -> Result<()> {
        (self.seek(SeekFrom::Start(position)).map(drop)).map_err(Error::io(name))
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.position);
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self.inner.read(&mut buffer[..most])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Bytes {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::End(offset) => self.length.saturating_add_signed(offset),
            SeekFrom::Current(offset) => self.position.saturating_add_signed(offset),
        };
        // Beyond 2^63 a seek is an error of the operating system, without the file's own sizes; a
        // relative one keeps what is buffered.
        let position = position.min(self.length);
        self.inner
            .seek_relative(position as i64 - self.position as i64)?;
        self.position = position;
        Ok(position)
    }
}

impl MediaSource for Bytes {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}

/// A place for what is read once and has to be gone through again.
pub(crate) fn spool() -> SpooledTempFile {
    tempfile::spooled_tempfile(IN_MEMORY)
}

/// The error for a stream longer than [`MOST_STREAMED`].
pub(crate) fn too_long(path: &Path) -> Error {
    let expected = format!("at most {MOST_STREAMED} bytes of audio");
    Error::format(path, expected, "more")
}
