//! Atomic files: written beside their final place, synced, then renamed onto it. Links are followed, so that their target
//! is replaced; devices, pipes and `/dev/stdout` are written directly.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::inputs;
use super::message::STDOUT_FILES;
use super::scratch::Scratch;
use crate::error::{Error, Result};

/// A buffered file that appears under its name only on [`AtomicFile::commit`]; dropped before, it leaves
/// nothing behind and an older file of that name stays as it was.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    target: Target,
}

#[derive(Debug)]
enum Target {
    /// Beside its final place.
    File {
        place: PathBuf,
        scratch: Scratch,
        file: BufWriter<WrittenBehind>,
    },
    /// What nothing may be renamed onto. It keeps every byte that it is given.
    Through(BufWriter<File>),
}

impl AtomicFile {
    /// Starts a file that will become `path`. The folder has to exist.
    ///
    /// # Errors
    /// [`Error::Io`] naming `path` when the folder is missing or cannot be written, or when `path` is a folder;
    /// [`Error::Format`] when it is an input of the command, recorded by [`inputs`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let target = Target::open(&path).map_err(Error::io(&path))?;
        let file = Self { path, target };
        file.refuse_input().map(|()| file)
    }

    fn refuse_input(&self) -> Result<()> {
        match &self.target {
            Target::File { place, .. } if inputs::contain(place) => {
                let expected = "another place to write to than what is read";
                Err(Error::format(&self.path, expected, "a file that is read"))
            }
            _ => Ok(()),
        }
    }

    /// The name that the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the older file of this name. An index is removed before the archive that it points into is replaced: if the
    /// process is killed in between, no index points into the wrong archive.
    ///
    /// # Errors
    /// [`Error::Io`] naming the path.
    pub fn withdraw_older(&self) -> Result<()> {
        self.refuse_input()?;
        let Target::File { place, .. } = &self.target else {
            return Ok(());
        };
        match std::fs::remove_file(place) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(&self.path)(error)),
            Err(_) => Ok(()),
            Ok(()) => sync_dir(folder_of(place)),
        }
    }

    /// Syncs the content to disk and gives the file its name.
    ///
    /// # Errors
    /// [`Error::Io`] naming the path, as when the disk is full; nothing is left behind then.
    pub fn commit(self) -> Result<()> {
        // What is read may have been opened since.
        self.refuse_input()?;
        let Self { path, target } = self;
        target.commit().map_err(Error::io(&path))
    }
}

impl Target {
    fn open(path: &Path) -> io::Result<Self> {
        if let Some(file) = standard_stream(path)? {
            return Ok(Self::Through(BufWriter::new(file)));
        }
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => {
                let file = OpenOptions::new().write(true).open(path)?;
                return Ok(Self::Through(BufWriter::new(file)));
            }
            _ => {}
        }
        let place = behind_links(path.to_path_buf())?;
        let (scratch, file) = Scratch::file(folder_of(&place))?;
        let file = BufWriter::with_capacity(BUFFER, WrittenBehind::new(file));
        Ok(Self::File {
            place,
            scratch,
            file,
        })
    }

    fn file(&mut self) -> &mut dyn Write {
        match self {
            Self::File { file, .. } => file,
            Self::Through(file) => file,
        }
    }

    fn commit(mut self) -> io::Result<()> {
        self.file().flush()?;
        match self {
            Self::Through(_) => Ok(()),
            Self::File {
                place,
                scratch,
                file,
            } => {
                file.get_ref().file.sync_all()?;
                scratch.rename(&place)
            }
        }
    }
}

/// Bytes that are gathered before the operating system has them.
const BUFFER: usize = 1 << 16;
/// Bytes that the operating system gathers before it is told to begin with the disk.
const BEHIND: usize = 8 << 20;

/// A file that goes to the disk as it grows, so that little is left to wait for when it is synced.
#[derive(Debug)]
struct WrittenBehind {
    file: File,
    waiting: usize,
}

impl WrittenBehind {
    fn new(file: File) -> Self {
        Self { file, waiting: 0 }
    }

