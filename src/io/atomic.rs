//! Files that are whole or not there: written beside their final place, synced, then renamed onto it.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// A buffered file that appears under its name only on [`AtomicFile::commit`]; dropped before, it leaves
/// nothing behind and an older file of that name stays as it was.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    temp: BufWriter<NamedTempFile>,
}

impl AtomicFile {
    /// Starts a file that will become `path`. The folder has to exist.
    ///
    /// # Errors
    /// [`Error::Io`] naming `path` when the folder is missing or cannot be written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let temp = tempfile::Builder::new()
            .prefix(".unbraid-")
            .permissions(default_permissions())
            .tempfile_in(folder)
            .map_err(Error::io(&path))?;
        Ok(Self {
            path,
            temp: BufWriter::new(temp),
        })
    }

    /// The name that the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the content to disk and gives the file its name.
    ///
    /// # Errors
    /// [`Error::Io`] naming the path, as when the disk is full; nothing is left behind then.
    pub fn commit(self) -> Result<()> {
        let Self { path, temp } = self;
        let temp = temp
            .into_inner()
            .map_err(|e| Error::io(&path)(e.into_error()))?;
        temp.as_file().sync_all().map_err(Error::io(&path))?;
        temp.persist(&path).map_err(|e| Error::io(&path)(e.error))?;
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temp.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.temp.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.temp.seek(to)
    }
}

/// Writes a whole file at once, atomically.
///
/// # Errors
/// As [`AtomicFile`].
pub fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<()> {
    let mut file = AtomicFile::create(&path)?;
    file.write_all(content.as_ref()).map_err(Error::io(&path))?;
    file.commit()
}

/// Makes a folder and its parents.
///
/// # Errors
/// [`Error::Io`] naming the folder.
pub fn create_dir_all(path: impl AsRef<Path>) -> Result<()> {
    std::fs::create_dir_all(&path).map_err(Error::io(&path))
}

/// Syncs a folder, so that names given in it survive a power cut.
///
/// # Errors
/// [`Error::Io`] naming the folder.
pub fn sync_dir(path: impl AsRef<Path>) -> Result<()> {
    File::open(&path)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io(&path))
}

/// What any new file gets (0666 less the umask): a temporary file's 0600 would lock colleagues out.
fn default_permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_file_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        write(&path, "new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = write("no/such/folder/x", "").unwrap_err().to_string();
        assert!(error.starts_with("no/such/folder/x: "), "{error}");
    }
}
