//! One channel of a recording, block after block, in memory that does not grow with its length.

use std::path::{Path, PathBuf};

use super::compressed::{Codec, CompressedStream};
use super::input::Bytes;
use super::kind::Kind;
use super::opened::{Opened, Stream};
use super::riff::{self, Surroundings};
use super::{AudioOptions, Channel, Waveform, aiff, caf, elementary, sphere};
use crate::error::{Error, Result};

/// The highest plausible sample rate: the fastest converters run at 768 kHz.
const FASTEST_RATE_HZ: u32 = 1_000_000;
/// Samples of a whole recording in memory, 18 hours at 16 kHz: a few bytes of FLAC can encode a second of silence, and a
/// file may not take all memory with them.
pub(crate) const MOST_SAMPLES: usize = 1 << 30;
/// Samples for which there is room at once where a header states as many; it may lie, and addresses are all that this takes.
pub(crate) const MOST_RESERVED: u64 = 1 << 26;

/// Reads one channel of an audio file in blocks.
///
/// The statements of a file (its length, the last page of Ogg, with [`AudioOptions::verify`] FLAC's MD5) are checked when
/// its end is reached, so that a file is known to be whole only once [`AudioReader::next_block`] has returned `None`. What states
/// no length (a WAV or FLAC that was written to a pipe, ADTS, an MP3 without a Xing tag) ends where its bytes end, behind
/// its last whole frame: cut short, it is a shorter recording.
pub struct AudioReader {
    stream: Stream,
    name: PathBuf,
    sample_rate_hz: u32,
    channels: usize,
    channel: Channel,
    interleaved: Vec<f32>,
    samples: Vec<f32>,
    read: u64,
}

impl AudioReader {
    /// Opens a file of any supported kind, identified by its first bytes.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Format`] when it is not audio of a known kind, its header is
    /// damaged, its sample rate is 0 or above 1 MHz, or it does not have the channel that is asked for.
    pub fn open(path: impl AsRef<Path>, options: &AudioOptions) -> Result<Self> {
        let path = path.as_ref();
        Self::of_bytes(Bytes::open(path)?, path, options)
    }

    /// Opens the WAV that begins at an offset of an archive, as Kaldi's `wav-copy` writes them; what lies behind it
    /// is not looked at.
    ///
    /// # Errors
    /// As [`AudioReader::open`]; and [`Error::Format`] for other audio there, or a WAV that does not state its size.
    pub fn open_at(path: impl AsRef<Path>, offset: u64, options: &AudioOptions) -> Result<Self> {
        let path = path.as_ref();
        let name = PathBuf::from(format!("{}:{offset}", path.display()));
        let mut bytes = Bytes::open(path)?;
        bytes.go_to(offset, &name)?;
        let kind = Kind::of(&bytes.here(Kind::LOOK).map_err(Error::io(path))?);
        match kind {
            Ok(Kind::Riff) => {
                let opened = riff::open(bytes, Surroundings::Archive, &name)?;
                Self::new(opened, name, options)
            }
            Ok(other) => Err(Error::format(name, "WAV audio in an archive", other.name())),
            Err(found) => Err(Error::format(name, "WAV audio in an archive", found)),
        }
    }

    /// Opens an audio file held in memory. `name` stands for the path in messages.
    ///
    /// # Errors
    /// As [`AudioReader::open`].
    pub fn from_memory(bytes: Vec<u8>, name: &Path, options: &AudioOptions) -> Result<Self> {
        Self::of_bytes(Bytes::memory(bytes), name, options)
    }

    /// Reads bytes whose name, for messages, is `name`.
    pub(super) fn of_bytes(mut bytes: Bytes, name: &Path, options: &AudioOptions) -> Result<Self> {
        let start = bytes.start(Kind::LOOK).map_err(Error::io(name))?;
        let mut kind =
            Kind::of(&start).map_err(|found| Error::format(name, super::KINDS_READ, found))?;
        // A tag begins MP3, and some FLAC too.
        if let Some(tag) = elementary::tag_bytes(&start) {
            bytes.go_to(tag, name)?;
            let behind = bytes.here(Kind::LOOK).map_err(Error::io(name))?;
            if let Ok(Kind::Compressed(Codec::Flac)) = Kind::of(&behind) {
                kind = Kind::Compressed(Codec::Flac);
            }
            bytes.go_to(0, name)?;
        }
        let opened = match kind {
            Kind::Riff => riff::open(bytes, Surroundings::File, name),
            Kind::Aiff => aiff::open(bytes, name),
            Kind::Sphere => sphere::open_sphere(bytes, name),
            Kind::Au => sphere::open_au(bytes, name),
            Kind::Caf => caf::open(bytes, name),
            Kind::Compressed(codec) => {
                CompressedStream::open(bytes, codec, options.verify, name).map(Opened::compressed)
            }
        };
        Self::new(opened?, name.to_path_buf(), options)
    }

