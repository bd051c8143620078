//! Tables read in order, from archives and lists, files and streams.

use std::io::BufRead;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use super::files::{OpenFiles, Place};
use super::location::{self, Location};
use super::object::{self, KaldiObject};
use super::specifier::{ReadFlags, ReadFrom, ReadSpecifier};
use crate::error::{Error, Result};
use crate::io::foreign::ForeignReader;
use crate::io::input::Input;
use crate::io::lines::{self, Entry};

/// The longest key; with a longer one the file is not an archive.
const KEY_BYTES: usize = 4096;

/// The most objects that a background thread reads ahead under `bg`.
const READ_AHEAD: usize = 4;

/// Options of reading.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions {
    /// Whether `command |` may run.
    pub allow_pipes: bool,
}

type Entries<T> = Box<dyn Iterator<Item = Result<(String, T)>> + Send>;

/// The entries `(key, object)` of a table in its order. An error is the last item, except for `scp` lists, whose entries are
/// independent.
pub struct TableReader<T> {
    entries: Entries<T>,
}

impl<T: KaldiObject> TableReader<T> {
    /// Opens the table of a read specifier. Pipes are not run.
    ///
    /// # Errors
    /// [`Error::Option`] for a wrong specifier, [`Error::Io`] for what cannot be opened, [`Error::Line`] for
    /// a line of a list that names no place. Reading on: [`Error::Key`] for an object that is not a `T` or
    /// is truncated.
    pub fn open(specifier: &str) -> Result<Self> {
        Self::open_with(specifier, ReadOptions::default())
    }

    /// [`TableReader::open`] with options.
    ///
    /// # Errors
    /// As [`TableReader::open`].
    pub fn open_with(specifier: &str, options: ReadOptions) -> Result<Self> {
        Self::of(&ReadSpecifier::parse(specifier)?, options)
    }

    /// [`TableReader::open`] of a specifier that was parsed.
    ///
    /// # Errors
    /// As [`TableReader::open`].
    pub fn of(specifier: &ReadSpecifier, options: ReadOptions) -> Result<Self> {
        let ReadSpecifier { from, flags } = specifier;
        let (path, entries) = match from {
            ReadFrom::Foreign(form, name) => {
                let table = ForeignReader::open(*form, Path::new(name))?;
                let path = table.path().to_path_buf();
                (path, foreign_entries(table, flags.permissive))
            }
            ReadFrom::Ark(name) | ReadFrom::Scp(name) => {
                let location = Location::parse(name).map_err(|found| {
                    Error::option(format!("'{specifier}'"), "a name to read from", found)
                })?;
                let stream = location::open(&location, options.allow_pipes)?;
                let path = location.path();
                let entries: Entries<T> = match from {
                    ReadFrom::Scp(_) => Box::new(ScpEntries::open(stream, &path, *flags, options)?),
                    _ => Box::new(ArkEntries::new(stream, path.clone(), *flags)),
                };
                (path, entries)
            }
        };
        let entries = match flags.sorted {
            true => in_order(entries, path),
            false => entries,
        };
        let entries = match flags.background {
            true => ahead(entries, READ_AHEAD)?,
            false => entries,
        };
        Ok(Self { entries })
    }

    /// The same entries, read by another thread, up to `count` before they are asked for.
    ///
    /// # Errors
    /// [`Error::Io`] where there can be no other thread.
    pub fn ahead(self, count: usize) -> Result<Self> {
        let entries = ahead(self.entries, count)?;
        Ok(Self { entries })
    }
}

/// The arrays of another program's table. As in a list, one that cannot be read does not end the others.
fn foreign_entries<T: KaldiObject>(table: ForeignReader, permissive: bool) -> Entries<T> {
    let count = table.keys().len();
    let entry = move |index: usize| {
        let key = table.keys()[index].clone();
        let value = object::of_array(table.read_next(index)?, table.path(), &key)?;
        Ok((key, value))
    };
    Box::new(
        (0..count)
            .map(entry)
            .filter(move |entry| entry.is_ok() || !permissive),
    )
}

impl<T> Iterator for TableReader<T> {
    type Item = Result<(String, T)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next()
    }
}

