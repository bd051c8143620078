//! WAV through hound, which is handed the `fmt ` and `data` chunks alone: it refuses chunks of odd length
//! and the open sizes that programs write to a pipe, and both are common.

use std::io::{Cursor, Read};
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::{Decoded, Waveform};
use crate::error::{Error, Result};
use crate::io::atomic::AtomicFile;

/// Sizes from here to 0x7fffffff stand for "unknown" in what sox writes to a pipe.
const SOX_OPEN_SIZE: u32 = 0x7fff_f000;

pub(super) fn decode(bytes: &[u8], name: &Path) -> Result<Decoded> {
    let chunks = Chunks::find(bytes, name)?;
    let header = chunks.header();
    let reader = WavReader::new(Cursor::new(header).chain(chunks.data))
        .map_err(|error| wav_error(name, &error))?;
    let spec = reader.spec();
    Ok(Decoded {
        interleaved: samples(reader, spec).map_err(|error| wav_error(name, &error))?,
        channels: usize::from(spec.channels),
        sample_rate_hz: spec.sample_rate,
    })
}

fn samples<R: Read>(mut reader: WavReader<R>, spec: WavSpec) -> hound::Result<Vec<f32>> {
    match spec.sample_format {
        SampleFormat::Float => reader.samples::<f32>().collect(),
        SampleFormat::Int => {
            // In f64, since 32-bit integers do not fit f32's 24 bits before the one rounding at the end.
            let full_scale = (1u64 << (spec.bits_per_sample - 1)) as f64;
            (reader.samples::<i32>())
                .map(|sample| sample.map(|value| (f64::from(value) / full_scale) as f32))
                .collect()
        }
    }
}

/// The two chunks that matter.
struct Chunks<'a> {
    fmt: &'a [u8],
    data: &'a [u8],
}

impl<'a> Chunks<'a> {
    /// Walks the RIFF chunks up to `data` (Multimedia Programming Interface and Data Specifications 1.0,
    /// chapter 2: a four-letter name, a little-endian size, the content, a pad byte after an odd size).
    fn find(bytes: &'a [u8], name: &Path) -> Result<Self> {
        if bytes.get(8..12) != Some(b"WAVE") {
            let found = "another or cut header";
            return Err(Error::format(name, "a RIFF file of type WAVE", found));
        }
        let mut fmt = None;
        let mut rest = &bytes[12..];
        while let Some((head, content)) = rest.split_first_chunk::<8>() {
            let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            match &head[..4] {
                b"data" => {
                    let fmt = fmt.ok_or_else(|| {
                        Error::format(name, "a fmt chunk before the data", "none")
                    })?;
                    let data = data_chunk(content, size, fmt, name)?;
                    return Ok(Self { fmt, data });
                }
                b"fmt " => fmt = Some(sized(content, size, "fmt ", name)?),
                _ => {}
            }
            let padded = (size as usize).saturating_add(size as usize & 1);
            rest = content.get(padded..).unwrap_or_default();
        }
        Err(Error::format(name, "a data chunk", "none before the end"))
    }

    /// A RIFF header that ends where the data begins.
    fn header(&self) -> Vec<u8> {
        let (fmt_size, data_size) = (self.fmt.len() as u32, self.data.len() as u32);
        let mut header = Vec::with_capacity(28 + self.fmt.len());
        header.extend(b"RIFF");
        header.extend((20u32.saturating_add(fmt_size).saturating_add(data_size)).to_le_bytes());
        header.extend(b"WAVEfmt ");
        header.extend(fmt_size.to_le_bytes());
        header.extend(self.fmt);
        header.extend(b"data");
        header.extend(data_size.to_le_bytes());
        header
    }
}

fn data_chunk<'a>(content: &'a [u8], size: u32, fmt: &[u8], name: &Path) -> Result<&'a [u8]> {
    let open = size == 0 || size == u32::MAX || (SOX_OPEN_SIZE..=0x7fff_ffff).contains(&size);
    if !open || content.len() == size as usize {
        return sized(content, size, "data", name);
    }
    // Bytes 12 and 13 of `fmt ` are the bytes a frame; a writer that was stopped may leave part of one.
    let frame = match fmt {
        [_, _, _, _, _, _, _, _, _, _, _, _, low, high, ..] => {
            usize::from(u16::from_le_bytes([*low, *high])).max(1)
        }
        _ => 1,
    };
    let most = content.len().min(u32::MAX as usize);
    Ok(&content[..most - most % frame])
}

fn sized<'a>(content: &'a [u8], size: u32, chunk: &str, name: &Path) -> Result<&'a [u8]> {
    content.get(..size as usize).ok_or_else(|| {
        Error::format(
            name,
            format!("{size} bytes in chunk '{chunk}'"),
            format!("{}: the file is cut short", content.len()),
        )
    })
}