    #[cfg(target_os = "linux")]
    fn begin_sync(&self) {
        use std::os::fd::AsRawFd;
        // SAFETY: a system call on a file that is open. What fails here is reported by the sync at the end.
        unsafe { libc::sync_file_range(self.file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
    }

    #[cfg(not(target_os = "linux"))]
    fn begin_sync(&self) {}
}

impl Write for WrittenBehind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.waiting += count;
        if self.waiting >= BEHIND {
            self.begin_sync();
            self.waiting = 0;
        }
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for WrittenBehind {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Standard output or error by one of its names: opened anew, a file that it leads to would be written from its start.
fn standard_stream(path: &Path) -> io::Result<Option<File>> {
    let name = path.to_str().unwrap_or_default();
    let stream = match name {
        name if STDOUT_FILES.contains(&name) => io::stdout().as_fd().try_clone_to_owned(),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => {
            io::stderr().as_fd().try_clone_to_owned()
        }
        _ => return Ok(None),
    };
    stream.map(|stream| Some(stream.into()))
}

/// The most links to follow, as in Linux.
const MOST_LINKS: usize = 40;

/// Where a name leads; also where nothing is yet.
fn behind_links(mut path: PathBuf) -> io::Result<PathBuf> {
    for _ in 0..MOST_LINKS {
        match std::fs::read_link(&path) {
            Ok(next) => path = folder_of(&path).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("links that lead in a circle"))
}

/// The folder that a file lies in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.target.file().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.target.file().flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.target {
            Target::File { file, .. } => file.seek(to),
            Target::Through(_) => Err(io::Error::new(
                ErrorKind::Unsupported,
                "this form is not written from front to back, as a pipe or device needs it",
            )),
        }
    }
}

/// Writes a whole file at once, atomically.
///
/// # Errors
/// As [`AtomicFile`].
pub fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<()> {
    filled(path.as_ref(), content.as_ref())?.commit()
}

/// [`write()`] in the place of a file that was read, which is mended.
///
/// # Errors
/// As [`AtomicFile`].
pub fn rewrite(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<()> {
    inputs::forget(path.as_ref());
    write(path, content)
}

/// Writes files that belong together: at no time do an old and a new one exist together.
///
/// # Errors
/// As [`AtomicFile`].
pub fn write_together<P: AsRef<Path>, C: AsRef<[u8]>>(files: &[(P, C)]) -> Result<()> {
    let files = files
        .iter()
        .map(|(path, content)| filled(path.as_ref(), content.as_ref()));
    let files = files.collect::<Result<Vec<_>>>()?;
    files
        .iter()
        .skip(1)
        .try_for_each(AtomicFile::withdraw_older)?;
    files.into_iter().try_for_each(AtomicFile::commit)
}

/// A file with all its content, which [`AtomicFile::commit`] gives its name.
///
/// # Errors
/// As [`AtomicFile`].
pub fn filled(path: &Path, content: impl AsRef<[u8]>) -> Result<AtomicFile> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(content.as_ref()).map_err(Error::io(path))?;
    Ok(file)
}

/// Checks that a file can be created at `path`, before the work whose result it will have.
///
/// # Errors
/// As [`AtomicFile::create`].
pub fn try_place(path: impl AsRef<Path>) -> Result<()> {
    match std::fs::metadata(&path) {
        // The reader of a pipe would take the end of the check for the end of the data.
        Ok(found) if !found.is_file() && !found.is_dir() => Ok(()),
        _ => AtomicFile::create(path).map(drop),
    }
}

/// Checks the same for a folder, which may not exist yet. Nothing is created.
///
/// # Errors
/// [`Error::Io`] naming the folder.
pub fn try_folder(path: &Path) -> Result<()> {
    let there = path.ancestors().find(|folder| folder.exists());
    let there = there.unwrap_or(Path::new("."));
    try_place(there.join("x")).map_err(|error| match error {
        Error::Io { cause, .. } => Error::io(path)(cause),
        error => error,
    })
}

/// Makes a folder and its parents.
///
/// # Errors
/// [`Error::Io`] naming the folder.
pub fn create_dir_all(path: impl AsRef<Path>) -> Result<()> {
    std::fs::create_dir_all(&path).map_err(Error::io(&path))
}

/// A temporary folder beside `target`, whose parents are made. It is removed unless it is renamed to the target.
///
/// # Errors
/// [`Error::Io`] naming the target or the folder that it lies in.
pub fn folder_beside(target: &Path) -> Result<Scratch> {
    let parent = folder_of(target);
    create_dir_all(parent)?;
    Scratch::folder(parent).map_err(Error::io(target))
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
    fn a_file_that_goes_to_the_disk_in_parts_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut content: Vec<u8> = (0..2 * BEHIND + 5)
            .map(|place| (place % 251) as u8)
            .collect();
        let mut file = AtomicFile::create(&path).unwrap();
        for part in content.chunks(BUFFER + 3) {
            file.write_all(part).unwrap();
        }
        file.seek(SeekFrom::Start(7)).unwrap();
        file.write_all(b"mended").unwrap();
        file.commit().unwrap();
        content[7..13].copy_from_slice(b"mended");
        assert!(std::fs::read(&path).unwrap() == content);
    }

    #[test]
    fn a_place_is_tried_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        try_place(&path).unwrap();
        try_folder(&path.join("b/c")).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        write(&path, "no folder").unwrap();
        let message = |error: Result<()>| error.unwrap_err().to_string();
        for folder in [&path, &path.join("b/c")] {
            let expected = format!("{}: Not a directory", folder.display());
            assert!(message(try_folder(folder)).starts_with(&expected));
        }
        assert!(message(try_place(dir.path().join("b/c"))).contains("b/c: No such file"));
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = write("no/such/folder/x", "").unwrap_err().to_string();
        assert!(error.starts_with("no/such/folder/x: "), "{error}");
    }
}
