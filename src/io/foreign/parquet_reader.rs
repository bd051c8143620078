//! Parquet tables, read: a column of keys and one of lists of numbers (vectors), or of lists of lists (matrices). With whole
//! numbers `rows` and `columns` beside it, as our own writer has them, a list is a matrix row by row.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use half::f16;
use parquet::basic::{LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{DataType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::array::{Array, Element, Layout, Shape, Values};
use super::source::{Found, Source};
use crate::error::{Error, Result};
use crate::io::input::{Input, Positioned};
use crate::io::inputs;
use crate::io::panics::caught;

/// Names of a column of keys; the first that is there, where several columns are text.
const KEYS: [&str; 9] = [
    "utterance",
    "utterance_id",
    "utt",
    "utt_id",
    "uttid",
    "key",
    "id",
    "name",
    "file",
];

/// Numbers of the columns.
#[derive(Debug, Clone, Copy)]
struct Columns {
    keys: usize,
    values: usize,
    sizes: Option<(usize, usize)>,
}

struct Rows {
    path: PathBuf,
    keys: Vec<String>,
    file: SerializedFileReader<File>,
    columns: Columns,
    cursor: Mutex<Cursor>,
    /// Copies of all arrays, once one was read out of order: a group of rows has no index.
    spool: Mutex<Option<Spool>>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Rows({})", self.path.display())
    }
}

/// The place of the next row.
#[derive(Default)]
struct Cursor {
    row: usize,
    /// The next group of rows.
    group: usize,
    /// Rows of the present group that are left.
    left: usize,
    values: Option<ColumnReader>,
    sizes: Option<(ColumnReaderImpl<Int32Type>, ColumnReaderImpl<Int32Type>)>,
}

pub(super) fn open(path: &Path) -> Result<Found> {
    guarded(path, || index(path))
}

fn index(path: &Path) -> Result<Found> {
    let file = inputs::open(path).map_err(Error::io(path))?;
    let file = SerializedFileReader::new(file).map_err(refused(path))?;
    let columns = columns(path, file.metadata().file_metadata().schema_descr())?;
    let keys = keys(path, &file, columns.keys)?;
    Ok(Found {
        keys: keys.clone(),
        files: vec![path.to_path_buf()],
        source: Box::new(Rows {
            path: path.to_path_buf(),
            keys,
            file,
            columns,
            cursor: Mutex::default(),
            spool: Mutex::default(),
        }),
    })
}

fn columns(path: &Path, schema: &SchemaDescriptor) -> Result<Columns> {
    let all = || schema.columns().iter().enumerate();
    let name = |number: usize| schema.get_column_root(number).name();
    let texts: Vec<usize> = all()
        .filter(|(_, column)| {
            column.physical_type() == Type::BYTE_ARRAY && column.max_rep_level() == 0
        })
        .map(|(number, _)| number)
        .collect();
    let named = |known: &&str| texts.iter().find(|number| name(**number) == *known);
    let keys = match texts[..] {
        [only] => Some(only),
        _ => KEYS.iter().find_map(named).copied(),
    };
    let listed = |numbers: &[usize]| match numbers {
        [] => "none".to_string(),
        _ => numbers
            .iter()
            .map(|n| name(*n))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let keys = keys.ok_or_else(|| {
        let expected = format!(
            "one column of text, or one that is named {}",
            KEYS.join(", ")
        );
        Error::format(path, expected, listed(&texts))
    })?;
    let lists: Vec<usize> = all()
        .filter(|(_, column)| is_numeric(column) && (1..=2).contains(&column.max_rep_level()))
        .map(|(number, _)| number)
        .collect();
    let [values] = lists[..] else {
        let expected = "one column of lists of numbers";
        return Err(Error::format(path, expected, listed(&lists)));
    };
    let size = |known: &str| {
        let is = |column: &ColumnDescriptor| {
            column.physical_type() == Type::INT32 && column.max_rep_level() == 0
        };
        all()
            .find(|(number, column)| name(*number) == known && is(column))
            .map(|(number, _)| number)
    };
    Ok(Columns {
        keys,
        values,
        sizes: size("rows")
            .zip(size("columns"))
            .filter(|_| schema.column(values).max_rep_level() == 1),
    })
}

fn is_numeric(column: &ColumnDescriptor) -> bool {
    match column.physical_type() {
        Type::FLOAT | Type::DOUBLE | Type::INT32 | Type::INT64 => true,
        Type::FIXED_LEN_BYTE_ARRAY => column.logical_type_ref() == Some(&LogicalType::Float16),
        _ => false,
    }
}

fn keys(path: &Path, file: &SerializedFileReader<File>, column: usize) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group).map_err(refused(path))?;
        let rows = group.metadata().num_rows().max(0) as usize;
        let ColumnReader::ByteArrayColumnReader(mut reader) =
            group.get_column_reader(column).map_err(refused(path))?
        else {
            return Err(Error::format(path, "keys of text", "another type"));
        };
        let mut values = Vec::new();
        let (mut levels, mut read) = (Vec::new(), 0);
        while read < rows {
            let (records, ..) = reader
                .read_records(rows - read, Some(&mut levels), None, &mut values)
                .map_err(refused(path))?;
            if records == 0 {
                break;
            }
            read += records;
        }
        if values.len() != rows {
            let expected = format!("a key of each of {rows} rows");
            return Err(Error::format(path, expected, values.len().to_string()));
        }
        for value in values {
            let key = String::from_utf8(value.data().to_vec());
            keys.push(key.map_err(|_| Error::format(path, "keys in UTF-8", "other bytes"))?);
        }
    }
    Ok(keys)
}

