//! Tables written: an archive, an archive with its list, a file for each object, or a form of Python's tools.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::path::Path;

use ndarray::{Array1, Array2};

use super::compressed::Compression;
use super::object::KaldiObject;
use super::rows::RowSpool;
use super::sink::Sink;
use super::specifier::{WriteFlags, WriteSpecifier, WriteTo};
use crate::error::{Error, Result};
use crate::io::foreign::{Floats, ForeignTable};
use crate::io::lines;

/// Options of writing that a specifier does not have.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    /// How matrices are compressed; none writes `FM`.
    pub compression: Option<Compression>,
    /// Whether `| command` may run.
    pub allow_pipes: bool,
}

/// Writes objects under keys. Files appear under their names on [`TableWriter::finish`], the archive before
/// the list that names it; dropped before, nothing is left. Only with `scp`, where each object has a
/// file of its own, each of those appears as it is written.
pub struct TableWriter<T> {
    target: Target,
    flags: WriteFlags,
    options: WriteOptions,
    buffer: Vec<u8>,
    object: PhantomData<fn(&T)>,
}

enum Target {
    Ark(Sink),
    ArkScp {
        ark: Sink,
        scp: Sink,
        keys: HashSet<String>,
    },
    /// The list's name, and the file of each key.
    Scp(String, HashMap<String, String>),
    Foreign(ForeignTable),
}

impl<T: KaldiObject> TableWriter<T> {
    /// Opens what a write specifier names, uncompressed. No pipe runs.
    ///
    /// # Errors
    /// [`Error::Option`] for a wrong specifier, [`Error::Io`] for what cannot be opened.
    pub fn create(specifier: &str) -> Result<Self> {
        Self::create_with(specifier, WriteOptions::default())
    }

    /// [`TableWriter::create`] with options.
    ///
    /// # Errors
    /// As [`TableWriter::create`]; and [`Error::Option`] for compression of text or of what is no matrix.
    pub fn create_with(specifier: &str, options: WriteOptions) -> Result<Self> {
        let WriteSpecifier { to, flags } = WriteSpecifier::parse(specifier)?;
        let refuse = |found: String| {
            Err(Error::option(
                format!("'{specifier}'"),
                "binary matrices to compress",
                found,
            ))
        };
        match options.compression {
            Some(_) if !T::COMPRESSES => return refuse(format!("objects of kind {}", T::KIND)),
            Some(_) if flags.text => return refuse("the option t".into()),
            Some(_) if matches!(to, WriteTo::Foreign(..)) => {
                return refuse("another form than Kaldi's".into());
            }
            _ => {}
        }
        Ok(Self {
            target: Target::open(to, options)?,
            flags,
            options,
            buffer: Vec::new(),
            object: PhantomData,
        })
    }

    /// Writes one object.
    ///
    /// # Errors
    /// [`Error::Key`] for a key that is empty, has white space, occurs twice (with a list) or is not in the
    /// list (`scp` without `p`), and for what the form cannot hold: NaN or infinity compressed, rows without
    /// columns. [`Error::Io`] when it cannot be written.
    pub fn write(&mut self, key: &str, value: &T) -> Result<()> {
        check_key(key, self.target.path())?;
        if let Target::Foreign(table) = &mut self.target {
            return write_foreign(table, key, value);
        }
        self.encode(value)
            .map_err(|mismatch| mismatch.at(self.target.path(), key))?;
        let buffer = &self.buffer;
        self.target
            .write(key, self.options.allow_pipes, self.flags, |sink| {
                sink.write(buffer)
            })
    }

    /// Ends the files and gives them their names.
    ///
    /// # Errors
    /// [`Error::Io`] when they cannot be, as with a full disk; [`Error::Format`] when a command failed.
    pub fn finish(self) -> Result<()> {
        match self.target {
            Target::Ark(ark) => ark.finish(),
            Target::ArkScp { ark, scp, .. } => {
                scp.withdraw_older()?;
                ark.finish()?;
                scp.finish()
            }
            Target::Scp(..) => Ok(()),
            Target::Foreign(table) => table.finish(),
        }
    }

