//! An opened container: its samples, still to be read, and their format from the header.

use std::path::Path;

use super::compressed::CompressedStream;
use super::pcm::PcmStream;
use crate::error::{Error, Result};

/// The most channels: the limit of a RIFF header.
const MOST_CHANNELS: u32 = 1 << 16;

/// Where the samples come from.
pub(super) enum Stream {
    Pcm(Box<PcmStream>),
    Compressed(Box<CompressedStream>),
}

/// A container whose header has been read.
pub(super) struct Opened {
    pub(super) stream: Stream,
    pub(super) channels: usize,
    pub(super) sample_rate_hz: u32,
}

impl Opened {
    pub(super) fn pcm(stream: PcmStream, sample_rate_hz: u32) -> Self {
        Self {
            channels: stream.channels,
            stream: Stream::Pcm(Box::new(stream)),
            sample_rate_hz,
        }
    }

    pub(super) fn compressed(stream: CompressedStream) -> Self {
        Self {
            channels: stream.channels,
            sample_rate_hz: stream.sample_rate_hz,
            stream: Stream::Compressed(Box::new(stream)),
        }
    }
}

/// A header's number of channels, from 1 to 65536.
pub(super) fn checked_channels(channels: u32, name: &Path) -> Result<usize> {
    match channels {
        0 => Err(Error::format(name, "at least one channel", "none")),
        1..=MOST_CHANNELS => Ok(channels as usize),
        _ => {
            let expected = format!("at most {MOST_CHANNELS} channels");
            Err(Error::format(name, expected, channels.to_string()))
        }
    }
}