/// A damaged table ends in an error, also where its reader panics.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    let damaged = |_| Err(Error::format(path, "a Parquet table", "damaged data"));
    caught(read).unwrap_or_else(damaged)
}

impl Rows {
    /// Reads the row that the cursor is at.
    fn next(&self, cursor: &mut Cursor) -> Result<Array> {
        guarded(&self.path, || self.next_row(cursor))
    }

    fn next_row(&self, cursor: &mut Cursor) -> Result<Array> {
        while cursor.left == 0 {
            self.next_group(cursor)?;
        }
        let wrong = |expected: &str, found: String| {
            Error::key(&self.path, &self.keys[cursor.row], expected, found)
        };
        let reader = cursor.values.as_mut().expect("a group has values");
        let descriptor = self.descriptor();
        let list = read_list(reader, &descriptor)
            .map_err(refused(&self.path))?
            .map_err(|(expected, found)| wrong(expected, found))?;
        let array = match &mut cursor.sizes {
            None => list,
            Some((rows, columns)) => {
                let size = |reader: &mut ColumnReaderImpl<Int32Type>| {
                    let (mut values, mut levels) = (Vec::new(), Vec::new());
                    let read = reader.read_records(1, Some(&mut levels), None, &mut values);
                    read.map_err(refused(&self.path))?;
                    let size = values.first().and_then(|size| usize::try_from(*size).ok());
                    size.ok_or_else(|| wrong("a size from 0", format!("{values:?}")))
                };
                let (rows, columns) = (size(rows)?, size(columns)?);
                if rows.checked_mul(columns) != Some(list.values.len()) {
                    let expected = format!("{rows} by {columns} values");
                    return Err(wrong(&expected, list.values.len().to_string()));
                }
                Array {
                    shape: Shape::Matrix(rows, columns),
                    ..list
                }
            }
        };
        cursor.row += 1;
        cursor.left -= 1;
        Ok(array)
    }

    fn descriptor(&self) -> Arc<ColumnDescriptor> {
        let metadata = self.file.metadata().file_metadata();
        metadata.schema_descr().column(self.columns.values)
    }

    fn next_group(&self, cursor: &mut Cursor) -> Result<()> {
        let place = &self.path;
        if cursor.group >= self.file.num_row_groups() {
            return Err(Error::format(
                place,
                "as many rows as keys",
                cursor.row.to_string(),
            ));
        }
        let group = self
            .file
            .get_row_group(cursor.group)
            .map_err(refused(place))?;
        let column = |number: usize| group.get_column_reader(number).map_err(refused(place));
        let whole = |number: usize| match column(number)? {
            ColumnReader::Int32ColumnReader(reader) => Ok(reader),
            _ => Err(Error::format(
                place,
                "whole numbers of rows and columns",
                "another type",
            )),
        };
        cursor.left = group.metadata().num_rows().max(0) as usize;
        cursor.values = Some(column(self.columns.values)?);
        cursor.sizes = match self.columns.sizes {
            Some((rows, columns)) => Some((whole(rows)?, whole(columns)?)),
            None => None,
        };
        cursor.group += 1;
        Ok(())
    }

    fn spooled<R>(&self, read: impl FnOnce(&Spool) -> Result<R>) -> Result<R> {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spool) = &*spool {
            return read(spool);
        }
        let mut writer = SpoolWriter::create().map_err(Error::io(&self.path))?;
        let mut cursor = Cursor::default();
        for _ in &self.keys {
            let array = self.next(&mut cursor)?;
            writer.push(&array).map_err(Error::io(&self.path))?;
        }
        read(spool.insert(writer.finish().map_err(Error::io(&self.path))?))
    }
}

impl Source for Rows {
    fn read(&self, index: usize) -> Result<Array> {
        self.spooled(|spool| {
            let (offset, layout) = spool.places[index];
            let file = Arc::clone(&spool.file);
            let mut reader = BufReader::new(Positioned { file, offset });
            layout.read(&mut Input::new(&mut reader, &self.path, &self.keys[index]))
        })
    }

    fn shape(&self, index: usize) -> Result<Shape> {
        self.spooled(|spool| Ok(spool.places[index].1.shape))
    }

    fn read_next(&self, index: usize) -> Result<Array> {
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        match cursor.row == index {
            true => self.next(&mut cursor),
            false => self.read(index),
        }
    }
}

