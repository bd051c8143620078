//! A table for lookups by key: the index is in memory, the objects stay on disk.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::Array2;

use super::files::{OpenFiles, Place};
use super::location::Location;
use super::matrix;
use super::object::{self, KaldiObject};
use super::reader::{ReadOptions, place_of};
use super::specifier::{ReadFrom, ReadSpecifier};
use crate::error::{Error, Result};
use crate::io::foreign::{self, ForeignReader, npy_file};
use crate::io::lines;

/// The keys and locations of an `scp` file or of another program's table. Objects are read on request, from any thread.
///
/// Relative paths are taken from the working folder, as Kaldi does.
#[derive(Debug)]
pub struct ScpTable<T> {
    path: PathBuf,
    keys: Vec<String>,
    /// Indices into `keys`, by key.
    sorted: Vec<u32>,
    objects: Objects,
    object: PhantomData<fn() -> T>,
}

/// Where objects lie, in the order of the keys.
#[derive(Debug)]
enum Objects {
    Listed(Vec<Place>, OpenFiles),
    Foreign(ForeignReader),
}

impl<T: KaldiObject> ScpTable<T> {
    /// Reads the index of a place as [`ReadSpecifier::of_place`] takes it: the path of an `scp` file, or a specifier. Pipes are
    /// never run.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Line`] for a key that occurs twice or a line that has
    /// no location, [`Error::Option`] for an archive; what [`ForeignReader::open`] says.
    pub fn open(place: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(place, ReadOptions::default())
    }

    /// [`ScpTable::open`] with options.
    ///
    /// # Errors
    /// As [`ScpTable::open`].
    pub fn open_with(place: impl AsRef<Path>, options: ReadOptions) -> Result<Self> {
        let place = place.as_ref();
        let specifier = match place.to_str() {
            Some(text) => ReadSpecifier::of_place(text),
            None => return Self::of_list(place, options),
        };
        match &specifier.from {
            ReadFrom::Foreign(form, name) => {
                let table = ForeignReader::open(*form, Path::new(name))?;
                let (path, keys) = (table.path().to_path_buf(), table.keys().to_vec());
                Self::of(path, keys, Objects::Foreign(table))
            }
            ReadFrom::Scp(name) => Self::of_list(Path::new(name), options),
            ReadFrom::Ark(_) => {
                let expected = "a list or a table that has lookups by key";
                Err(Error::option(
                    format!("'{specifier}'"),
                    expected,
                    "an archive",
                ))
            }
        }
    }

    fn of_list(path: &Path, options: ReadOptions) -> Result<Self> {
        if let Some(error) = foreign::pickled(path, false) {
            return Err(error);
        }
        let entries = lines::read_table(path)?;
        let mut paths = HashSet::new();
        let mut keys = Vec::with_capacity(entries.len());
        let mut places = Vec::with_capacity(entries.len());
        for entry in entries {
            places.push(shared(place_of(path, &entry)?, &mut paths));
            keys.push(entry.key);
        }
        let files = OpenFiles::new(options.allow_pipes);
        Self::of(path.to_path_buf(), keys, Objects::Listed(places, files))
    }

    fn of(path: PathBuf, keys: Vec<String>, objects: Objects) -> Result<Self> {
        let count = u32::try_from(keys.len())
            .map_err(|_| Error::format(&path, "at most 2^32 entries", "more"))?;
        let mut sorted: Vec<u32> = (0..count).collect();
        sorted.sort_unstable_by_key(|&i| keys[i as usize].as_str());
        Ok(Self {
            path,
            keys,
            sorted,
            objects,
            object: PhantomData,
        })
    }

    /// The file that the index was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys in the file's order.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Whether the table has `key`.
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Reads the object of `key`.
    ///
    /// # Errors
    /// [`Error::Key`] when the key is missing, or the object is not a `T`, is truncated or is smaller than
    /// its range; [`Error::Io`] when its file cannot be read.
    pub fn get(&self, key: &str) -> Result<T> {
        let index = self.index(key)?;
        match &self.objects {
            Objects::Listed(places, files) => files.read(key, &places[index]),
            Objects::Foreign(table) => object::of_array(table.read(index)?, &self.path, key),
        }
    }

