//! TensorBoard event files: TFRecord framing (length, masked CRC32C, bytes, masked CRC32C) around `Event`
//! protocol buffers of scalars, as `tensorflow/core/util/event.proto` and `summary.proto` define them.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};

/// Appends scalars to one event file.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Starts a new event file in `folder` for the steps after `step`. TensorBoard reads all files of a folder as one run,
    /// and drops these steps from earlier files.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn create(folder: &Path, step: u64) -> Result<Self> {
        let name = format!(
            "events.out.tfevents.{:010}.{:07}.{step}",
            now() as u64,
            std::process::id()
        );
        let path = folder.join(name);
        let file = File::create(&path).map_err(Error::io(&path))?;
        let mut writer = Self { path, file };
        let mut event = Vec::new();
        put_double(&mut event, 1, now());
        put_bytes(&mut event, 3, b"brain.Event:2");
        writer.record(&event)?;
        // SessionLog { status: START }
        let mut event = Vec::new();
        put_double(&mut event, 1, now());
        event.push(2 << 3);
        put_varint(&mut event, step + 1);
        put_bytes(&mut event, 7, &[1 << 3, 1]);
        writer.record(&event)?;
        Ok(writer)
    }

    /// Writes one value per tag at `step`.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn scalars(&mut self, step: u64, values: &[(String, f64)]) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut entry = Vec::new();
            put_bytes(&mut entry, 1, tag.as_bytes());
            entry.push(2 << 3 | 5);
            entry.extend((*value as f32).to_le_bytes());
            put_bytes(&mut summary, 1, &entry);
        }
        let mut event = Vec::new();
        put_double(&mut event, 1, now());
        event.push(2 << 3);
        put_varint(&mut event, step);
        put_bytes(&mut event, 5, &summary);
        self.record(&event)
    }

    fn record(&mut self, data: &[u8]) -> Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(data.len() + 16);
        record.extend(length);
        record.extend(masked_crc(&length).to_le_bytes());
        record.extend(data);
        record.extend(masked_crc(data).to_le_bytes());
        self.file.write_all(&record).map_err(Error::io(&self.path))
    }
}

/// TFRecord's checksum: CRC32C rotated by 15 bits plus a constant.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn put_double(out: &mut Vec<u8>, field: u8, value: f64) {
    out.push(field << 3 | 1);
    out.extend(value.to_le_bytes());
}