    fn new(opened: Opened, name: PathBuf, options: &AudioOptions) -> Result<Self> {
        if !(1..=FASTEST_RATE_HZ).contains(&opened.sample_rate_hz) {
            let expected = match opened.sample_rate_hz {
                0 => "a sample rate above 0 Hz".to_string(),
                _ => format!("a sample rate of at most {FASTEST_RATE_HZ} Hz"),
            };
            let found = format!("{} Hz", opened.sample_rate_hz);
            return Err(Error::format(name, expected, found));
        }
        Ok(Self {
            channel: choose_channel(opened.channels, options, &name)?,
            stream: opened.stream,
            name,
            sample_rate_hz: opened.sample_rate_hz,
            channels: opened.channels,
            interleaved: Vec::new(),
            samples: Vec::new(),
            read: 0,
        })
    }

    /// Samples a second, in Hz; never 0.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Channels of the file, of which one is read.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The samples that the header states, where it does; what a file really holds shows only in reading it.
    pub fn stated_samples(&self) -> Option<u64> {
        match &self.stream {
            Stream::Pcm(stream) => stream.stated_frames(),
            Stream::Compressed(stream) => stream.stated_frames(),
        }
    }

    /// Leaves out samples before this one, of a recording of which nothing was read: at once where samples have a size
    /// of their own and in FLAC, elsewhere not at all. Returns the position; none where a FLAC's seek table or damage leads
    /// astray: it has to be opened anew and read on.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn skip_to(&mut self, sample: u64) -> Result<Option<u64>> {
        let position = match &mut self.stream {
            Stream::Pcm(stream) => Some(stream.skip_to(sample, &self.name)?),
            Stream::Compressed(stream) => stream.skip_to(sample),
        };
        self.read = position.unwrap_or(0);
        Ok(position)
    }

    /// The next samples, never none, with full scale at 1 as in [`Waveform`]; `None` behind the last, when the file
    /// has proved whole.
    ///
    /// # Errors
    /// [`Error::Io`] when reading fails; [`Error::Format`] when the file is cut short or damaged, has a sample that
    /// is not finite, or none at all. There is nothing more to read then.
    pub fn next_block(&mut self) -> Result<Option<&[f32]>> {
        self.interleaved.clear();
        while self.interleaved.is_empty() {
            let more = match &mut self.stream {
                Stream::Pcm(stream) => stream.next(&mut self.interleaved, &self.name)?,
                Stream::Compressed(stream) => stream.next(&mut self.interleaved, &self.name)?,
            };
            if !more {
                return match self.read {
                    0 => Err(Error::format(&self.name, "audio samples", "none")),
                    _ => Ok(None),
                };
            }
        }
        let frames = self.interleaved.chunks_exact(self.channels);
        self.samples.clear();
        match self.channel {
            _ if self.channels == 1 => std::mem::swap(&mut self.samples, &mut self.interleaved),
            Channel::Index(index) => self.samples.extend(frames.map(|frame| frame[index])),
            Channel::Mean => self.samples.extend(frames.map(mean)),
        }
        // Without an early exit, so that it runs at the speed of memory.
        let finite = |ok: bool, sample: &f32| ok & sample.is_finite();
        if !self.samples.iter().fold(true, finite) {
            let at = self.samples.iter().position(|sample| !sample.is_finite());
            let at = at.expect("a sample is not finite");
            let found = format!("{} at sample {}", self.samples[at], self.read + at as u64);
            return Err(Error::format(&self.name, "finite samples", found));
        }
        self.read += self.samples.len() as u64;
        Ok(Some(&self.samples))
    }

    /// The rest of the recording, whole.
    ///
    /// # Errors
    /// As [`AudioReader::next_block`]; and [`Error::Format`] for more than 2^30 samples.
    pub fn read_to_end(mut self) -> Result<Waveform> {
        let stated = self.stated_samples().unwrap_or(0).min(MOST_RESERVED);
        let mut samples = Vec::with_capacity(stated as usize);
        while let Some(block) = self.next_block()? {
            if samples.len() + block.len() > MOST_SAMPLES {
                let expected = format!("at most {MOST_SAMPLES} samples");
                return Err(Error::format(&self.name, expected, "more"));
            }
            samples.extend_from_slice(block);
        }
        Ok(Waveform {
            samples,
            sample_rate_hz: self.sample_rate_hz,
        })
    }
}

/// The mean over channels of one sample each.
fn mean(frame: &[f32]) -> f32 {
    let sum: f64 = frame.iter().map(|&sample| f64::from(sample)).sum();
    (sum / frame.len() as f64) as f32
}

fn choose_channel(channels: usize, options: &AudioOptions, name: &Path) -> Result<Channel> {
    match (channels, options.channel) {
        (0, _) => Err(Error::format(name, "at least one channel", "none")),
        (1, None) => Ok(Channel::Index(0)),
        (channels, None) => Err(Error::format(
            name,
            match options.chosen_by {
                Some(option) => format!("one channel, or the choice of one ({option})"),
                None => "one channel".to_string(),
            },
            format!("{channels} channels"),
        )),
        (channels, Some(Channel::Index(channel))) if channel >= channels => Err(Error::format(
            name,
            format!("a channel {channel} (counted from 0)"),
            format!("{channels} channel(s)"),
        )),
        (_, Some(channel)) => Ok(channel),
    }
}