fn wav_error(name: &Path, error: &hound::Error) -> Error {
    use hound::Error as E;
    let found = match error {
        E::FormatError(reason) => format!("a header that says otherwise ({reason})"),
        E::TooWide | E::InvalidSampleFormat => "samples of another format".to_string(),
        E::Unsupported => "another encoding".to_string(),
        other => format!("{other}"),
    };
    Error::format(
        name,
        "WAV of 8 to 32-bit integer or 32-bit float PCM",
        found,
    )
}

/// Writes 16-bit PCM, one channel, atomically. Samples are scaled by 32768, rounded and clipped to the
/// 16 bits; returns how many were clipped.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written.
pub fn write_wav(path: impl AsRef<Path>, waveform: &Waveform) -> Result<usize> {
    let path = path.as_ref();
    let spec = WavSpec {
        channels: 1,
        sample_rate: waveform.sample_rate_hz,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let failed = |error: hound::Error| match error {
        hound::Error::IoError(source) => Error::io(path)(source),
        other => Error::format(path, "audio that fits a WAV file", format!("{other}")),
    };
    let mut file = AtomicFile::create(path)?;
    let mut writer = WavWriter::new(&mut file, spec).map_err(failed)?;
    let mut clipped = 0;
    for sample in &waveform.samples {
        let scaled = (sample * 32768.0).round();
        let fitting = scaled.clamp(-32768.0, 32767.0);
        clipped += usize::from(fitting != scaled);
        writer.write_sample(fitting as i16).map_err(failed)?;
    }
    writer.finalize().map_err(failed)?;
    file.commit()?;
    Ok(clipped)
}

#[cfg(test)]
mod tests {
    use super::super::{AudioOptions, decode_audio, read_audio};
    use super::*;

    fn encode(spec: WavSpec, write: impl Fn(&mut WavWriter<&mut Cursor<Vec<u8>>>)) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        write(&mut writer);
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    fn spec(bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
        WavSpec {
            channels: 1,
            sample_rate: 16000,
            bits_per_sample,
            sample_format,
        }
    }

    fn ramp16() -> Vec<u8> {
        encode(spec(16, SampleFormat::Int), |writer| {
            for value in [-32768i32, -1, 0, 1, 32767] {
                writer.write_sample(value).unwrap();
            }
        })
    }

    fn decode(bytes: Vec<u8>) -> Result<Waveform> {
        decode_audio(bytes, "x.wav", &AudioOptions::default())
    }

    #[test]
    fn every_width_has_full_scale_one() {
        for bits in [8, 16, 24, 32] {
            let top = 1i64 << (bits - 1);
            let bytes = encode(spec(bits, SampleFormat::Int), |writer| {
                for value in [-top, -top / 2, 0, top / 4] {
                    writer.write_sample(value as i32).unwrap();
                }
            });
            assert_eq!(decode(bytes).unwrap().samples, [-1.0, -0.5, 0.0, 0.25]);
        }
        let bytes = encode(spec(32, SampleFormat::Float), |writer| {
            writer.write_sample(1.5f32).unwrap();
        });
        assert_eq!(decode(bytes).unwrap().samples, [1.5]);
    }

    #[test]
    fn sixteen_bits_come_back_exactly() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let waveform = decode(ramp16()).unwrap();
        assert_eq!(write_wav(&path, &waveform).unwrap(), 0);
        assert_eq!(
            read_audio(&path, &AudioOptions::default()).unwrap(),
            waveform
        );
        let loud = Waveform {
            samples: vec![1.0, -2.0, 0.5],
            sample_rate_hz: 16000,
        };
        assert_eq!(write_wav(&path, &loud).unwrap(), 2);
    }

    #[test]
    fn odd_chunks_are_stepped_over() {
        let mut bytes = ramp16();
        bytes.splice(12..12, *b"LIST\x03\0\0\0abc\0");
        assert_eq!(decode(bytes).unwrap().samples.len(), 5);
    }

    #[test]
    fn open_sizes_reach_to_the_end() {
        for size in [0, u32::MAX, 0x7fff_ffff, 0x7fff_f024] {
            let mut bytes = ramp16();
            bytes[40..44].copy_from_slice(&size.to_le_bytes());
            bytes.push(0); // half a sample
            assert_eq!(decode(bytes).unwrap().samples.len(), 5, "size {size:#x}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let whole = ramp16();
        for length in 0..whole.len() {
            let error = decode(whole[..length].to_vec()).expect_err("cut short");
            assert!(error.to_string().starts_with("x.wav: "), "{error}");
        }
        let error = decode(whole[..50].to_vec()).unwrap_err().to_string();
        assert_eq!(
            error,
            "x.wav: expected 10 bytes in chunk 'data', found 6: the file is cut short"
        );
    }

    #[test]
    fn any_header_byte_may_lie_without_a_panic() {
        let whole = ramp16();
        for at in 0..44 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = decode(bytes);
            }
        }
    }
}