    /// Checks that the object of `key`, of any kind, exists and is complete in its file, by its header where it is binary. The
    /// output of a command is not checked.
    ///
    /// # Errors
    /// As [`ScpTable::get`], but for an object of another kind.
    pub fn check(&self, key: &str) -> Result<()> {
        let index = self.index(key)?;
        match &self.objects {
            Objects::Listed(places, files) => files.check(key, &places[index]),
            Objects::Foreign(table) => table.shape(index).map(drop),
        }
    }

    /// Reads the object of `key` from its file; none where it is the output of a command.
    ///
    /// # Errors
    /// As [`ScpTable::get`].
    pub fn get_stored(&self, key: &str) -> Result<Option<T>> {
        if let Objects::Listed(places, _) = &self.objects
            && !matches!(places[self.index(key)?].location, Location::File { .. })
        {
            return Ok(None);
        }
        self.get(key).map(Some)
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.sorted
            .binary_search_by_key(&key, |&i| self.keys[i as usize].as_str())
            .ok()
            .map(|at| self.sorted[at] as usize)
    }

    fn index(&self, key: &str) -> Result<usize> {
        let expected = match self.objects {
            Objects::Listed(..) => "a line for this key",
            Objects::Foreign(_) => "an array of this key",
        };
        self.find(key)
            .ok_or_else(|| Error::key(&self.path, key, expected, "none"))
    }
}

impl ScpTable<Array2<f32>> {
    /// The shape `(rows, columns)` of the matrix of `key`, from its header alone where it is binary.
    ///
    /// # Errors
    /// As [`ScpTable::get`]; a truncated file is found here too.
    pub fn read_shape(&self, key: &str) -> Result<(usize, usize)> {
        let index = self.index(key)?;
        let (place, files) = match &self.objects {
            Objects::Listed(places, files) => (&places[index], files),
            Objects::Foreign(table) => {
                let shape = table.shape(index)?;
                return matrix::shape_of(shape).map_err(|odd| odd.at(&self.path, key));
            }
        };
        let shape = files.with_input(key, place, 64, |input| match input.peek()? {
            Some(0) => {
                object::binary_mark(input)?;
                let header = matrix::read_header(input)?;
                files.refuse_cut(key, place, header.size())?;
                Ok((header.rows, header.cols))
            }
            Some(npy_file::FIRST_BYTE) => {
                let header = npy_file::read_header(input)?;
                files.refuse_cut(key, place, header.bytes + header.layout.bytes())?;
                matrix::shape_of(header.layout.shape).map_err(|odd| odd.at(&place.path(), key))
            }
            _ => Array2::<f32>::read_text(input).map(|matrix| matrix.dim()),
        })?;
        match &place.range {
            None => Ok(shape),
            Some(range) => range
                .shape(shape)
                .map_err(|mismatch| mismatch.at(&place.path(), key)),
        }
    }
}