/// The arrays of a table in a temporary file, with their places in memory.
struct Spool {
    file: Arc<File>,
    places: Vec<(u64, Layout)>,
}

struct SpoolWriter {
    file: BufWriter<File>,
    end: u64,
    places: Vec<(u64, Layout)>,
}

impl SpoolWriter {
    fn create() -> std::io::Result<Self> {
        Ok(Self {
            file: BufWriter::new(tempfile::tempfile()?),
            end: 0,
            places: Vec::new(),
        })
    }

    fn push(&mut self, array: &Array) -> std::io::Result<()> {
        let element = match &array.values {
            Values::Single(values) => {
                values
                    .iter()
                    .try_for_each(|x| self.file.write_all(&x.to_le_bytes()))?;
                Element::F32
            }
            Values::Double(values) => {
                values
                    .iter()
                    .try_for_each(|x| self.file.write_all(&x.to_le_bytes()))?;
                Element::F64
            }
            Values::Integer(values) => {
                values
                    .iter()
                    .try_for_each(|x| self.file.write_all(&x.to_le_bytes()))?;
                Element::Integer {
                    bytes: 8,
                    signed: true,
                }
            }
        };
        let layout = Layout::of(element, array.shape);
        self.places.push((self.end, layout));
        self.end += layout.bytes();
        Ok(())
    }

    fn finish(self) -> std::io::Result<Spool> {
        let file = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        Ok(Spool {
            file: Arc::new(file),
            places: self.places,
        })
    }
}

type Levels = Vec<i16>;
/// Values with their levels of definition and repetition.
type Levelled<T> = (Vec<T>, (Levels, Levels));
type Odd = (&'static str, String);

/// Reads the list of a row. The inner error is what was expected and found of its values.
fn read_list(
    reader: &mut ColumnReader,
    column: &ColumnDescriptor,
) -> Result<Result<Array, Odd>, ParquetError> {
    let (values, levels) = match reader {
        ColumnReader::FloatColumnReader(r) => read_one(r).map(|(v, l)| (Values::Single(v), l))?,
        ColumnReader::DoubleColumnReader(r) => read_one(r).map(|(v, l)| (Values::Double(v), l))?,
        ColumnReader::Int32ColumnReader(r) => read_one(r)
            .map(|(v, l)| (Values::Integer(v.into_iter().map(i64::from).collect()), l))?,
        ColumnReader::Int64ColumnReader(r) => read_one(r).map(|(v, l)| (Values::Integer(v), l))?,
        ColumnReader::FixedLenByteArrayColumnReader(r) => {
            let (values, levels) = read_one(r)?;
            let half = |value: &[u8]| value.try_into().map(|b| f16::from_le_bytes(b).to_f32());
            let values = values
                .iter()
                .map(|value| half(value.data()).unwrap_or(f32::NAN));
            (Values::Single(values.collect()), levels)
        }
        _ => return Err(ParquetError::General("values that are no numbers".into())),
    };
    Ok(shape(&values, &levels, column).map(|shape| Array { shape, values }))
}

/// The values of one row, with their levels of definition and repetition.
fn read_one<T: DataType>(reader: &mut ColumnReaderImpl<T>) -> Result<Levelled<T::T>, ParquetError> {
    let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
    let (records, ..) =
        reader.read_records(1, Some(&mut definition), Some(&mut repetition), &mut values)?;
    match records {
        1 => Ok((values, (definition, repetition))),
        _ => Err(ParquetError::EOF("a row is missing".into())),
    }
}

fn shape(
    values: &Values,
    (definition, repetition): &(Levels, Levels),
    column: &ColumnDescriptor,
) -> Result<Shape, Odd> {
    let full = column.max_def_level();
    let absent = definition.iter().filter(|level| **level < full).count();
    // An empty list takes one level, too, but a lower one than that of an element that may be null.
    let null = |level: &i16| column.self_type().is_optional() && *level == full - 1;
    if definition.iter().any(null) {
        return Err(("numbers", "a null".into()));
    }
    if column.max_rep_level() == 1 {
        return Ok(Shape::Vector(values.len()));
    }
    if absent > 0 {
        return match values.is_empty() && absent == 1 {
            true => Ok(Shape::Matrix(0, 0)),
            false => Err(("lists of numbers", "an empty one".into())),
        };
    }
    let starts = || {
        repetition
            .iter()
            .enumerate()
            .filter(|(_, level)| **level < 2)
    };
    let rows = starts().count();
    let columns = values.len().checked_div(rows).unwrap_or(0);
    match starts()
        .enumerate()
        .all(|(row, (at, _))| at == row * columns)
        && rows * columns == values.len()
    {
        true => Ok(Shape::Matrix(rows, columns)),
        false => Err(("lists of one length", "others".into())),
    }
}

fn refused(path: &Path) -> impl Fn(ParquetError) -> Error + '_ {
    move |error| match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => Error::io(path)(*cause),
            Err(cause) => Error::format(path, "a Parquet table", cause.to_string()),
        },
        error => Error::format(path, "a Parquet table", error.to_string()),
    }
}
