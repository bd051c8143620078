//! Uncompressed samples, in any of the encodings that containers give them: integers and
//! floats of either byte order, A-law and mu-law.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::encoding::{Encoding, Order};
use super::g711::{a_law_decoded, mu_law_decoded};
use super::input::Bytes;
use crate::error::{Error, Result};

/// Bytes decoded at a time, about.
const BLOCK_BYTES: usize = 1 << 16;

impl Encoding {
    /// Appends samples with full scale at 1; `bytes` are whole samples.
    fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::Unsigned8 => {
                out.extend(bytes.iter().map(|&byte| (f32::from(byte) - 128.0) / 128.0))
            }
            Self::Signed {
                bytes: width,
                order,
            } => decode_integers(bytes, width, order, 0, out),
            Self::SignedLow {
                bytes: width,
                bits,
                order,
            } => decode_integers(bytes, width, order, 8 * width as u32 - bits, out),
            Self::Float32(order) => {
                let (samples, _) = bytes.as_chunks::<4>();
                match order {
                    Order::Little => out.extend(samples.iter().map(|raw| f32::from_le_bytes(*raw))),
                    Order::Big => out.extend(samples.iter().map(|raw| f32::from_be_bytes(*raw))),
                }
            }
            Self::Float64(order) => {
                let (samples, _) = bytes.as_chunks::<8>();
                let value = |raw: &[u8; 8]| match order {
                    Order::Little => f64::from_le_bytes(*raw),
                    Order::Big => f64::from_be_bytes(*raw),
                };
                out.extend(samples.iter().map(|raw| value(raw) as f32));
            }
            Self::ALaw => out.extend(
                bytes
                    .iter()
                    .map(|&code| f32::from(a_law_decoded(code)) / 32768.0),
            ),
            Self::MuLaw => out.extend(
                bytes
                    .iter()
                    .map(|&code| f32::from(mu_law_decoded(code)) / 32768.0),
            ),
        }
    }
}

/// Integers of 1 to 4 bytes, whose highest `unused` bits are not looked at.
fn decode_integers(bytes: &[u8], width: usize, order: Order, unused: u32, out: &mut Vec<f32>) {
    match width {
        1 => decode_width::<1>(bytes, order, unused, out),
        2 => decode_width::<2>(bytes, order, unused, out),
        3 => decode_width::<3>(bytes, order, unused, out),
        _ => decode_width::<4>(bytes, order, unused, out),
    }
}

/// A loop per width and order, so that each is vector instructions.
fn decode_width<const WIDTH: usize>(bytes: &[u8], order: Order, unused: u32, out: &mut Vec<f32>) {
    let (samples, _) = bytes.as_chunks::<WIDTH>();
    let value = |word: i32| full_scale(word.wrapping_shl(unused));
    match order {
        Order::Little => out.extend(samples.iter().map(|raw| value(word(raw, Order::Little)))),
        Order::Big => out.extend(samples.iter().map(|raw| value(word(raw, Order::Big)))),
    }
}

/// An integer of 1 to 4 bytes in the high bytes of 32 bits, whose full scale it then has.
#[inline(always)]
pub(super) fn word(raw: &[u8], order: Order) -> i32 {
    let mut wide = [0; 4];
    for (place, &byte) in raw.iter().enumerate() {
        match order {
            Order::Big => wide[place] = byte,
            Order::Little => wide[raw.len() - 1 - place] = byte,
        }
    }
    i32::from_be_bytes(wide)
}

/// An integer of 32 bits over its full scale: a power of two, so that only the conversion rounds.
#[inline(always)]
fn full_scale(word: i32) -> f32 {
    word as f32 / (1u32 << 31) as f32
}

/// Where the samples end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// After a number of bytes, stated by the header.
    Bytes(u64),
    /// At the end of the file: its writer did not know. A stopped writer may leave a part of a frame.
    ToTheEnd,
}

/// The samples of a container, from the position on.
pub(super) struct PcmStream {
    pub(super) bytes: Bytes,
    pub(super) encoding: Encoding,
    pub(super) channels: usize,
    pub(super) extent: Extent,
    /// What holds the samples, for messages: `chunk 'data'`.
    pub(super) place: &'static str,
    read: u64,
    buffer: Vec<u8>,
}