/// Lets locations in the same archive share its name.
fn shared(mut place: Place, paths: &mut HashSet<Arc<Path>>) -> Place {
    if let Location::File { path, .. } = &mut place.location {
        match paths.get(path) {
            Some(shared) => *path = Arc::clone(shared),
            None => {
                paths.insert(Arc::clone(path));
            }
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::super::{Compression, TableWriter, WriteOptions};
    use super::*;

    fn table(dir: &Path, suffix: &str) -> Result<ScpTable<Array2<f32>>> {
        let (ark, scp) = (dir.join("a.ark"), dir.join("a.scp"));
        let name = format!("ark,scp:{},{}", ark.display(), scp.display());
        let mut writer = TableWriter::create(&name).unwrap();
        for (key, rows) in [("b", 4), ("a", 5)] {
            let value = Array2::from_shape_fn((rows, 3), |(r, c)| (10 * r + c) as f32);
            writer.write(key, &value).unwrap();
        }
        writer.finish().unwrap();
        let lines = std::fs::read_to_string(&scp).unwrap();
        std::fs::write(&scp, lines.replace('\n', &format!("{suffix}\n"))).unwrap();
        ScpTable::open(scp)
    }

    #[test]
    fn keys_are_found_whatever_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let table = table(dir.path(), "").unwrap();
        assert_eq!(table.keys(), ["b", "a"]);
        assert!(table.contains("a") && !table.contains("c"));
        assert_eq!(table.read_shape("a").unwrap(), (5, 3));
        assert_eq!(table.get("a").unwrap()[[4, 2]], 42.0);
        let error = table.get("c").unwrap_err().to_string();
        assert!(
            error.ends_with("a.scp: c: expected a line for this key, found none"),
            "{error}"
        );
    }

    #[test]
    fn a_cut_file_shows_in_the_header_of_every_form() {
        fn check<T: KaldiObject>(value: &T, compression: Option<Compression>) {
            let dir = tempfile::tempdir().unwrap();
            let (ark, scp) = (dir.path().join("a.ark"), dir.path().join("a.scp"));
            let options = WriteOptions {
                compression,
                ..WriteOptions::default()
            };
            let name = format!("ark,scp:{},{}", ark.display(), scp.display());
            let mut writer = TableWriter::create_with(&name, options).unwrap();
            writer.write("a", value).unwrap();
            writer.finish().unwrap();
            let bytes = std::fs::read(&ark).unwrap();
            let table = ScpTable::<T>::open(&scp).unwrap();
            table.check("a").unwrap();
            for end in 0..bytes.len() {
                std::fs::write(&ark, &bytes[..end]).unwrap();
                let table = ScpTable::<T>::open(&scp).unwrap();
                let error = table.check("a").unwrap_err().to_string();
                assert!(error.contains("the end of the file"), "{end}: {error}");
            }
        }
        let matrix = Array2::from_shape_fn((9, 2), |(r, c)| (r * 2 + c) as f32);
        for compression in [
            None,
            Some(Compression::ColumnHeaders),
            Some(Compression::TwoByte),
            Some(Compression::OneByte),
        ] {
            check(&matrix, compression);
        }
        check(&matrix.mapv(f64::from), None);
        check(&ndarray::array![1f32, 2.0], None);
        check(&vec![1, 2, 3], None);
        let dir = tempfile::tempdir().unwrap();
        let whole = table(dir.path(), "").unwrap();
        let ark = dir.path().join("a.ark");
        let bytes = std::fs::read(&ark).unwrap();
        std::fs::write(&ark, &bytes[..bytes.len() - 1]).unwrap();
        assert!(whole.read_shape("b").is_ok() && whole.read_shape("a").is_err());
    }

    #[test]
    fn ranges_cut() {
        let dir = tempfile::tempdir().unwrap();
        let table = table(dir.path(), "[1:2,2:2]").unwrap();
        assert_eq!(table.read_shape("b").unwrap(), (2, 1));
        assert_eq!(table.get("b").unwrap(), ndarray::array![[12.0], [22.0]]);
    }

    #[test]
    fn threads_share_a_table() {
        let dir = tempfile::tempdir().unwrap();
        let table = table(dir.path(), "").unwrap();
        std::thread::scope(|scope| {
            for key in ["a", "b", "a", "b"] {
                let table = &table;
                scope.spawn(move || (0..50).for_each(|_| drop(table.get(key).unwrap())));
            }
        });
    }

    #[test]
    fn a_line_without_a_location_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = table(dir.path(), "[2:1]").unwrap_err().to_string();
        assert!(error.contains("a.scp:1: expected "), "{error}");
        let scp = dir.path().join("p.scp");
        std::fs::write(&scp, "a cat x |\n").unwrap();
        let error = ScpTable::<Vec<i32>>::open(scp)
            .unwrap()
            .get("a")
            .unwrap_err();
        assert!(error.to_string().contains("--allow-pipes"), "{error}");
    }
}
