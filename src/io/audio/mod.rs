//! Audio files in, [`Waveform`]s out: WAV, FLAC, Ogg Vorbis and MP3, told apart by their first bytes and
//! never by their names. Nothing is resampled or mixed here: what the file holds is what comes out, and a
//! file with several channels is read only when one of them is asked for.

mod compressed;
mod source;
mod wav;

use std::path::Path;

use crate::error::{Error, Result};

pub use source::AudioSource;
pub use wav::write_wav;

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
}

/// How a file is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AudioOptions {
    /// The channel to take, from 0. `None` takes the only one and refuses a file that has more.
    pub channel: Option<usize>,
}

/// Reads an audio file whole.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Format`] when it is not audio of a known kind, is cut
/// short, has a sample rate of 0, no samples, samples that are not finite, or not the channel asked for.
pub fn read_audio(path: impl AsRef<Path>, options: &AudioOptions) -> Result<Waveform> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    decode_audio(bytes, path, options)
}

/// Decodes a whole audio file held in memory, as a pipe leaves it. `name` stands for the path in messages.
///
/// WAV headers whose sizes say "unknown" (0, or what sox and ffmpeg write to a pipe) are taken to reach to
/// the end of the bytes.
///
/// # Errors
/// As [`read_audio`].
pub fn decode_audio(
    bytes: Vec<u8>,
    name: impl AsRef<Path>,
    options: &AudioOptions,
) -> Result<Waveform> {
    let name = name.as_ref();
    let decoded = match Container::sniff(&bytes) {
        Some(Container::Wav) => wav::decode(&bytes, name)?,
        Some(Container::Compressed(codec)) => compressed::decode(bytes, codec, name)?,
        None => {
            return Err(Error::format(
                name,
                "WAV, FLAC, Ogg Vorbis or MP3 audio",
                describe_start(&bytes),
            ));
        }
    };
    decoded.into_waveform(name, options)
}

/// What the first bytes tell of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Wav,
    Compressed(compressed::Codec),
}

impl Container {
    fn sniff(bytes: &[u8]) -> Option<Self> {
        use compressed::Codec;
        match bytes {
            [b'R', b'I', b'F', b'F', ..] => Some(Self::Wav),
            [b'f', b'L', b'a', b'C', ..] => Some(Self::Compressed(Codec::Flac)),
            [b'O', b'g', b'g', b'S', ..] => Some(Self::Compressed(Codec::OggVorbis)),
            // An ID3 tag, or the 11 sync bits of an MPEG frame with a layer that is not the reserved 0.
            [b'I', b'D', b'3', ..] => Some(Self::Compressed(Codec::Mp3)),
            [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => {
                Some(Self::Compressed(Codec::Mp3))
            }
            _ => None,
        }
    }
}

/// The first four bytes for a message: as text where they are text.
fn describe_start(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(4)];
    if start.is_empty() {
        "an empty file".to_string()
    } else {
        format!("a file that begins with \"{}\"", start.escape_ascii())
    }
}

/// Interleaved samples of all channels, as a decoder leaves them: not yet checked.
#[derive(Debug)]
struct Decoded {
    interleaved: Vec<f32>,
    channels: usize,
    sample_rate_hz: u32,
}

impl Decoded {
    fn into_waveform(self, name: &Path, options: &AudioOptions) -> Result<Waveform> {
        if self.sample_rate_hz == 0 {
            return Err(Error::format(name, "a sample rate above 0 Hz", "0 Hz"));
        }
        let channel = self.choose_channel(name, options)?;
        let samples = match self.channels {
            1 => self.interleaved,
            channels => (self.interleaved.chunks_exact(channels))
                .map(|frame| frame[channel])
                .collect(),
        };
        if samples.is_empty() {
            return Err(Error::format(name, "audio samples", "none"));
        }
        if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
            let found = format!("{} at sample {index}", samples[index]);
            return Err(Error::format(name, "finite samples", found));
        }
        Ok(Waveform {
            samples,
            sample_rate_hz: self.sample_rate_hz,
        })
    }

    fn choose_channel(&self, name: &Path, options: &AudioOptions) -> Result<usize> {
        match (self.channels, options.channel) {
            (0, _) => Err(Error::format(name, "at least one channel", "none")),
            (1, None) => Ok(0),
            (channels, None) => Err(Error::format(
                name,
                "one channel, or the choice of one (--channel, from 0)",
                format!("{channels} channels"),
            )),
            (channels, Some(channel)) if channel >= channels => Err(Error::format(
                name,
                format!("a channel {channel} (counted from 0)"),
                format!("{channels} channel(s)"),
            )),
            (_, Some(channel)) => Ok(channel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(interleaved: Vec<f32>, channels: usize, sample_rate_hz: u32) -> Decoded {
        Decoded {
            interleaved,
            channels,
            sample_rate_hz,
        }
    }

    fn waveform(decoded: Decoded, channel: Option<usize>) -> Result<Waveform> {
        decoded.into_waveform(Path::new("x.wav"), &AudioOptions { channel })
    }

    #[test]
    fn one_channel_is_taken_only_by_choice() {
        let stereo = || decoded(vec![0.1, 0.2, 0.3, 0.4], 2, 8000);
        assert_eq!(waveform(stereo(), Some(1)).unwrap().samples, [0.2, 0.4]);
        assert_eq!(waveform(stereo(), Some(0)).unwrap().samples, [0.1, 0.3]);
        for (channel, message) in [
            (
                None,
                "x.wav: expected one channel, or the choice of one (--channel, from 0), found 2 channels",
            ),
            (
                Some(2),
                "x.wav: expected a channel 2 (counted from 0), found 2 channel(s)",
            ),
        ] {
            let error = waveform(stereo(), channel).unwrap_err().to_string();
            assert_eq!(error, message);
        }
    }

    #[test]
    fn what_is_no_audio_is_refused() {
        for (bad, found) in [
            (
                decoded(vec![0.0], 1, 0),
                "expected a sample rate above 0 Hz, found 0 Hz",
            ),
            (
                decoded(vec![0.0], 0, 8000),
                "expected at least one channel, found none",
            ),
            (
                decoded(vec![], 1, 8000),
                "expected audio samples, found none",
            ),
            (
                decoded(vec![0.0, f32::NAN], 1, 8000),
                "found NaN at sample 1",
            ),
            (
                decoded(vec![f32::INFINITY], 1, 8000),
                "found inf at sample 0",
            ),
        ] {
            let error = waveform(bad, None).unwrap_err().to_string();
            assert!(
                error.starts_with("x.wav: ") && error.ends_with(found),
                "{error}"
            );
        }
    }

    #[test]
    fn the_start_tells_the_kind() {
        let options = AudioOptions::default();
        for (bytes, found) in [
            (&b""[..], "found an empty file"),
            (b"RIFX....", "found a file that begins with \"RIFX\""),
            (b"\x00\x01", "found a file that begins with \"\\x00\\x01\""),
        ] {
            let error = decode_audio(bytes.to_vec(), "x", &options).unwrap_err();
            assert!(error.to_string().ends_with(found), "{error}");
        }
        assert!(read_audio("no/such.wav", &options).is_err());
    }
}
