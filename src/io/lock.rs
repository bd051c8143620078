//! Locks for one writer at a time: other processes are refused until the owner has finished or died.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A lock, held until it is dropped or the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Locks `place` with the file `path`, which names the holder and exists only while the lock is held.
    ///
    /// # Errors
    /// [`Error::Format`] naming `place` and the process that holds it; [`Error::Io`] naming `path`.
    pub fn take(place: &Path, path: PathBuf) -> Result<Self> {
        loop {
            let mut file = open(&path).map_err(Error::io(&path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(place, &mut file)),
                // A file system without locks is used without them.
                Err(TryLockError::Error(error)) => {
                    log::warn!("{}: no lock: {error}", path.display());
                }
            }
            // The one before may have removed the file that was opened here.
            if is_at(&file, &path) {
                sign(&mut file).map_err(Error::io(&path))?;
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is still locked: a process that opened it meanwhile finds that it is gone.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let identity = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    let (opened, there) = (file.metadata().map(identity), path.metadata().map(identity));
    matches!((opened, there), (Ok(a), Ok(b)) if a == b)
}

fn sign(file: &mut File) -> std::io::Result<()> {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    file.set_len(0)?;
    write!(file, "process {} on {host}", std::process::id())
}

fn held(place: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    let read = file.read_to_string(&mut holder);
    let named = read.is_ok() && !holder.is_empty();
    let found = if named {
        holder
    } else {
        "another process".into()
    };
    Error::format(
        place,
        "a place that nobody else writes to",
        format!("{found} at work there"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_the_next_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let take = || Lock::take(dir.path(), path.clone());
        let first = take().unwrap();
        let error = take().unwrap_err().to_string();
        let pid = std::process::id();
        assert!(
            error.contains(&format!("found process {pid} on ")),
            "{error}"
        );
        drop(first);
        assert!(!path.exists());
        std::fs::write(&path, "process 1 on a machine that went down").unwrap();
        take().unwrap();
    }
}
