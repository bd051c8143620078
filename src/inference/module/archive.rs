//! The zip archive of a module: writing and reading its metadata.

use std::io::{self, BufReader, Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};

use flate2::CrcReader;
use flate2::read::DeflateDecoder;
use zip::read::ZipArchive;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, result::ZipError};

use super::{FORMAT, Metadata};
use crate::error::{Error, Result};
use crate::io::inputs;
use crate::io::json;

/// The path of the extra file, below the archive's own folder, as libtorch expects it.
const EXTRA: &str = "extra/unbraid.json";
/// The most bytes of code, which is compressed, unlike weights.
const MOST_UNPACKED: u64 = 1 << 26;
/// The most bytes of metadata.
const MOST_BYTES: u64 = 1 << 20;

/// The bytes of a module as libtorch writes it, with metadata; `path` is where they are to go.
///
/// # Errors
/// [`Error::Format`] naming the file.
pub(super) fn with_metadata(bytes: Vec<u8>, path: &Path, metadata: &Metadata) -> Result<Vec<u8>> {
    let odd = |error: ZipError| Error::format(path, "an archive of libtorch", error.to_string());
    let archive = ZipArchive::new(Cursor::new(&bytes[..])).map_err(odd)?;
    let root = root(&archive).unwrap_or_default();
    let json = serde_json::to_string_pretty(metadata)
        .map_err(|error| Error::format(path, "metadata JSON can hold", error.to_string()))?;
    let mut writer = ZipWriter::new_append(Cursor::new(bytes)).map_err(odd)?;
    // libtorch reads its archives without a decompressor.
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    writer
        .start_file(format!("{root}{EXTRA}"), stored)
        .map_err(odd)?;
    writer.write_all(json.as_bytes()).map_err(Error::io(path))?;
    Ok(writer.finish().map_err(odd)?.into_inner())
}

/// The archive's own folder, with a slash, in which all its files lie.
fn root<R: Read + Seek>(archive: &ZipArchive<R>) -> Option<String> {
    let first = archive.file_names().next()?.ok()?;
    Some(first[..=first.find('/')?].to_string())
}

/// The metadata of a module's file. Every byte is checked against the checksums of the archive, which libtorch ignores. No
/// part may be larger than its stated size.
///
/// # Errors
/// [`Error::Io`] naming the file; [`Error::Format`] for an incomplete archive, another kind of file, or another format;
/// [`Error::Key`] for a damaged part, and for sizes out of range.
pub(super) fn read_metadata(path: &Path) -> Result<Metadata> {
    let refuse = |found: String| Error::format(path, "a module that unbraid export wrote", found);
    let file = inputs::open(path).map_err(Error::io(path))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| match error {
        ZipError::Io(cause) => Error::io(path)(cause),
        error => refuse(format!("no whole zip archive ({error})")),
    })?;
    check_parts(&mut archive, path)?;
    let name = root(&archive).map(|root| root + EXTRA);
    let entry = match name.as_deref().map(|name| archive.by_name(name)) {
        Some(Ok(entry)) if entry.size() <= MOST_BYTES => entry,
        _ => return Err(refuse("an archive without unbraid.json".into())),
    };
    let mut json = String::new();
    (entry.take(MOST_BYTES).read_to_string(&mut json))
        .map_err(|error| refuse(format!("an unbraid.json that cannot be read ({error})")))?;
    parse(&json, path)
}

fn parse(text: &str, path: &Path) -> Result<Metadata> {
    let inside = PathBuf::from(format!("{}: unbraid.json", path.display()));
    let value: serde_json::Value = json::parse(text, &inside, 1, "metadata")?;
    // Another version may also have other fields.
    let format = &value["format"];
    if format.as_u64() != Some(FORMAT) {
        let expected = format!("a module of format {FORMAT}");
        return Err(Error::key(
            path,
            "unbraid.json",
            expected,
            format!("format {format}"),
        ));
    }
    let metadata: Metadata = json::parse(text, &inside, 1, "metadata")?;
    let checked = metadata.check();
    checked.map_err(|error| {
        Error::key(path, "unbraid.json", "sizes of a module", error.to_string())
    })?;
    Ok(metadata)
}

/// Reads every part to its end and compares it with its checksum.
fn check_parts<R: Read + Seek>(archive: &mut ZipArchive<R>, path: &Path) -> Result<()> {
    let mut unpacked = 0;
    for number in 0..archive.len() {
        let odd = |found: String| {
            let key = format!("part {number}");
            Error::key(path, key, "what libtorch writes", found)
        };
        let part = (archive.by_index_raw(number)).map_err(|error| odd(error.to_string()))?;
        let (size, crc, compression) = (part.size(), part.crc32(), part.compression());
        let content: Box<dyn Read> = match compression {
            CompressionMethod::Stored => Box::new(part),
            CompressionMethod::DEFLATE => {
                unpacked += size.min(MOST_UNPACKED + 1);
                if unpacked > MOST_UNPACKED {
                    return Err(odd(format!(
                        "more than {MOST_UNPACKED} bytes of compressed code"
                    )));
                }
                Box::new(DeflateDecoder::new(part))
            }
            other => return Err(odd(format!("a compression that is not read ({other})"))),
        };
        let mut checked = CrcReader::new(content.take(size.saturating_add(1)));
        let read =
            io::copy(&mut checked, &mut io::sink()).map_err(|error| odd(error.to_string()))?;
        if (read, checked.crc().sum()) != (size, crc) {
            return Err(odd("other bytes, by their checksum".into()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::extract::Representation;
    use crate::inference::module::Input;

    fn metadata() -> Metadata {
        Metadata {
            format: FORMAT,
            representation: Representation::Phonetic,
            input: Input::Features,
            least: 1,
            bins: 40,
            dim: 24,
            subsampling: Some(2),
            sample_rate_hz: None,
            frame_shift_s: None,
            front_end: None,
        }
    }

    #[test]
    fn metadata_comes_back_and_no_part_of_it_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pt");
        let mut writer = ZipWriter::new(std::fs::File::create(&path).unwrap());
        writer
            .start_file(
                "module/data.pkl",
                SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
            )
            .unwrap();
        writer.write_all(b"weights").unwrap();
        writer.finish().unwrap();
        let written = std::fs::read(&path).unwrap();
        let mut flipped = written.clone();
        let place = flipped
            .windows(7)
            .position(|bytes| bytes == b"weights")
            .unwrap();
        flipped[place + 3] ^= 1;
        std::fs::write(&path, flipped).unwrap();
        let message = read_metadata(&path).unwrap_err().to_string();
        let expected =
            "x.pt: part 0: expected what libtorch writes, found other bytes, by their checksum";
        assert!(message.ends_with(expected), "{message}");
        std::fs::write(&path, written).unwrap();
        let none = read_metadata(&path).unwrap_err().to_string();
        assert!(
            none.ends_with("found an archive without unbraid.json"),
            "{none}"
        );
        let bytes = std::fs::read(&path).unwrap();
        let bytes = with_metadata(bytes, &path, &metadata()).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read_metadata(&path).unwrap(), metadata());
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = read_metadata(&path).unwrap_err().to_string();
            assert!(
                error.contains("x.pt: expected a module") && error.lines().count() == 1,
                "{error}"
            );
        }
    }
}
