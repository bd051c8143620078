//! Apple's Core Audio Format with uncompressed samples: integers, floats, A-law, mu-law.
//!
//! Source: Apple, Core Audio Format Specification 1.0.

use std::path::Path;

use super::encoding::{Encoding, Order};
use super::input::Bytes;
use super::justify;
use super::opened::{Opened, checked_channels};
use super::pcm::{Extent, PcmStream};
use crate::error::{Error, Result};

/// The size of a chunk `data` of unknown size.
const OPEN: u64 = u64::MAX;

/// Opens a CAF file from its beginning: 8 bytes, then chunks of a name and a 64-bit size.
pub(super) fn open(mut bytes: Bytes, name: &Path) -> Result<Opened> {
    let mut description = None;
    let mut next = 8u64;
    bytes.go_to(next, name)?;
    while let Some([a, b, c, d, size @ ..]) = bytes.array::<12>(name)? {
        let size = u64::from_be_bytes(size);
        match &[a, b, c, d] {
            b"desc" => description = Some(Description::read(&mut bytes, name)?),
            b"data" => {
                let Some(description) = description else {
                    return Err(Error::format(
                        name,
                        "a chunk 'desc' before the data",
                        "none",
                    ));
                };
                return description.open(bytes, size, name);
            }
            _ => {}
        }
        next = (next + 12).saturating_add(size);
        bytes.go_to(next, name)?;
    }
    Err(Error::format(name, "a chunk 'data'", "none before the end"))
}

/// The chunk `desc`: the rate as a double, then words.
struct Description {
    sample_rate_hz: u32,
    format: [u8; 4],
    flags: u32,
    packet_bytes: u32,
    channels: u32,
    bits: u32,
}

impl Description {
    fn read(bytes: &mut Bytes, name: &Path) -> Result<Self> {
        let head = bytes.array::<32>(name)?.ok_or_else(|| {
            Error::format(name, "32 bytes in chunk 'desc'", "the end of the file")
        })?;
        let [
            rate @ ..,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
        ] = head;
        let rate = f64::from_be_bytes(rate);
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if !(0.0..=f64::from(u32::MAX)).contains(&rate) {
            let found = format!("{rate} Hz in chunk 'desc'");
            return Err(Error::format(name, "a sample rate from 0 Hz", found));
        }
        Ok(Self {
            sample_rate_hz: rate.round() as u32,
            format: [head[8], head[9], head[10], head[11]],
            flags: word(12),
            packet_bytes: word(16),
            channels: word(24),
            bits: word(28),
        })
    }

    /// Opens the samples after the edit count that a chunk `data` of `size` bytes begins with.
    fn open(&self, mut bytes: Bytes, size: u64, name: &Path) -> Result<Opened> {
        const EDIT_COUNT: u64 = 4;
        let channels = checked_channels(self.channels, name)?;
        let encoding = self.encoding(channels, name)?;
        let frame = (encoding.bytes() * channels) as u64;
        let extent = match size {
            OPEN => Extent::ToTheEnd,
            size if size >= EDIT_COUNT => Extent::Bytes((size - EDIT_COUNT) / frame * frame),
            size => {
                let found = format!("{size} bytes");
                return Err(Error::format(name, "an edit count in chunk 'data'", found));
            }
        };
        let at = bytes.position() + EDIT_COUNT;
        bytes.go_to(at, name)?;
        let encoding = justify::placed(encoding, self.bits, &mut bytes, extent, name)?;
        let stream = PcmStream::new(bytes, encoding, channels, extent, "chunk 'data'");
        Ok(Opened::pcm(stream, self.sample_rate_hz))
    }

    fn encoding(&self, channels: usize, name: &Path) -> Result<Encoding> {
        const FLOAT: u32 = 1;
        const LITTLE_ENDIAN: u32 = 2;
        let order = match self.flags & LITTLE_ENDIAN {
            0 => Order::Big,
            _ => Order::Little,
        };
        let width = self.packet_bytes as usize / channels;
        match (&self.format, self.flags & FLOAT, width) {
            (b"lpcm", FLOAT, 4) => Ok(Encoding::Float32(order)),
            (b"lpcm", FLOAT, 8) => Ok(Encoding::Float64(order)),
            (b"lpcm", 0, bytes @ 1..=4) => Ok(Encoding::Signed { bytes, order }),
            (b"alaw", ..) => Ok(Encoding::ALaw),
            (b"ulaw", ..) => Ok(Encoding::MuLaw),
            (b"lpcm", ..) => {
                let expected = "integers of 1 to 4 bytes, or floats of 4 or 8";
                let found = format!("{} bits in {width} bytes", self.bits);
                Err(Error::format(name, expected, found))
            }
            (other, ..) => {
                let expected = "integers, floats, A-law or mu-law in a CAF file";
                let found = format!("the codec '{}', which is not read", other.escape_ascii());
                Err(Error::format(name, expected, found))
            }
        }
    }
}