/// Reads the one object that a file, `file:offset` or `command |` holds without a key, as Kaldi's tools for single
/// matrices write it.
///
/// # Errors
/// [`Error::Option`] for a name that is none, [`Error::Io`] for what cannot be opened, [`Error::Key`] for what is not a
/// `T`, is truncated or has more bytes.
pub fn read_bare<T: KaldiObject>(name: &str, options: ReadOptions) -> Result<T> {
    let location = Location::parse(name)
        .map_err(|found| Error::option(format!("'{name}'"), "a name to read from", found))?;
    let (mut stream, path) = (
        location::open(&location, options.allow_pipes)?,
        location.path(),
    );
    let mut input = Input::new(&mut stream, &path, "the object");
    let value = object::read(&mut input)?;
    match (&location, input.peek()?) {
        // After an offset of an archive, its other entries follow.
        (Location::File { offset: 1.., .. }, _) | (_, None) => Ok(value),
        (_, Some(_)) => Err(input.fault("one object without a key", "more after it")),
    }
}

/// An archive from its beginning to its end.
struct ArkEntries<T> {
    stream: Box<dyn BufRead + Send>,
    path: PathBuf,
    begun: bool,
    permissive: bool,
    over: bool,
    object: PhantomData<fn() -> T>,
}

impl<T: KaldiObject> ArkEntries<T> {
    fn new(stream: Box<dyn BufRead + Send>, path: PathBuf, flags: ReadFlags) -> Self {
        Self {
            stream,
            path,
            begun: false,
            permissive: flags.permissive,
            over: false,
            object: PhantomData,
        }
    }

    fn read(&mut self) -> Result<Option<(String, T)>> {
        let first = !std::mem::replace(&mut self.begun, true);
        let Some(key) = read_key(&mut self.stream, &self.path, first)? else {
            return Ok(None);
        };
        let value = object::read(&mut Input::new(&mut self.stream, &self.path, &key))?;
        Ok(Some((key, value)))
    }
}

impl<T: KaldiObject> Iterator for ArkEntries<T> {
    type Item = Result<(String, T)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let entry = self.read().transpose();
        self.over = !matches!(entry, Some(Ok(_)));
        entry.filter(|entry| entry.is_ok() || !self.permissive)
    }
}

/// Reads a key and the space or tab after it; a newline is left, as the text of an empty object. A byte order mark before the
/// first key of a file is skipped.
fn read_key(stream: &mut dyn BufRead, path: &Path, first: bool) -> Result<Option<String>> {
    let mut input = Input::new(stream, path, "");
    while matches!(input.peek()?, Some(byte) if byte.is_ascii_whitespace()) {
        input.skip();
    }
    let mut key = Vec::new();
    loop {
        match input.peek()? {
            None if key.is_empty() => return Ok(None),
            Some(b' ' | b'\t') => {
                input.skip();
                break;
            }
            Some(b'\n') => break,
            Some(byte) if key.len() < KEY_BYTES && byte != 0 => key.push(byte),
            byte => {
                let found = match byte {
                    None => "the end of the file",
                    Some(0) if first && key.is_empty() => "an object without a key",
                    Some(0) => "a zero byte",
                    Some(_) => "a longer one",
                };
                let expected = format!("a key of at most {KEY_BYTES} bytes and a space");
                return Err(Error::format(path, expected, found));
            }
        }
        input.skip();
    }
    if first {
        key.drain(..key.len() - lines::without_mark(&key).len());
    }
    if key.is_empty() || lines::without_mark(&key).len() < key.len() {
        return Err(Error::format(path, "a key", "a byte order mark"));
    }
    String::from_utf8(key)
        .map(Some)
        .map_err(|_| Error::format(path, "a key in UTF-8", "other bytes"))
}

/// The objects that a list names.
struct ScpEntries<T> {
    places: std::vec::IntoIter<(String, Place)>,
    files: OpenFiles,
    permissive: bool,
    object: PhantomData<fn() -> T>,
}