    fn encode(&mut self, value: &T) -> Result<(), super::Mismatch> {
        self.buffer.clear();
        if self.flags.text {
            return value.write_text(&mut self.buffer);
        }
        self.buffer.extend_from_slice(b"\0B");
        value.write_binary(self.options.compression, &mut self.buffer)
    }
}

impl TableWriter<Array2<f32>> {
    /// Writes a matrix whose rows were gathered one after the other; what is written is byte for byte what
    /// [`TableWriter::write`] would write. Compressed forms need the whole matrix in memory, since their headers tell
    /// of all its numbers; the others do not.
    ///
    /// # Errors
    /// As [`TableWriter::write`]; and [`Error::Io`] when the rows cannot be read back.
    pub fn write_rows(&mut self, key: &str, rows: RowSpool) -> Result<()> {
        if self.options.compression.is_some() || matches!(self.target, Target::Foreign(_)) {
            return self.write(key, &rows.into_matrix()?);
        }
        check_key(key, self.target.path())?;
        let text = self.flags.text;
        self.target
            .write(key, self.options.allow_pipes, self.flags, |sink| {
                rows.write(text, sink, key)
            })
    }
}

impl Target {
    fn open(to: WriteTo, options: WriteOptions) -> Result<Self> {
        let pipes = options.allow_pipes;
        Ok(match to {
            WriteTo::Ark(name) => Target::Ark(Sink::create(&name, pipes)?),
            WriteTo::ArkScp(ark, scp) => Target::ArkScp {
                ark: Sink::create(&ark, pipes)?,
                scp: Sink::create(&scp, pipes)?,
                keys: HashSet::new(),
            },
            WriteTo::Foreign(form, name) => {
                Target::Foreign(ForeignTable::create(form, Path::new(&name))?)
            }
            WriteTo::Scp(name) => {
                let entries = lines::read_table(&name)?.into_iter();
                Target::Scp(name, entries.map(|e| (e.key, e.value)).collect())
            }
        })
    }

    fn path(&self) -> &Path {
        match self {
            Target::Ark(ark) | Target::ArkScp { ark, .. } => ark.path(),
            Target::Scp(name, _) => Path::new(name),
            Target::Foreign(table) => table.path(),
        }
    }

    fn write(
        &mut self,
        key: &str,
        pipes: bool,
        flags: WriteFlags,
        object: impl FnOnce(&mut Sink) -> Result<()>,
    ) -> Result<()> {
        match self {
            Target::Ark(ark) => append(ark, key, object, flags.flush).map(drop),
            Target::ArkScp { ark, scp, keys } => {
                if !keys.insert(key.to_string()) {
                    return Err(Error::key(scp.path(), key, "each key once", "it again"));
                }
                let offset = append(ark, key, object, flags.flush)?;
                let line = format!("{key} {}:{offset}\n", ark.path().display());
                scp.write(line.as_bytes())?;
                if flags.flush { scp.flush() } else { Ok(()) }
            }
            Target::Scp(name, files) => match files.get(key) {
                Some(file) => {
                    let mut sink = Sink::create(file, pipes)?;
                    object(&mut sink)?;
                    sink.finish()
                }
                None if flags.permissive => Ok(()),
                None => Err(Error::key(&*name, key, "a file for this key", "none")),
            },
            // Takes values, not what Kaldi makes of them.
            Target::Foreign(_) => Ok(()),
        }
    }
}

/// Appends an entry; the offset of its object, at the `\0B`.
fn append(
    ark: &mut Sink,
    key: &str,
    object: impl FnOnce(&mut Sink) -> Result<()>,
    flush: bool,
) -> Result<u64> {
    ark.write(key.as_bytes())?;
    ark.write(b" ")?;
    let offset = ark.offset();
    object(ark)?;
    if flush {
        ark.flush()?;
    }
    Ok(offset)
}

