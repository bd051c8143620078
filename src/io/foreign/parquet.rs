//! Apache Parquet, one row per entry, uncompressed: `utterance`, `rows`, `columns` and `values`, a list of floats row by row.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::{Floats, Writer};
use crate::error::{Error, Result};
use crate::io::atomic::AtomicFile;

const SCHEMA: &str = "message table {
    required binary utterance (STRING);
    required int32 rows;
    required int32 columns;
    required group values (LIST) { repeated group list { required float element; } }
}";

/// Values per row group, which is kept in memory.
const GROUP: usize = 1 << 20;

/// A writer of one row per entry.
pub(super) struct ParquetWriter {
    path: PathBuf,
    file: SerializedFileWriter<AtomicFile>,
    group: Group,
}

/// Rows of the next row group.
#[derive(Default)]
struct Group {
    utterances: Vec<ByteArray>,
    rows: Vec<i32>,
    columns: Vec<i32>,
    values: Vec<f32>,
    /// 0 where an entry's values begin, 1 within; by the format.
    repetition: Vec<i16>,
    /// 1 for a value, 0 for an entry without any.
    definition: Vec<i16>,
}

impl std::fmt::Debug for ParquetWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "ParquetWriter({})", self.path.display())
    }
}

impl ParquetWriter {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let schema = parse_message_type(SCHEMA).map_err(refused(path))?;
        let properties = WriterProperties::builder()
            // Values hardly repeat.
            .set_dictionary_enabled(false)
            .set_created_by(concat!("unbraid ", env!("CARGO_PKG_VERSION")).into())
            .build();
        let file = AtomicFile::create(path)?;
        let file = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties));
        Ok(Self {
            file: file.map_err(refused(path))?,
            path: path.to_path_buf(),
            group: Group::default(),
        })
    }

    fn flush(&mut self) -> Result<()> {
        let group = std::mem::take(&mut self.group);
        if group.utterances.is_empty() {
            return Ok(());
        }
        let mut rows = self.file.next_row_group().map_err(refused(&self.path))?;
        let written = group.write(&mut rows).and_then(|()| rows.close());
        written.map(drop).map_err(refused(&self.path))
    }
}

impl Writer for ParquetWriter {
    fn write(&mut self, key: &str, entry: Floats) -> Result<()> {
        let size = |value: usize| {
            i32::try_from(value).map_err(|_| {
                let expected = format!("a size of at most {}", i32::MAX);
                Error::key(&self.path, key, expected, value.to_string())
            })
        };
        let (rows, columns) = (size(entry.height())?, size(entry.columns)?);
        self.group.add(key, (rows, columns), entry.values);
        match self.group.values.len() < GROUP {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.flush()?;
        let Self { path, file, .. } = *self;
        file.into_inner().map_err(refused(&path))?.commit()
    }
}

impl Group {
    fn add(&mut self, key: &str, (rows, columns): (i32, i32), values: &[f32]) {
        self.utterances.push(key.into());
        self.rows.push(rows);
        self.columns.push(columns);
        self.values.extend_from_slice(values);
        let levels = values.len().max(1);
        self.repetition.push(0);
        self.repetition.extend(std::iter::repeat_n(1, levels - 1));
        let value = i16::from(!values.is_empty());
        self.definition.extend(std::iter::repeat_n(value, levels));
    }

    fn write(&self, rows: &mut SerializedRowGroupWriter<AtomicFile>) -> Result<(), ParquetError> {
        column::<ByteArrayType>(rows, &self.utterances, None)?;
        column::<Int32Type>(rows, &self.rows, None)?;
        column::<Int32Type>(rows, &self.columns, None)?;
        let levels = (&self.definition[..], &self.repetition[..]);
        column::<FloatType>(rows, &self.values, Some(levels))
    }
}

/// The next column of a group of rows; of a list with its levels of definition and repetition.
fn column<T: DataType>(
    rows: &mut SerializedRowGroupWriter<AtomicFile>,
    values: &[T::T],
    levels: Option<(&[i16], &[i16])>,
) -> Result<(), ParquetError> {
    let mut column = rows
        .next_column()?
        .ok_or_else(|| ParquetError::General("a column too many".into()))?;
    let (definition, repetition) = levels.unzip();
    column
        .typed::<T>()
        .write_batch(values, definition, repetition)?;
    column.close()
}

fn refused(path: &Path) -> impl FnOnce(ParquetError) -> Error + '_ {
    move |error| match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => Error::io(path)(*cause),
            Err(cause) => Error::format(path, "what Parquet can hold", cause.to_string()),
        },
        error => Error::format(path, "what Parquet can hold", error.to_string()),
    }
}
