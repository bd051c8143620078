//! Opening of input files. A command records them, so that it does not overwrite its inputs.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

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
