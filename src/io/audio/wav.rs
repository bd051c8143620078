//! WAV files as they are written, through hound. Reading is in `riff.rs` and `pcm.rs`: hound refuses chunks of odd length, the
//! open sizes that programs write to a pipe and sizes beyond 32 bits.

use std::io::{Cursor, Seek, Write};
use std::path::Path;

use hound::{SampleFormat, WavSpec, WavWriter};

use super::Waveform;
use crate::error::{Error, Result};
use crate::io::atomic::AtomicFile;

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
    fn samples_are_those_of_hound() {
        let words: Vec<i32> = (0..20_000i32)
            .map(|number| number.wrapping_mul(-1_640_531_527))
            .chain([i32::MIN, i32::MAX, -1, 0, 1])
            .collect();
        for (bits, format) in [
            (8, SampleFormat::Int),
            (16, SampleFormat::Int),
            (24, SampleFormat::Int),
            (32, SampleFormat::Int),
            (32, SampleFormat::Float),
        ] {
            let bytes = encode(spec(bits, format), |writer| {
                for word in &words {
                    match format {
                        SampleFormat::Int => writer.write_sample(word >> (32 - bits)),
                        SampleFormat::Float => writer.write_sample(*word as f32 / 3e7),
                    }
                    .unwrap();
                }
            });
            let mut reader = hound::WavReader::new(Cursor::new(bytes.clone())).unwrap();
            let full_scale = (1u64 << (bits - 1)) as f64;
            let expected: Vec<f32> = match format {
                SampleFormat::Int => (reader.samples::<i32>())
                    .map(|sample| (f64::from(sample.unwrap()) / full_scale) as f32)
                    .collect(),
                SampleFormat::Float => reader.samples().map(Result::unwrap).collect(),
            };
            assert_eq!(
                decode(bytes).unwrap().samples,
                expected,
                "{bits} {format:?}"
            );
        }
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
