//! Safetensors: the header, which comes first, lists all tensors. So values are first written to a temporary file, and a
//! reader finds each tensor without the others.

use std::fs::File;
use std::io::{self, BufReader, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::array::{Array, Element, Layout, Shape};
use super::source::{Found, Source};
use super::{Floats, Writer};
use crate::error::{Error, Result};
use crate::io::atomic::AtomicFile;
use crate::io::input::{Input, Positioned};
use crate::io::inputs;

/// The longest header, as in the format's own reader.
const HEADER_BYTES: u64 = 100_000_000;

/// A writer of one tensor per entry.
#[derive(Debug)]
pub(super) struct SafetensorsWriter {
    file: AtomicFile,
    values: io::BufWriter<File>,
    tensors: Vec<(String, TensorInfo)>,
    bytes: usize,
}

impl SafetensorsWriter {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        // Beside the table, where there is space for it.
        let values = tempfile::tempfile_in(folder.unwrap_or(Path::new(".")));
        Ok(Self {
            file: AtomicFile::create(path)?,
            values: io::BufWriter::new(values.map_err(Error::io(path))?),
            tensors: Vec::new(),
            bytes: 0,
        })
    }
}

impl Writer for SafetensorsWriter {
    fn write(&mut self, key: &str, entry: Floats) -> Result<()> {
        if key == "__metadata__" {
            let expected = "a key that safetensors does not keep for itself";
            return Err(Error::key(self.file.path(), key, expected, "it"));
        }
        let bytes = entry.bytes();
        let written = self.values.write_all(&bytes);
        written.map_err(|e| Error::io(self.file.path())(e))?;
        let end = self.bytes + bytes.len();
        let shape = entry.rows.into_iter().chain([entry.columns]).collect();
        let info = TensorInfo {
            dtype: Dtype::F32,
            shape,
            data_offsets: (self.bytes, end),
        };
        self.tensors.push((key.to_string(), info));
        self.bytes = end;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self {
            mut file,
            values,
            tensors,
            ..
        } = *self;
        let refuse =
            |error: String| Error::format(file.path(), "what a header can represent", error);
        let header = Metadata::new(None, tensors).map_err(|e| refuse(e.to_string()))?;
        let mut header = serde_json::to_vec(&header).map_err(|e| refuse(e.to_string()))?;
        // The values begin at a multiple of eight bytes.
        header.resize(header.len().next_multiple_of(8), b' ');
        let written = join(&mut file, &header, values);
        written.map_err(|e| Error::io(file.path())(e))?;
        file.commit()
    }
}

fn join(file: &mut AtomicFile, header: &[u8], values: io::BufWriter<File>) -> io::Result<()> {
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header)?;
    let mut values = values
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    values.rewind()?;
    io::copy(&mut values, file).map(drop)
}

/// The tensors of a file, read by name.
#[derive(Debug)]
struct Tensors {
    path: PathBuf,
    file: Arc<File>,
    /// Name, type, dimensions and first byte in the file.
    tensors: Vec<(String, TensorInfo, u64)>,
}

/// Opens a file: one tensor per utterance, in the order of their bytes.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] for another file, or one that ends early.
pub(super) fn open(path: &Path) -> Result<Found> {
    let file = Arc::new(inputs::open(path).map_err(Error::io(path))?);
    let length = file.metadata().map_err(Error::io(path))?.len();
    let mut reader = BufReader::new(Positioned {
        file: Arc::clone(&file),
        offset: 0,
    });
    let mut input = Input::new(&mut reader, path, "the header");
    let header = u64::from_le_bytes(input.array("the length of a header")?);
    if header > HEADER_BYTES {
        let expected = format!("a safetensors file, whose header has at most {HEADER_BYTES} bytes");
        return Err(Error::format(path, expected, header.to_string()));
    }
    let text = input.bytes(header, "a header")?;
    let metadata: Metadata = serde_json::from_slice(&text)
        .map_err(|error| Error::format(path, "a header of safetensors", error.to_string()))?;
    let begin = 8 + header;
    let needed = begin + metadata.data_len() as u64;
    if length != needed {
        let expected = format!("{needed} bytes, as its header says");
        return Err(Error::format(path, expected, length.to_string()));
    }
    let keys = metadata.offset_keys();
    let place = |key: &String| {
        let info = metadata.info(key)?.clone();
        let offset = begin + info.data_offsets.0 as u64;
        Some((key.clone(), info, offset))
    };
    let tensors = keys.iter().filter_map(place).collect();
    Ok(Found {
        keys,
        files: vec![path.to_path_buf()],
        source: Box::new(Tensors {
            path: path.to_path_buf(),
            file,
            tensors,
        }),
    })
}

impl Tensors {
    fn layout(&self, index: usize) -> Result<Layout> {
        let (key, info, _) = &self.tensors[index];
        let wrong = |expected: &str, found: String| Error::key(&self.path, key, expected, found);
        let element = element(info.dtype).ok_or_else(|| {
            let expected = "floats of 16, 32 or 64 bits or integers of 8 to 64";
            wrong(expected, format!("{:?}", info.dtype))
        })?;
        Layout::new(element, (false, false), &info.shape)
            .map_err(|(expected, found)| wrong(expected, found))
    }
}

impl Source for Tensors {
    fn read(&self, index: usize) -> Result<Array> {
        let (key, _, offset) = &self.tensors[index];
        let mut reader = BufReader::new(Positioned {
            file: Arc::clone(&self.file),
            offset: *offset,
        });
        let mut input = Input::new(&mut reader, &self.path, key);
        self.layout(index)?.read(&mut input)
    }

    fn shape(&self, index: usize) -> Result<Shape> {
        self.layout(index).map(|layout| layout.shape)
    }
}

fn element(dtype: Dtype) -> Option<Element> {
    let integer = |bytes, signed| Some(Element::Integer { bytes, signed });
    match dtype {
        Dtype::F16 => Some(Element::F16),
        Dtype::BF16 => Some(Element::BF16),
        Dtype::F32 => Some(Element::F32),
        Dtype::F64 => Some(Element::F64),
        Dtype::BOOL | Dtype::U8 => integer(1, false),
        Dtype::U16 => integer(2, false),
        Dtype::U32 => integer(4, false),
        Dtype::U64 => integer(8, false),
        Dtype::I8 => integer(1, true),
        Dtype::I16 => integer(2, true),
        Dtype::I32 => integer(4, true),
        Dtype::I64 => integer(8, true),
        _ => None,
    }
}
