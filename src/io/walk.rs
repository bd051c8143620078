//! The files of a tree of folders.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Error, Result};

/// The files below a folder as `a/b.wav`, in byte order, and those whose names are not UTF-8. Hidden ones are left out. Links
/// are followed, a folder is entered once.
///
/// # Errors
/// [`Error::Io`] when a folder cannot be listed.
pub fn files_below(folder: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let (mut files, mut unnamed) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let mut folders = vec![(folder.to_path_buf(), String::new())];
    while let Some((path, prefix)) = folders.pop() {
        let meta = path.metadata().map_err(Error::io(&path))?;
        if !seen.insert((meta.dev(), meta.ino())) {
            continue;
        }
        for entry in std::fs::read_dir(&path).map_err(Error::io(&path))? {
            let entry = entry.map_err(Error::io(&path))?;
            let Ok(name) = entry.file_name().into_string() else {
                unnamed.push(entry.path().to_string_lossy().into_owned());
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let file = format!("{prefix}{name}");
            match entry.path() {
                path if path.is_dir() => folders.push((path, format!("{file}/"))),
                // A link that leads nowhere fails where it is read.
                path if path.is_file() || (path.is_symlink() && !path.exists()) => files.push(file),
                _ => {}
            }
        }
    }
    files.sort_unstable();
    Ok((files, unnamed))
}
