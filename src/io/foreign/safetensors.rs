//! Safetensors: the header, which comes first, lists all tensors, so values are first written to a temporary file.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::{Floats, Writer};
use crate::error::{Error, Result};
use crate::io::atomic::AtomicFile;

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