impl<T: KaldiObject> ScpEntries<T> {
    fn open(
        mut stream: Box<dyn BufRead + Send>,
        path: &Path,
        flags: ReadFlags,
        options: ReadOptions,
    ) -> Result<Self> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map_err(Error::io(path))?;
        let places: Vec<_> = lines::parse(path, &bytes)?
            .into_iter()
            .map(|entry| Ok((place_of(path, &entry)?, entry.key)))
            .map(|pair| pair.map(|(place, key)| (key, place)))
            .collect::<Result<_>>()?;
        Ok(Self {
            places: places.into_iter(),
            files: OpenFiles::new(options.allow_pipes),
            permissive: flags.permissive,
            object: PhantomData,
        })
    }
}

impl<T: KaldiObject> Iterator for ScpEntries<T> {
    type Item = Result<(String, T)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (key, place) = self.places.next()?;
            match self.files.read(&key, &place) {
                Ok(value) => return Some(Ok((key, value))),
                Err(_) if self.permissive => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The location in a list's line.
pub(super) fn place_of(path: &Path, entry: &Entry) -> Result<Place> {
    let expected = "a key and a file, file:offset or 'command |', and perhaps a range";
    Place::parse(&entry.value).map_err(|found| Error::line(path, entry.line, expected, found))
}

/// Checks that keys are sorted, if the specifier states it.
fn in_order<T: 'static>(entries: Entries<T>, path: PathBuf) -> Entries<T> {
    let mut last = String::new();
    Box::new(entries.map(move |entry| {
        let (key, value) = entry?;
        if key <= last {
            let expected = format!("keys in byte order, as ',s' states: one after '{last}'");
            return Err(Error::key(&path, &key, expected, format!("'{key}'")));
        }
        last.clone_from(&key);
        Ok((key, value))
    }))
}

/// Reads ahead in a thread, which ends when its objects are no longer needed.
fn ahead<T: Send + 'static>(entries: Entries<T>, count: usize) -> Result<Entries<T>> {
    let (sender, receiver) = mpsc::sync_channel(count);
    let thread = std::thread::Builder::new()
        .name("table reader".into())
        .spawn(move || {
            for entry in entries {
                if sender.send(entry).is_err() {
                    return;
                }
            }
        })
        .map_err(Error::io("a thread that reads ahead"))?;
    // The end may be that of a panic, after which a table is no shorter.
    let mut thread = Some(thread);
    let end = std::iter::from_fn(move || {
        if let Some(Err(panic)) = thread.take().map(JoinHandle::join) {
            resume_unwind(panic);
        }
        None
    });
    Ok(Box::new(receiver.into_iter().chain(end)))
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use ndarray::{Array1, Array2, array};

    use super::super::{Compression, TableWriter, WriteOptions};
    use super::*;

    type All<T> = Result<Vec<(String, T)>>;

    #[test]
    #[should_panic = "a broken reader"]
    fn a_panic_of_the_thread_that_reads_ahead_is_no_end() {
        let entries = (0..3).map(|place| match place {
            2 => panic!("a broken reader"),
            place => Ok((place.to_string(), vec![place])),
        });
        let entries = Box::new(entries);
        let read = TableReader { entries }.ahead(8).unwrap();
        let _ = read.count();
    }

    fn read_all<T: KaldiObject>(specifier: &str) -> All<T> {
        TableReader::open(specifier)?.collect()
    }

    fn matrix() -> Array2<f32> {
        Array2::from_shape_fn((9, 2), |(r, c)| {
            (r as f32 - 3.3) * 10f32.powi(c as i32 * 20 - 9)
        })
    }

    /// What a table of two entries reads back as, through a specifier's options.
    fn round_trip<T: KaldiObject + Clone>(value: &T, flags: &str, options: WriteOptions) -> Vec<T> {
        let dir = tempfile::tempdir().unwrap();
        let (ark, scp) = (dir.path().join("a.ark"), dir.path().join("a.scp"));
        let name = format!("ark,scp{flags}:{},{}", ark.display(), scp.display());
        let mut writer = TableWriter::create_with(&name, options).unwrap();
        writer.write("a", value).unwrap();
        writer.write("b", value).unwrap();
        writer.finish().unwrap();
        let mut values = Vec::new();
        for specifier in ["ark", "scp,s,bg", "ark,bg"] {
            let file = if specifier.starts_with("ark") {
                &ark
            } else {
                &scp
            };
            let read = read_all::<T>(&format!("{specifier}:{}", file.display())).unwrap();
            assert_eq!(
                read.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(),
                ["a", "b"]
            );
            values.extend(read.into_iter().map(|(_, value)| value));
        }
        values
    }

