//! Reads audio files as [`Waveform`]s or blocks of samples. Formats are identified by the first bytes, never by names.
//! Nothing is resampled or mixed here: what the file holds is what comes out, and a file with several channels is
//! read only when one of them is asked for.
//!
//! | container | samples |
//! |---|---|
//! | WAV: RIFF, RIFX, RF64, BW64; sizes left open by a stream | integers of 1 to 32 bits, floats of 32 and 64 bits, A-law, mu-law; also under `WAVE_FORMAT_EXTENSIBLE` |
//! | AIFF, AIFF-C | the same (`NONE`, `twos`, `sowt`, `in24`, `in32`, `raw `, `fl32`, `fl64`, `alaw`, `ulaw`) |
//! | NIST SPHERE | pcm of either byte order, ulaw, alaw; not compressed |
//! | `.au` | integers, floats, A-law, mu-law |
//! | FLAC, alone or in Ogg | all that symphonia reads |
//! | Ogg, also several streams one after the other | Vorbis; Opus of one or two channels, always at 48 kHz, in frames of 5 ms or more |
//! | MP3 | layer III; cut to what was encoded where LAME's tag states it |
//! | MPEG-4 (`.m4a`) | AAC-LC and ALAC, cut to what the edit list or `iTunSMPB` presents; no HE-AAC |
//! | ADTS | AAC-LC with its encoder's delay (of 1024 samples, mostly), which it does not state; no HE-AAC |
//! | CAF | integers, floats, A-law, mu-law; no ALAC, no AAC |
//!
//! What is not read, as Speex, WMA, ADPCM or SPHERE under shorten, is named in the error.

mod aiff;
mod caf;
mod compressed;
mod elementary;
mod encoding;
pub mod g711;
mod input;
mod justify;
mod kind;
mod mp4;
mod ogg;
mod opened;
mod opus;
mod pcm;
mod raw;
mod reader;
mod riff;
mod source;
mod sphere;
mod wav;

use std::path::Path;
use std::str::FromStr;

use crate::error::Result;

pub use raw::{RawFormat, RawSamples};
pub use reader::AudioReader;
pub(crate) use reader::{MOST_RESERVED, MOST_SAMPLES};
pub use source::{AudioSource, Pipes};
pub use wav::{wav_bytes, write_wav};

/// The formats that are read, as help names them.
pub const FORMATS: &str = "WAV (RF64, BW64), AIFF, SPHERE, AU, CAF, FLAC, Ogg (FLAC, Vorbis, Opus), MP3, MPEG-4 (AAC, ALAC), ADTS (AAC)";

/// One channel of audio in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Waveform {
    /// Samples with full scale at 1.0: an integer format of `b` bits is divided by 2^(b-1), so that it lies
    /// in [-1, 1) and 16-bit integers come back exactly as `sample * 32768`. A float file may go beyond.
    /// Always finite, and never empty when it was read from a file.
    pub samples: Vec<f32>,
    /// Samples a second, in Hz; never 0.
    pub sample_rate_hz: u32,
}

impl Waveform {
    /// Length in seconds.
    pub fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate_hz)
    }

    /// As it comes back from the file that [`write_wav`] makes of it: rounded to 16 bits. What falls away is below any
    /// hearing, but log-mel features of an empty band are made of it.
    pub fn rounded(self) -> Self {
        let samples = self.samples.iter();
        Self {
            samples: samples
                .map(|&sample| f32::from(wav::sixteen_bits(sample)) / 32768.0)
                .collect(),
            ..self
        }
    }
}

/// What is taken of a file with several channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// One of them, counted from 0.
    Index(usize),
    /// The mean of all.
    Mean,
}

/// An index from 0, or `mean`.
impl FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| "expected a number from 0, or 'mean'".to_string();
        match text {
            "mean" => Ok(Self::Mean),
            _ => text.parse().map(Self::Index).map_err(wrong),
        }
    }
}

/// How a file is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AudioOptions {
    /// The channel to take. `None` takes the only one and refuses a file that has more.
    pub channel: Option<Channel>,
    /// The option that chooses one, for error messages.
    pub chosen_by: Option<&'static str>,
    /// Whether the samples of a FLAC are compared with the MD5 in its header, a third of the time that decoding takes.
    /// Without it, damage is found by the checksum of each frame and by the stated length.
    pub verify: bool,
}

impl AudioOptions {
    /// Those of a command that lets its user choose by `--channel`.
    pub fn with_choice(channel: Option<Channel>) -> Self {
        Self {
            channel,
            chosen_by: Some("--channel, from 0, or --channel mean"),
            verify: false,
        }
    }
}

/// What is expected where a file is of no kind that is read.
const KINDS_READ: &str =
    "WAV, AIFF, SPHERE, .au, FLAC, Ogg Vorbis or Opus, MP3, MPEG-4 or CAF audio";

/// Reads an audio file whole.
///
/// # Errors
/// [`crate::Error::Io`] when it cannot be read; [`crate::Error::Format`] when it is not audio of a known kind, is cut
/// short, has a sample rate of 0 or above 1 MHz, no samples or more than 2^30, samples that are not finite, or not the
/// channel asked for.
pub fn read_audio(path: impl AsRef<Path>, options: &AudioOptions) -> Result<Waveform> {
    AudioReader::open(path, options)?.read_to_end()
}

/// Whether a file begins as audio of a kind that is read here does; no more of it is looked at.
///
/// # Errors
/// [`crate::Error::Io`] when it cannot be read.
pub fn is_audio(path: impl AsRef<Path>) -> Result<bool> {
    let path = path.as_ref();
    let start = input::Bytes::open(path)?.start(kind::Kind::LOOK);
    Ok(kind::Kind::of(&start.map_err(crate::Error::io(path))?).is_ok())
}

/// The usual extension of audio that begins with these bytes; none where they are no audio that is read here.
pub fn extension_of(bytes: &[u8]) -> Option<&'static str> {
    let start = &bytes[..bytes.len().min(kind::Kind::LOOK)];
    kind::Kind::of(start).ok().map(kind::Kind::extension)
}

/// Decodes a whole audio file held in memory. `name` stands for the path in messages.
///
/// # Errors
/// As [`read_audio`].
pub fn decode_audio(
    bytes: Vec<u8>,
    name: impl AsRef<Path>,
    options: &AudioOptions,
) -> Result<Waveform> {
    AudioReader::from_memory(bytes, name.as_ref(), options)?.read_to_end()
}

#[cfg(test)]
mod tests;
