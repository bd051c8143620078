//! Temporary files, folders and links. They lie beside their final place, and their names have the writing process:
//! `.unbraid-HOST-PID-RANDOM`. They are removed when they are dropped, when a signal ends the process
//! ([`super::interrupt`]), and after a crash, when another process of this host writes to the same folder.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

const PREFIX: &str = ".unbraid-";

/// The unfinished files of this process.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
/// The folders that this process has cleaned.
static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
/// This machine's name, with the letters that a file's name may have.
static HOST: LazyLock<String> = LazyLock::new(|| {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
});

/// A file, folder or link under a temporary name.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty file in `folder`.
    ///
    /// # Errors
    /// The error of the operating system, as when the folder is missing.
    pub fn file(folder: &Path) -> io::Result<(Self, File)> {
        make(folder, |path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).open(path)
        })
    }

    /// Makes an empty folder in `parent`.
    ///
    /// # Errors
    /// As [`Scratch::file`].
    pub fn folder(parent: &Path) -> io::Result<Self> {
        make(parent, |path| fs::create_dir(path)).map(|(scratch, ())| scratch)
    }

    /// Makes a link to `target` in `folder`.
    ///
    /// # Errors
    /// As [`Scratch::file`].
    pub fn link(folder: &Path, target: &Path) -> io::Result<Self> {
        make(folder, |path| symlink(target, path)).map(|(scratch, ())| scratch)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Renames it to its final name.
    ///
    /// # Errors
    /// The error of the operating system; the temporary file is removed then.
    pub fn rename(self, name: &Path) -> io::Result<()> {
        let mut unfinished = unfinished();
        fs::rename(&self.0, name)?;
        unfinished.remove(&self.0);
        drop(unfinished);
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if unfinished().remove(&self.0) {
            remove(&self.0);
        }
    }
}

/// Removes all unfinished files of this process, which has to end afterwards: nothing is made or renamed any more.
pub(crate) fn remove_all() {
    let unfinished = unfinished();
    unfinished.iter().for_each(|path| remove(path));
    std::mem::forget(unfinished);
}

/// Removes the files that killed processes of this host left in `folder`. Done once per folder.
pub fn sweep(folder: &Path) {
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if !swept.insert(folder.to_path_buf()) {
        return;
    }
    // A folder that cannot be listed is reported when it is written to.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry
            .file_name()
            .to_str()
            .and_then(owner)
            .is_some_and(is_gone)
        {
            remove(&entry.path());
        }
    }
}

/// The process of this host in the name of a temporary file.
fn owner(name: &str) -> Option<Pid> {
    let (rest, _random) = name.strip_prefix(PREFIX)?.rsplit_once('-')?;
    let (host, pid) = rest.rsplit_once('-')?;
    if host != *HOST {
        return None;
    }
    Pid::from_raw(pid.parse().ok()?)
}

fn is_gone(pid: Pid) -> bool {
    test_kill_process(pid) == Err(Errno::SRCH)
}

fn make<R>(folder: &Path, create: impl FnMut(&Path) -> io::Result<R>) -> io::Result<(Scratch, R)> {
    sweep(folder);
    let prefix = format!("{PREFIX}{}-{}-", *HOST, std::process::id());
    // Held while it is made, so that a signal finds either no file or one that it removes.
    let mut unfinished = unfinished();
    let made = tempfile::Builder::new()
        .prefix(&prefix)
        .make_in(folder, create)?;
    let (made, path) = made.into_parts();
    let path = path.keep()?;
    unfinished.insert(path.clone());
    drop(unfinished);
    Ok((Scratch(path), made))
}

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Best effort: remaining files are removed later.
fn remove(path: &Path) {
    let _ = match path.is_dir() && !path.is_symlink() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn what_is_dropped_is_gone_and_what_is_renamed_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = Scratch::file(dir.path()).unwrap();
        let folder = Scratch::folder(dir.path()).unwrap();
        fs::write(folder.path().join("inside"), "").unwrap();
        let link = Scratch::link(dir.path(), Path::new("a")).unwrap();
        assert_eq!(names(dir.path()), 3);
        drop(folder);
        file.rename(&dir.path().join("a")).unwrap();
        link.rename(&dir.path().join("b")).unwrap();
        assert_eq!(names(dir.path()), 2);
        assert!(dir.path().join("b").is_file());
    }

    #[test]
    fn only_what_no_living_process_of_this_host_owns_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let dead = child.id();
        let here = HOST.as_str();
        let own = std::process::id();
        let kept = [
            format!(".unbraid-{here}-{own}-x"),
            format!(".unbraid-{here}-1-x"),
            format!(".unbraid-other-{dead}-x"),
            ".unbraid-x".to_string(),
            "a".to_string(),
        ];
        for name in &kept {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::write(dir.path().join(format!(".unbraid-{here}-{dead}-x")), "").unwrap();
        fs::create_dir(dir.path().join(format!(".unbraid-{here}-{dead}-y"))).unwrap();
        sweep(dir.path());
        assert_eq!(names(dir.path()), kept.len());
        assert!(kept.iter().all(|name| dir.path().join(name).exists()));
    }
}
