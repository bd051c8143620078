//! Tables of NumPy's files: a folder of `.npy` and `.npz`, a list of them, one `.npz`, or the layout of our own writer.

use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::array::{Array, Shape};
use super::npy_file;
use super::npy_rows;
use super::npz::Archives;
use super::source::{Found, Source};
use crate::error::{Error, Result};
use crate::io::input::Input;
use crate::io::walk::files_below;
use crate::io::{inputs, lines};

/// Opens what the name behind `npy:` leads to.
pub(super) fn open(path: &Path) -> Result<Found> {
    if path.is_dir() {
        return folder(path);
    }
    if let Some(rows) = npy_rows::find(path) {
        return npy_rows::open(&rows);
    }
    let mut head = [0; 6];
    let mut file = inputs::open(path).map_err(Error::io(path))?;
    let read = file.by_ref().take(6).read(&mut head);
    let head = &head[..read.map_err(Error::io(path))?];
    let mut items = Items::default();
    match head {
        [b'P', b'K', ..] => items.add_archive(path)?,
        [npy_file::FIRST_BYTE, ..] => items.add(stem(path)?, path, None),
        _ => {
            file.rewind().map_err(Error::io(path))?;
            list(path, &mut items)?;
        }
    }
    Ok(items.into_found())
}

/// Arrays that have been found: key, file and, of an archive, the name there.
#[derive(Debug, Default)]
struct Items {
    keys: Vec<String>,
    places: Vec<(PathBuf, Option<String>)>,
    archives: Archives,
}

impl Items {
    fn add(&mut self, key: String, path: &Path, member: Option<String>) {
        self.keys.push(key);
        self.places.push((path.to_path_buf(), member));
    }

    /// Every array of an archive, under its name.
    fn add_archive(&mut self, path: &Path) -> Result<()> {
        for name in self.archives.names(path)? {
            self.add(name.clone(), path, Some(name));
        }
        Ok(())
    }

    /// A file of one utterance, or an archive of several: the only array of an archive belongs to the utterance that its file
    /// is named after.
    fn add_file(&mut self, path: &Path) -> Result<()> {
        if !has_extension(path, "npz") {
            self.add(stem(path)?, path, None);
            return Ok(());
        }
        match &self.archives.names(path)?[..] {
            [only] => self.add(stem(path)?, path, Some(only.clone())),
            _ => self.add_archive(path)?,
        }
        Ok(())
    }

    /// The file of a key, which an archive with one array may be.
    fn add_keyed(&mut self, key: &str, path: &Path) -> Result<()> {
        let mut member = None;
        if has_extension(path, "npz") {
            let names = self.archives.names(path)?;
            let [only] = &names[..] else {
                let expected = "an archive of one array, as the line has a key";
                return Err(Error::key(path, key, expected, names.len().to_string()));
            };
            member = Some(only.clone());
        }
        self.add(key.into(), path, member);
        Ok(())
    }

    fn into_found(self) -> Found {
        let mut files: Vec<PathBuf> = self.places.iter().map(|(path, _)| path.clone()).collect();
        files.dedup();
        Found {
            keys: self.keys.clone(),
            files,
            source: Box::new(self),
        }
    }

    fn with_input<R>(
        &self,
        index: usize,
        read: impl FnOnce(&mut Input, Option<u64>) -> Result<R>,
    ) -> Result<R> {
        let (path, member) = &self.places[index];
        let key = &self.keys[index];
        if let Some(member) = member {
            return self
                .archives
                .with_input((path, key), member, |input| read(input, None));
        }
        let file = inputs::open(path).map_err(Error::io(path))?;
        let bytes = file.metadata().map_err(Error::io(path))?.len();
        let mut reader = BufReader::with_capacity(1 << 16, file);
        read(&mut Input::new(&mut reader, path, key), Some(bytes))
    }
}

impl Source for Items {
    fn read(&self, index: usize) -> Result<Array> {
        self.with_input(index, |input, _| {
            let array = npy_file::read(input)?;
            // Of an archive this is where its checksum is compared.
            match input.peek()? {
                None => Ok(array),
                Some(_) => Err(input.fault("one array", "more after it")),
            }
        })
    }

    fn shape(&self, index: usize) -> Result<Shape> {
        self.with_input(index, |input, bytes| {
            let header = npy_file::read_header(input)?;
            let needed = header.bytes + header.layout.bytes();
            match bytes {
                Some(found) if found < needed => {
                    let found = format!("the end of the file after {found}");
                    Err(input.fault(format!("{needed} bytes"), found))
                }
                _ => Ok(header.layout.shape),
            }
        })
    }
}

/// All arrays in a folder and the folders in it, in the order of their keys.
fn folder(path: &Path) -> Result<Found> {
    let (names, unnamed) = files_below(path)?;
    if let Some(name) = unnamed.iter().find(|name| is_array(Path::new(name))) {
        return Err(Error::format(name, "a file name in UTF-8", "other bytes"));
    }
    let files = names.iter().map(|name| path.join(name));
    let (arrays, others): (Vec<_>, Vec<_>) = files.partition(|file| is_array(file));
    let mut items = Items::default();
    arrays.iter().try_for_each(|file| items.add_file(file))?;
    if arrays.is_empty() {
        let pickled = others.iter().find_map(|other| super::pickled(other, true));
        return Err(pickled.unwrap_or_else(|| Error::format(path, ".npy or .npz files", "none")));
    }
    in_order(path, items).map(Items::into_found)
}

/// By key; two files of one key are an error that names both.
fn in_order(path: &Path, items: Items) -> Result<Items> {
    let Items {
        keys,
        places,
        archives,
    } = items;
    let mut entries: Vec<_> = keys.into_iter().zip(places).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some([(key, (a, _)), (_, (b, _))]) = entries.windows(2).find(|two| two[0].0 == two[1].0)
    {
        let found = format!("{} and {}", a.display(), b.display());
        return Err(Error::key(path, key, "one file of this name", found));
    }
    let (keys, places) = entries.into_iter().unzip();
    Ok(Items {
        keys,
        places,
        archives,
    })
}

/// Lines `key file` or `file`, from the working folder, as in an `scp` file.
fn list(path: &Path, items: &mut Items) -> Result<()> {
    for entry in lines::read_lines(path)? {
        let (key, file) = match entry.value.is_empty() {
            true => (None, entry.key.as_str()),
            false => (Some(entry.key.as_str()), entry.value.as_str()),
        };
        let file = Path::new(file);
        if let Some(error) = super::pickled(file, true) {
            return Err(error);
        }
        if !is_array(file) {
            let expected = "'key file' or 'file', the file a .npy or .npz";
            let found = format!("'{}'", file.display());
            return Err(Error::line(path, entry.line, expected, found));
        }
        match key {
            Some(key) => items.add_keyed(key, file)?,
            None => items.add_file(file)?,
        }
    }
    Ok(())
}

fn is_array(path: &Path) -> bool {
    has_extension(path, "npy") || has_extension(path, "npz")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case(extension))
}

fn stem(path: &Path) -> Result<String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.map(String::from)
        .ok_or_else(|| Error::format(path, "a file name in UTF-8", "other bytes"))
}