/// Matrices and vectors of single precision; nothing else has a place in a table of floats.
fn write_foreign<T: KaldiObject>(table: &mut ForeignTable, key: &str, value: &T) -> Result<()> {
    let value: &dyn Any = value;
    let (matrix, vector) = (value.downcast_ref(), value.downcast_ref());
    let (rows, columns, values) = match (matrix, vector) {
        (Some(matrix), _) => {
            let matrix: &Array2<f32> = matrix;
            (
                Some(matrix.nrows()),
                matrix.ncols(),
                matrix.iter().copied().collect(),
            )
        }
        (None, Some(vector)) => {
            let vector: &Array1<f32> = vector;
            (None, vector.len(), vector.to_vec())
        }
        (None, None) => {
            let expected = "matrices or vectors of single precision for this form";
            return Err(Error::key(table.path(), key, expected, T::KIND));
        }
    };
    let values: Vec<f32> = values;
    let entry = Floats {
        rows,
        columns,
        values: &values,
    };
    table.write(key, entry)
}

fn check_key(key: &str, path: &Path) -> Result<()> {
    let odd = |c: char| c.is_ascii_whitespace() || c == '\0';
    if key.is_empty() || key.contains(odd) || key.starts_with('\u{feff}') {
        let expected = "a key without white space or a byte order mark";
        return Err(Error::key(path, key, expected, format!("{key:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn an_unfinished_table_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let mut writer = TableWriter::create(&format!("ark,scp:{at}/a,{at}/s")).unwrap();
        writer.write("a", &vec![1]).unwrap();
        drop(writer);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn text_is_kaldis() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut writer = TableWriter::create(&format!("ark,t:{}", path.display())).unwrap();
        writer
            .write("u", &ndarray::array![[0f32, 1.0, 2.0], [3.0, 4.0, 5.0]])
            .unwrap();
        writer.write("e", &Array2::zeros((0, 0))).unwrap();
        writer.finish().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, "u  [\n  0 1 2 \n  3 4 5 ]\ne  [ ]\n");
    }

    #[test]
    fn bad_keys_and_values_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let mut writer = TableWriter::create(&format!("ark,scp:{at}/a,{at}/s")).unwrap();
        let value = Array2::<f32>::zeros((2, 2));
        writer.write("a", &value).unwrap();
        for key in ["", "a b", "a"] {
            assert!(writer.write(key, &value).is_err(), "{key:?}");
        }
        let error = writer
            .write("b", &Array2::zeros((2, 0)))
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("a: b: expected rows and columns, or neither, found 2 by 0"),
            "{error}"
        );
    }

    #[test]
    fn compression_is_for_binary_matrices() {
        let options = WriteOptions {
            compression: Some(Compression::Auto),
            ..WriteOptions::default()
        };
        assert!(TableWriter::<Array1<f32>>::create_with("ark:-", options).is_err());
        assert!(TableWriter::<Array2<f32>>::create_with("ark,t:-", options).is_err());
    }

    #[test]
    fn a_list_decides_where_each_object_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (scp, file) = (dir.path().join("s"), dir.path().join("a.vec"));
        std::fs::write(&scp, format!("a {}\n", file.display())).unwrap();
        let mut writer = TableWriter::create(&format!("scp,t:{}", scp.display())).unwrap();
        writer.write("a", &vec![1, 2]).unwrap();
        assert!(writer.write("b", &vec![1]).is_err());
        assert_eq!(std::fs::read_to_string(file).unwrap(), "1 2 \n");
    }

    #[test]
    fn a_device_stays_a_device() {
        let mut writer = TableWriter::create("ark:/dev/null").unwrap();
        writer.write("a", &vec![1]).unwrap();
        writer.finish().unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }
}
