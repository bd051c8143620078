//! AIFF and AIFF-C: big-endian chunks, a sample rate as an 80-bit float, samples in `SSND`.
//!
//! Sources: Apple, Audio Interchange File Format 1.3; Audio Interchange File Format AIFF-C (draft of 26 August 1991);
//! `sowt` and `in24` as QuickTime has them.

use std::path::Path;

use super::encoding::{Encoding, Order};
use super::input::Bytes;
use super::justify;
use super::opened::{Opened, checked_channels};
use super::pcm::{Extent, PcmStream};
use crate::error::{Error, Result};

/// Opens an AIFF or AIFF-C file from its beginning.
pub(super) fn open(mut bytes: Bytes, name: &Path) -> Result<Opened> {
    let compressed = match bytes.array::<12>(name)? {
        Some([b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', last]) => last == b'C',
        _ => {
            return Err(Error::format(
                name,
                "an AIFF header",
                "another or a cut one",
            ));
        }
    };
    let (mut common, mut sound) = (None, None);
    let mut next = 12;
    while let Some([a, b, c, d, size @ ..]) = bytes.array::<8>(name)? {
        let size = u32::from_be_bytes(size);
        match &[a, b, c, d] {
            b"COMM" => common = Some(Common::read(&mut bytes, size, compressed, name)?),
            b"SSND" => sound = Some((next + 8, size)),
            _ => {}
        }
        if let (Some(common), Some((at, size))) = (&common, sound) {
            bytes.go_to(at, name)?;
            return common.open(bytes, size, name);
        }
        next += 8 + u64::from(size) + u64::from(size & 1);
        bytes.go_to(next, name)?;
    }
    let missing = if common.is_none() { "COMM" } else { "SSND" };
    let expected = format!("a chunk '{missing}'");
    Err(Error::format(name, expected, "none before the end"))
}

/// The chunk `COMM`.
struct Common {
    channels: u16,
    frames: u32,
    bits: u16,
    sample_rate_hz: u32,
    compression: [u8; 4],
}

impl Common {
    fn read(bytes: &mut Bytes, size: u32, compressed: bool, name: &Path) -> Result<Self> {
        let needed = if compressed { 22 } else { 18 };
        let wrong = |found: String| {
            let expected = format!("at least {needed} bytes in chunk 'COMM'");
            Error::format(name, expected, found)
        };
        if size < needed {
            return Err(wrong(format!("{size}")));
        }
        let cut = || wrong("the end of the file".into());
        let head = bytes.array::<18>(name)?.ok_or_else(cut)?;
        let [c0, c1, f0, f1, f2, f3, b0, b1, rate @ ..] = head;
        let compression = match compressed {
            true => bytes.array::<4>(name)?.ok_or_else(cut)?,
            false => *b"NONE",
        };
        Ok(Self {
            channels: u16::from_be_bytes([c0, c1]),
            frames: u32::from_be_bytes([f0, f1, f2, f3]),
            bits: u16::from_be_bytes([b0, b1]),
            sample_rate_hz: extended(rate).ok_or_else(|| {
                Error::format(
                    name,
                    "a sample rate in whole Hz",
                    "another number in chunk 'COMM'",
                )
            })?,
            compression,
        })
    }

    /// Opens the samples, where the chunk `SSND` of `size` bytes begins: an offset, a block size, the samples.
    fn open(&self, mut bytes: Bytes, size: u32, name: &Path) -> Result<Opened> {
        let channels = checked_channels(u32::from(self.channels), name)?;
        let encoding = self.encoding(name)?;
        let frame = encoding.bytes() as u64 * u64::from(self.channels);
        let needed = frame * u64::from(self.frames);
        let head = bytes
            .array::<8>(name)?
            .ok_or_else(|| Error::format(name, "8 bytes in chunk 'SSND'", "the end of the file"))?;
        let offset = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        if 8 + u64::from(offset) + needed > u64::from(size) {
            let expected = format!("{needed} bytes of samples in chunk 'SSND'");
            return Err(Error::format(name, expected, format!("a chunk of {size}")));
        }
        let at = bytes.position() + u64::from(offset);
        bytes.go_to(at, name)?;
        let extent = Extent::Bytes(needed);
        let encoding = justify::placed(encoding, u32::from(self.bits), &mut bytes, extent, name)?;
        let stream = PcmStream::new(bytes, encoding, channels, extent, "chunk 'SSND'");
        Ok(Opened::pcm(stream, self.sample_rate_hz))
    }

    fn encoding(&self, name: &Path) -> Result<Encoding> {
        let signed = |order| match self.bits {
            bits @ 1..=32 => Ok(Encoding::Signed {
                bytes: usize::from(bits.div_ceil(8)),
                order,
            }),
            bits => {
                let found = format!("{bits} bits in chunk 'COMM'");
                Err(Error::format(name, "integers of 1 to 32 bits", found))
            }
        };
        match &self.compression {
            b"NONE" | b"twos" => signed(Order::Big),
            b"sowt" => signed(Order::Little),
            b"in24" => Ok(Encoding::Signed {
                bytes: 3,
                order: Order::Big,
            }),
            b"in32" => Ok(Encoding::Signed {
                bytes: 4,
                order: Order::Big,
            }),
            b"raw " => Ok(Encoding::Unsigned8),
            b"fl32" | b"FL32" => Ok(Encoding::Float32(Order::Big)),
            b"fl64" | b"FL64" => Ok(Encoding::Float64(Order::Big)),
            b"alaw" | b"ALAW" => Ok(Encoding::ALaw),
            b"ulaw" | b"ULAW" => Ok(Encoding::MuLaw),
            other => {
                let expected = "integers, floats, A-law or mu-law in an AIFF-C file";
                let found = format!(
                    "the compression '{}', which is not read",
                    other.escape_ascii()
                );
                Err(Error::format(name, expected, found))
            }
        }
    }
}

/// IEEE 754's 80-bit float: a sign, 15 bits of exponent with bias 16383, and a 64-bit integer over 2^63. Rates with a
/// fraction are rounded; none for what is negative, infinite or beyond 32 bits.
fn extended(bytes: [u8; 10]) -> Option<u32> {
    let [e0, e1, mantissa @ ..] = bytes;
    let exponent = i32::from(u16::from_be_bytes([e0, e1])) - 16383;
    let mantissa = u64::from_be_bytes(mantissa);
    match exponent {
        _ if mantissa == 0 => Some(0),
        0..=31 => u32::try_from((mantissa >> (62 - exponent)).div_ceil(2)).ok(),
        i32::MIN..0 if e0 & 0x80 == 0 => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_floats_of_eighty_bits() {
        for (bytes, rate) in [
            (*b"\x40\x0c\xfa\0\0\0\0\0\0\0", Some(16000)),
            (*b"\x40\x0e\xac\x44\0\0\0\0\0\0", Some(44100)),
            (*b"\x40\x0c\xac\x44\x80\0\0\0\0\0", Some(11025)),
            (*b"\x40\x1e\xff\xff\xff\xff\0\0\0\0", Some(u32::MAX)),
            (*b"\x40\x1e\xff\xff\xff\xff\xff\0\0\0", None),
            (*b"\0\0\0\0\0\0\0\0\0\0", Some(0)),
            (*b"\x7f\xff\x80\0\0\0\0\0\0\0", None),
            (*b"\xc0\x0c\xfa\0\0\0\0\0\0\0", None),
        ] {
            assert_eq!(extended(bytes), rate, "{bytes:?}");
        }
    }
}
