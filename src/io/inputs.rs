//! The door for files that are read. A command remembers what came through it, so that it writes over none of its inputs.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// Device, number and time of change of each file that was read; none while nobody asked to remember them.
static READ: Mutex<Option<HashSet<Identity>>> = Mutex::new(None);

/// A file by whatever name; one that takes the number of one that is gone has another time.
type Identity = (u64, u64, i64, i64);

/// From now on, what is opened here is refused as a place to write to ([`super::atomic`]). For programs that do one thing and
/// end, as commands are.
pub fn remember() {
    read_files().get_or_insert_default();
}

/// Opens a file to read from.
///
/// # Errors
/// What the system says.
pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let file = File::open(path)?;
    if let Some(files) = read_files().as_mut() {
        files.insert(identity(&file.metadata()?));
    }
    Ok(file)
}

/// Reads a file whole.
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

/// Whether the file that lies at `path` was read.
pub(super) fn contain(path: &Path) -> bool {
    let files = read_files();
    let Some(files) = files.as_ref() else {
        return false;
    };
    path.metadata()
        .is_ok_and(|meta| files.contains(&identity(&meta)))
}

/// Lets the file at `path` be written over.
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
