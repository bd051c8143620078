//! Plain PCM through hound, which is handed blocks of samples under a header of our own: it refuses chunks of odd length,
//! the open sizes that programs write to a pipe and sizes beyond 32 bits, and all of them are met.

use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::Waveform;
use super::encoding::Encoding;
use crate::error::{Error, Result};
use crate::io::atomic::AtomicFile;

/// Decodes whole samples of plain PCM: unsigned of 8 bits, signed of 16, 24 or 32, floats of 32, little-endian.
pub(super) fn decode_plain(
    samples: &[u8],
    encoding: Encoding,
    out: &mut Vec<f32>,
) -> hound::Result<()> {
    let header = header(encoding, samples.len() as u32);
    let mut reader = WavReader::new(Cursor::new(header).chain(samples))?;
    let bits = reader.spec().bits_per_sample;
    out.reserve(samples.len() / encoding.bytes());
    match reader.spec().sample_format {
        SampleFormat::Float => reader.samples::<f32>().try_for_each(|sample| {
            out.push(sample?);
            Ok(())
        }),
        SampleFormat::Int => {
            // In f64, since 32-bit integers do not fit f32's 24 bits before the one rounding at the end.
            let full_scale = (1u64 << (bits - 1)) as f64;
            reader.samples::<i32>().try_for_each(|sample| {
                out.push((f64::from(sample?) / full_scale) as f32);
                Ok(())
            })
        }
    }
}

/// A header of one channel: hound needs the layout of samples, not their channels.
fn header(encoding: Encoding, size: u32) -> [u8; 44] {
    let width = encoding.bytes() as u16;
    let tag: u16 = match encoding {
        Encoding::Float32(_) => 3,
        _ => 1,
    };
    let mut header = *b"RIFF....WAVEfmt \x10\0\0\0..\x01\0............data....";
    header[4..8].copy_from_slice(&size.saturating_add(36).to_le_bytes());
    header[20..22].copy_from_slice(&tag.to_le_bytes());
    header[24..28].copy_from_slice(&8000u32.to_le_bytes());
    header[28..32].copy_from_slice(&(8000 * u32::from(width)).to_le_bytes());
    header[32..34].copy_from_slice(&width.to_le_bytes());
    header[34..36].copy_from_slice(&(8 * width).to_le_bytes());
    header[40..].copy_from_slice(&size.to_le_bytes());
    header
}

pub(super) fn wav_error(name: &Path, error: &hound::Error) -> Error {
    use hound::Error as E;
    let found = match error {
        E::FormatError(reason) => format!("another header ({reason})"),
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
    let failed = |error: hound::Error| match error {
        hound::Error::IoError(source) => Error::io(path)(source),
        other => Error::format(path, "audio that fits a WAV file", format!("{other}")),
    };
    let mut file = AtomicFile::create(path)?;
    let clipped = write_samples(&mut file, waveform).map_err(failed)?;
    file.commit()?;
    Ok(clipped)
}

/// The file that [`write_wav`] writes, in memory.
///
/// # Errors
/// [`Error::Format`] for more samples than the format can hold.
pub fn wav_bytes(waveform: &Waveform) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    write_samples(&mut bytes, waveform)
        .map_err(|error| Error::format("WAV", "audio that fits a WAV file", format!("{error}")))?;
    Ok(bytes.into_inner())
}

/// Scaled by 32768, rounded and clipped.
pub(super) fn sixteen_bits(sample: f32) -> i16 {
    // A cast from float to integer keeps what is too large at the integer's end.
    (sample * 32768.0).round() as i16
}

/// Returns how many samples were clipped.
fn write_samples(to: impl Write + Seek, waveform: &Waveform) -> Result<usize, hound::Error> {
    let spec = WavSpec {
        channels: 1,
        sample_rate: waveform.sample_rate_hz,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::new(to, spec)?;
    let mut clipped = 0;
    for &sample in &waveform.samples {
        let fitting = sixteen_bits(sample);
        clipped += usize::from((sample * 32768.0).round() != f32::from(fitting));
        writer.write_sample(fitting)?;
    }
    writer.finalize()?;
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
        assert_eq!(std::fs::read(&path).unwrap(), wav_bytes(&waveform).unwrap());
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