impl PcmStream {
    /// `channels` is 1 at least.
    pub(super) fn new(
        bytes: Bytes,
        encoding: Encoding,
        channels: usize,
        extent: Extent,
        place: &'static str,
    ) -> Self {
        Self {
            bytes,
            encoding,
            channels,
            extent,
            place,
            read: 0,
            buffer: Vec::new(),
        }
    }

    /// Frames that the header states.
    pub(super) fn stated_frames(&self) -> Option<u64> {
        match self.extent {
            Extent::Bytes(bytes) => Some(bytes / self.frame_bytes() as u64),
            Extent::ToTheEnd => None,
        }
    }

    fn frame_bytes(&self) -> usize {
        self.encoding.bytes() * self.channels
    }

    /// Goes on at this frame, or at the end for a later one, before anything was read. Returns the position.
    pub(super) fn skip_to(&mut self, frame: u64, name: &Path) -> Result<u64> {
        let (size, begin) = (self.frame_bytes() as u64, self.bytes.position());
        let most = self.stated_frames().unwrap_or(u64::MAX / size);
        let sought = self.bytes.seek(SeekFrom::Start(
            begin.saturating_add(frame.min(most) * size),
        ));
        self.read = sought.map_err(Error::io(name))? - begin;
        Ok(self.read / size)
    }

    /// Appends the next block, interleaved; false at the end.
    pub(super) fn next(&mut self, out: &mut Vec<f32>, name: &Path) -> Result<bool> {
        let frame = self.frame_bytes();
        let block = (BLOCK_BYTES / frame).max(1) * frame;
        let wanted = match self.extent {
            Extent::Bytes(all) => (all - self.read).min(block as u64) as usize,
            Extent::ToTheEnd => block,
        };
        self.buffer.resize(wanted, 0);
        let count = fill(&mut self.bytes, &mut self.buffer).map_err(Error::io(name))?;
        self.read += count as u64;
        if let Extent::Bytes(all) = self.extent
            && count < wanted
        {
            let expected = format!("{all} bytes in {}", self.place);
            let found = format!("{}: the file is cut short", self.read);
            return Err(Error::format(name, expected, found));
        }
        let whole = &self.buffer[..count - count % frame];
        self.encoding.decode(whole, out);
        Ok(!whole.is_empty())
    }
}

/// Reads until the buffer is full or the bytes end; how many there were.
pub(super) fn fill(bytes: &mut Bytes, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match bytes.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: Encoding, bytes: &[u8]) -> Vec<f32> {
        let mut out = Vec::new();
        encoding.decode(bytes, &mut out);
        out
    }

    #[test]
    fn integers_of_every_width_and_order() {
        for bytes in 1..=4 {
            let mut little = vec![0; 4 * bytes];
            for (sample, top) in [0x80, 0xc0, 0x00, 0x20].into_iter().enumerate() {
                little[sample * bytes + bytes - 1] = top;
            }
            let big: Vec<u8> = little
                .chunks(bytes)
                .flat_map(|s| s.iter().rev().copied())
                .collect();
            for (order, data) in [(Order::Little, &little), (Order::Big, &big)] {
                let samples = decode(Encoding::Signed { bytes, order }, data);
                assert_eq!(samples, [-1.0, -0.5, 0.0, 0.25], "{bytes} {order:?}");
            }
        }
        assert_eq!(
            decode(Encoding::Unsigned8, &[0, 0x80, 0xa0]),
            [-1.0, 0.0, 0.25]
        );
        let one = decode(
            Encoding::Signed {
                bytes: 2,
                order: Order::Big,
            },
            &[0, 1, 0xff, 0xff],
        );
        assert_eq!(one, [1.0 / 32768.0, -1.0 / 32768.0]);
    }

    #[test]
    fn floats_of_either_order() {
        for value in [1.5f32, -0.25] {
            assert_eq!(
                decode(Encoding::Float32(Order::Big), &value.to_be_bytes()),
                [value]
            );
            assert_eq!(
                decode(Encoding::Float32(Order::Little), &value.to_le_bytes()),
                [value]
            );
            let wide = f64::from(value);
            assert_eq!(
                decode(Encoding::Float64(Order::Big), &wide.to_be_bytes()),
                [value]
            );
            assert_eq!(
                decode(Encoding::Float64(Order::Little), &wide.to_le_bytes()),
                [value]
            );
        }
    }
}