    #[test]
    fn what_is_written_is_read() {
        fn check<T: KaldiObject + Clone + PartialEq + Debug>(values: &[T]) {
            for (value, flags) in values.iter().flat_map(|v| [(v, ""), (v, ",t"), (v, ",f")]) {
                for read in round_trip(value, flags, WriteOptions::default()) {
                    assert_eq!(&read, value, "{flags}");
                }
            }
        }
        check(&[matrix(), Array2::zeros((0, 0)), Array2::ones((1, 1))]);
        check(&[Array1::from_vec(vec![1.5, -2e-9]), Array1::zeros(0)]);
        check(&[vec![1, -2, i32::MIN, i32::MAX], vec![]]);
    }

    /// The bytes of an archive with one entry.
    fn archive<T: KaldiObject>(
        value: &T,
        flags: &str,
        compression: Option<Compression>,
    ) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ark");
        let options = WriteOptions {
            compression,
            ..WriteOptions::default()
        };
        let name = format!("ark{flags}:{}", path.display());
        let mut writer = TableWriter::create_with(&name, options).unwrap();
        writer.write("key", value).unwrap();
        writer.finish().unwrap();
        std::fs::read(path).unwrap()
    }

    fn read_bytes<T: KaldiObject>(bytes: &[u8], flags: &str) -> All<T> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read_all(&format!("ark{flags}:{}", file.path().display()))
    }

    fn truncate<T: KaldiObject>(bytes: &[u8], from: usize) {
        assert!(read_bytes::<T>(bytes, "").is_ok());
        for end in from..bytes.len() {
            let result = read_bytes::<T>(&bytes[..end], "");
            let error = result
                .err()
                .unwrap_or_else(|| panic!("{end} bytes are enough"));
            assert!(error.to_string().contains("the end of the file"), "{error}");
            assert_eq!(read_bytes::<T>(&bytes[..end], ",p").unwrap().len(), 0);
        }
    }

    #[test]
    fn a_file_truncated_at_any_byte_is_refused() {
        for compression in [
            None,
            Some(Compression::ColumnHeaders),
            Some(Compression::TwoByte),
            Some(Compression::OneByte),
        ] {
            truncate::<Array2<f32>>(&archive(&matrix(), "", compression), 1);
        }
        truncate::<Array1<f32>>(&archive(&Array1::from_vec(vec![1.0, 2.0]), "", None), 1);
        truncate::<Vec<i32>>(&archive(&vec![1, 2], "", None), 5);
        // Text without its newline is whole; numbers without their bracket are not.
        let text = archive(&matrix(), ",t", None);
        truncate::<Array2<f32>>(&text[..text.len() - 1], 1);
    }

    #[test]
    fn absurd_sizes_take_no_memory() {
        for (head, expected) in [
            (
                &b"k \0BFM \x04\xff\xff\xff\x7f\x04\xff\xff\xff\x7f"[..],
                "bytes of single precision",
            ),
            (
                b"k \0BDM \x04\xff\xff\xff\x7f\x04\xff\xff\xff\x7f",
                "bytes of double precision",
            ),
            (
                b"k \0BFM \x04\xff\xff\xff\xff\x04\x01\0\0\0",
                "a number of rows from 0, found -1",
            ),
            (
                b"k \0BFM \x04\x02\0\0\0\x04\0\0\0\0",
                "rows and columns, or neither, found 2 by 0",
            ),
            (
                b"k \0BFM \x08\x02\0\0\0",
                "the byte 4 before a number of rows, found 8",
            ),
            (
                b"k \0BCM \0\0\0\0\0\0\0\0\xff\xff\xff\x7f\xff\xff\xff\x7f",
                "bytes of column headers",
            ),
            (
                b"k \0BFV \x04\x01\0\0\0\0\0\0\0",
                "a matrix, found a vector",
            ),
            (b"k \0X", "the binary mark \\0B"),
            (b"k  [ 1 2\n 3 ]\n", "2 numbers in each row, found 1"),
            (b"k  [ 1 x ]\n", "a number, found 'x'"),
            (b"k 1 2\n", "'[' or the binary mark \\0B, found '1'"),
            (b"k  [ 1 ] 2\n", "the end of the line after ']'"),
            (
                b"\0B",
                "a key of at most 4096 bytes and a space, found an object without a key",
            ),
        ] {
            let error = read_bytes::<Array2<f32>>(head, "").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let ints = read_bytes::<Vec<i32>>(b"k \0B\x04\xff\xff\xff\x7f\x04", "");
        assert!(ints.unwrap_err().to_string().contains("bytes of integers"));
    }

    #[test]
    fn a_bare_object_has_its_file_to_itself() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().display().to_string();
        let bytes = archive(&matrix(), "", None);
        let read = |bytes: &[u8], name: &str| {
            std::fs::write(file.path(), bytes).unwrap();
            read_bare::<Array2<f32>>(name, ReadOptions::default())
        };
        assert_eq!(read(&bytes[4..], &name).unwrap(), matrix());
        assert_eq!(
            read(b" [ 1 2\n 3 4 ]\n", &name).unwrap(),
            array![[1.0, 2.0], [3.0, 4.0]]
        );
        let twice = [&bytes[..], &bytes[..]].concat();
        assert_eq!(read(&twice, &format!("{name}:4")).unwrap(), matrix());
        let error = read(&twice[4..], &name).unwrap_err().to_string();
        assert!(
            error.contains("expected one object without a key"),
            "{error}"
        );
        assert!(read(&bytes[4..bytes.len() - 1], &name).is_err());
        assert!(read_bare::<Array2<f32>>("no/such", ReadOptions::default()).is_err());
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_key() {
        let read = read_bytes::<Vec<i32>>(b"\xef\xbb\xbfa 1 2\r\nb 3\r\n", "").unwrap();
        assert_eq!(
            read,
            [("a".to_string(), vec![1, 2]), ("b".to_string(), vec![3])]
        );
        for bytes in [
            &b"\xef\xbb\xbf\xef\xbb\xbfa 1\n"[..],
            b"\xef\xbb\xbf 1\n",
            b"a 1\n\xef\xbb\xbfb 1\n",
        ] {
            let error = read_bytes::<Vec<i32>>(bytes, "").unwrap_err().to_string();
            assert!(
                error.ends_with("expected a key, found a byte order mark"),
                "{error}"
            );
        }
    }

    #[test]
    fn no_byte_of_nonsense_is_believed() {
        let compressed = Some(Compression::ColumnHeaders);
        for bytes in [
            archive(&matrix(), "", None),
            archive(&matrix(), "", compressed),
            archive(&matrix(), ",t", None),
            archive(&vec![1, 2], "", None),
        ] {
            for (at, odd) in
                (0..bytes.len()).flat_map(|at| [0, 4, b'[', 0x7f, 0xff].map(|b| (at, b)))
            {
                let mut bytes = bytes.clone();
                bytes[at] = odd;
                // What it reads as is not the point: it ends, with neither panic nor gigabytes.
                drop(read_bytes::<Array2<f32>>(&bytes, ""));
                drop(read_bytes::<Vec<i32>>(&bytes, ""));
            }
        }
    }

    #[test]
    fn the_word_that_keys_are_sorted_is_held() {
        let error = read_bytes::<Vec<i32>>(b"b 1\na 1\n", ",s")
            .unwrap_err()
            .to_string();
        assert!(error.contains("one after 'b', found 'a'"), "{error}");
        assert_eq!(
            read_bytes::<Vec<i32>>(b"b 1\na \nc\n", "").unwrap().len(),
            3
        );
    }

    #[test]
    fn a_permissive_list_passes_over_what_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let (ark, scp) = (dir.path().join("a"), dir.path().join("s"));
        std::fs::write(&ark, archive(&vec![7], "", None)).unwrap();
        let lines = format!("x no/such:3\ny {0}:4\nz {0}:4[1:1]\n", ark.display());
        std::fs::write(&scp, lines).unwrap();
        let read = read_all::<Vec<i32>>(&format!("scp,p:{}", scp.display())).unwrap();
        assert_eq!(read, [("y".to_string(), vec![7])]);
        let error = read_all::<Vec<i32>>(&format!("scp:{}", scp.display())).unwrap_err();
        assert!(error.to_string().starts_with("no/such: "), "{error}");
    }
}
