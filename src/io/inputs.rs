//! Opening of input files. A command records them, so that it does not overwrite its inputs.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Device, inode and modification time of each file that was read; none without recording.
static READ: Mutex<Option<HashSet<Identity>>> = Mutex::new(None);

/// A file under any name; a new file with a reused inode has another time.
type Identity = (u64, u64, i64, i64);

/// Starts recording: files that are opened from now on are refused as output files ([`super::atomic`]). For programs that do
/// one thing and end, such as commands.
pub fn remember() {
    read_files().get_or_insert_default();
}

/// Opens a file to read from.
///
/// # Errors
/// The error of the operating system.
pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let file = File::open(path)?;
    if let Some(files) = read_files().as_mut() {
        files.insert(identity(&file.metadata()?));
    }
    Ok(file)
}

/// Reads a whole file.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn bytes(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(&path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(Error::io(&path))?;
    Ok(bytes)
}

/// Opens a file to read from; one that begins as gzip does is unpacked on the way.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn unpacked(path: impl AsRef<Path>) -> Result<BufReader<Box<dyn Read>>> {
    let opened = open(&path).and_then(|file| {
        let mut file = BufReader::new(file);
        let is_gzip = file.fill_buf()?.starts_with(&GZIP);
        Ok((file, is_gzip))
    });
    let (file, is_gzip) = opened.map_err(Error::io(&path))?;
    Ok(BufReader::new(match is_gzip {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    }))
}

/// Whether the file at `path` was read.
pub(super) fn contain(path: &Path) -> bool {
    let files = read_files();
    let Some(files) = files.as_ref() else {
        return false;
    };
    path.metadata()
        .is_ok_and(|meta| files.contains(&identity(&meta)))
}

/// Allows the file at `path` to be overwritten.
pub(super) fn forget(path: &Path) {
    if let (Some(files), Ok(meta)) = (read_files().as_mut(), path.metadata()) {
        files.remove(&identity(&meta));
    }
}

fn identity(meta: &Metadata) -> Identity {
    (meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec())
}

fn read_files() -> MutexGuard<'static, Option<HashSet<Identity>>> {
    READ.lock().unwrap_or_else(PoisonError::into_inner)
}
